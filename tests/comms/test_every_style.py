"""What the offline writer promises in each style that is installed, on a company no plugin brings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from attrs import evolve

from dnr_core.comms import CommsFolder, generate_comms, read_comms
from dnr_core.comms.tables import LABEL_FILES
from dnr_core.plugins import load_plugins

STYLES = tuple(load_plugins().styles)
ASKED = {"slack": 900, "email": 300, "nlq": 400}


@pytest.fixture(scope="module")
def written(
    warehouse: Callable[..., Any], shop: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], CommsFolder]:
    """Talk of the shop in one style, by the offline writer."""
    from dnr_core.config import Settings

    def make(style: str) -> CommsFolder:
        base = tmp_path_factory.mktemp(style)
        settings = Settings()
        chosen = {"slack_threads": ASKED["slack"], "emails": ASKED["email"], "nlq": ASKED["nlq"]}
        return generate_comms(
            shop,
            evolve(settings, comms=evolve(settings.comms, style=style, provider="mock", **chosen)),
            load_plugins(),
            warehouse=warehouse(),
            out=base / "comms",
            meta=base / "meta",
        )

    return make


@pytest.mark.parametrize("style", STYLES)
def test_a_style_has_its_volumes_and_varies(
    style: str, written: Callable[[str], CommsFolder]
) -> None:
    """Nine texts in ten differ, no skeleton makes an eighth of a theme, volumes are within 5 %."""
    folder = written(style)
    tables = read_comms(folder.path)
    texts = {
        "slack": tables.slack["text"],
        "email": tables.email["body_text"],
        "nlq": tables.nlq["query_text"],
    }
    for source, column in texts.items():
        assert len(column.unique()) >= 0.9 * len(column), source
    labels = {
        source: pq.read_table(folder.meta / name, partitioning=None)
        for source, name in LABEL_FILES.items()
    }
    for source, count in ASKED.items():
        assert abs(labels[source].num_rows - count) <= 0.05 * count, source
    every = pa.concat_tables(labels.values()).select(["theme", "skeleton"]).to_pylist()
    needs = [row for row in every if row["theme"]]
    assert all(row["skeleton"] for row in needs)
    themes = Counter(row["theme"] for row in needs)
    assert len(themes) >= 8
    for (theme, skeleton), count in Counter((r["theme"], r["skeleton"]) for r in needs).items():
        assert count <= 0.12 * themes[theme], (theme, skeleton)
