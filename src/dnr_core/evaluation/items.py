"""Room: evaluation. Items with what is true of them and what was said, joined by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

from dnr_core.comms.tables import LABEL_FILES
from dnr_core.errors import InputError

NONE: Final = "none"
_DECIDED: Final = frozenset({"provider", "prefilter"})
_PREDICTED: Final = (
    "item_id", "theme", "theme_confidence", "relevance", "relevance_confidence", "kept_by",
    "decided_by",
)  # fmt: skip
_LABELLED: Final = ("item_id", "theme", "relevance", "tables", "columns", "skeleton", "band")


@frozen
class LabelledItem:
    """One item with what is true of it and what was said; "none" stands for no theme.

    `said_relevance` is "" where nobody decided.
    """

    source: str
    item_id: str
    theme: str
    relevance: str
    skeleton: str
    band: str
    unseen: bool
    tables: frozenset[str]
    columns: frozenset[str]
    said_theme: str
    theme_confidence: float | None
    said_relevance: str
    relevance_confidence: float | None
    kept_by: str
    decided: bool

    @property
    def needs(self) -> bool:
        """True for oracle positives, and for every query."""
        return self.source == "nlq" or self.relevance == "positive"


def read_table(path: Path, needed: Sequence[str], hint: str) -> pa.Table | None:
    """Read a Parquet file that has the needed columns; None where there is none.

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}", hint=hint) from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}", hint=hint)
    return table


def labelled_items(pred: Path, labels: Path, source: str) -> list[LabelledItem]:
    """Join labels and predictions of one source by id, in order of the ids.

    Raises:
        InputError: a folder or file is missing, cannot be read, or lacks a column.
    """
    for folder in (pred, labels):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}", hint="check --pred and --labels")
    truth = read_table(labels / LABEL_FILES[source], _LABELLED, "generate the talk again")
    if truth is None or not truth.num_rows:
        return []
    path = pred / f"predictions_{source}.parquet"
    said = read_table(path, _PREDICTED, "run the report again with this version")
    if said is None:
        raise InputError(f"there is no {path}", hint="run `dnr run-report` on the same talk first")
    by_id = {row["item_id"]: row for row in said.select(_PREDICTED).to_pylist()}
    return [
        _item(source, row, by_id.get(row["item_id"], {}))
        for row in sorted(truth.to_pylist(), key=lambda row: str(row["item_id"]))
    ]


def _item(source: str, true: Mapping[str, Any], said: Mapping[str, Any]) -> LabelledItem:
    decided = said.get("decided_by") in _DECIDED
    return LabelledItem(
        source=source,
        item_id=true["item_id"],
        theme=true["theme"] or NONE,
        relevance=true["relevance"] or "",
        skeleton=true["skeleton"] or true["item_id"],
        band=true["band"] or "",
        unseen=bool(true.get("unseen")),
        tables=frozenset(true["tables"] or ()),
        columns=frozenset(true["columns"] or ()),
        said_theme=said.get("theme") or NONE,
        theme_confidence=said.get("theme_confidence"),
        said_relevance=(said.get("relevance") or "") if decided else "",
        relevance_confidence=said.get("relevance_confidence"),
        kept_by=said.get("kept_by") or "",
        decided=decided,
    )
