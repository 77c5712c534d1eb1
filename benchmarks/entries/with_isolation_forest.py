"""Room: benchmarks. Entry: scikit-learn's IsolationForest on each table's columns as numbers.

Nothing is told of keys: columns become numbers, times become hour, weekday and lag, nulls become
a flag. Needs: scikit-learn, pandas, pyarrow.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from benchmark_data import Tables, enter
from sklearn.ensemble import IsolationForest


def find(tables: Tables, table: dict[str, Any], frame: pd.DataFrame) -> list[tuple[int, str]]:  # noqa: ARG001 - the entries' signature
    """Name the rows that are easiest to isolate, by the forest's own threshold."""
    features = _features(table, frame)
    if len(features) < 100 or features.shape[1] < 2:
        return []
    forest = IsolationForest(n_estimators=200, random_state=0, n_jobs=1)
    said = forest.fit_predict(features.to_numpy())
    return [(position, "") for position, label in enumerate(said) if label < 0]


def _features(table: dict[str, Any], frame: pd.DataFrame) -> pd.DataFrame:
    found: dict[str, Any] = {}
    loaded = table["loaded_at"]
    for column in table["columns"]:
        name, kind = column["name"], column["type"]
        if name not in frame:
            continue
        values = frame[name]
        if values.isna().any():
            found[f"{name} is null"] = values.isna().astype("float64").to_numpy()
        if kind in {"timestamp", "date"}:
            times = pd.to_datetime(values.astype("datetime64[us]"))
            found[f"{name} hour"] = times.dt.hour.fillna(-1).to_numpy()
            found[f"{name} weekday"] = times.dt.day_of_week.fillna(-1).to_numpy()
            if loaded and name != loaded and loaded in frame:
                lag = pd.to_datetime(frame[loaded].astype("datetime64[us]")) - times
                found[f"{name} lag"] = lag.dt.total_seconds().fillna(0).to_numpy()
        elif kind in {"string", "bool"}:
            found[name] = pd.factorize(values)[0].astype("float64")
        else:
            found[name] = values.astype("float64").fillna(-1).to_numpy()
    return pd.DataFrame(found)


if __name__ == "__main__":
    enter(find)
