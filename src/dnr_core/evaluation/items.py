"""Room: evaluation. Items with what is true of them and what was said, joined by id."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from attrs import frozen

from dnr_core.comms.tables import LABEL_FILES
from dnr_core.errors import InputError
from dnr_core.model.themes import RELEVANCE, THEMES

NONE: Final = "none"
HAND_LABELS: Final = "labels.csv"
"""Labels that a person wrote of some items of real talk: `source,item_id,theme,relevance`."""
_BY_HAND: Final = ("source", "item_id", "theme", "relevance")
_DECIDED: Final = frozenset({"provider", "prefilter"})
_PREDICTED: Final = (
    "item_id", "theme", "theme_confidence", "relevance", "relevance_confidence", "kept_by",
    "decided_by",
)  # fmt: skip
_NUMBERS: Final = "confidence"
_LISTS: Final = ("tables", "columns")
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
    for name in needed:
        found = table.schema.field(name).type
        if not _is_as_expected(name, found):
            raise InputError(f"{path}: column {name!r} is of type {found}", hint=hint)
    return table


def _is_as_expected(name: str, kind: pa.DataType) -> bool:
    """Tell whether a column's type is what its name promises: a number, names, or a text."""
    if pa.types.is_null(kind):
        return True
    if name.endswith(_NUMBERS):
        return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
    if name in _LISTS:
        return pa.types.is_list(kind) and _is_text(kind.value_type)
    return _is_text(kind)


def _is_text(kind: pa.DataType) -> bool:
    of = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(of) or pa.types.is_large_string(of))


def labelled_items(pred: Path, labels: Path, source: str) -> list[LabelledItem]:
    """Join labels and predictions of one source by id, in order of the ids.

    Raises:
        InputError: a folder or file is missing, cannot be read, or lacks a column.
    """
    for folder in (pred, labels):
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}", hint="check --pred and --labels")
    truth = _true_rows(labels, source)
    if not truth:
        return []
    path = pred / f"predictions_{source}.parquet"
    said = read_table(path, _PREDICTED, "run the report again with this version")
    if said is None:
        raise InputError(f"there is no {path}", hint="run `dnr run-report` on the same talk first")
    predicted = list(said.select(_PREDICTED).to_pylist())
    _refuse_strange(path, predicted)
    by_id = {row["item_id"]: row for row in predicted}
    return [
        _item(source, row, by_id.get(row["item_id"], {}))
        for row in sorted(truth, key=lambda row: str(row["item_id"]))
    ]


def _true_rows(labels: Path, source: str) -> list[dict[str, Any]]:
    """Return the labels of a source: those of a made company, else those that a person wrote."""
    made = read_table(labels / LABEL_FILES[source], _LABELLED, "generate the talk again")
    if made is not None:
        rows = list(made.to_pylist())
        _refuse_strange(labels / LABEL_FILES[source], rows)
        return rows
    path = labels / HAND_LABELS
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"cannot read {path}: {type(error).__name__}", hint="it must be CSV in UTF-8"
        ) from None
    found = []
    for line, row in enumerate(rows, 2):
        if None in row or not all(row.get(name) is not None for name in _BY_HAND):
            raise InputError(
                f"{path}, line {line}: it needs {', '.join(_BY_HAND)}",
                hint="its first line names the columns; leave a value empty, not out",
            )
        theme, relevance = row["theme"].strip(), row["relevance"].strip()
        if theme not in {"", NONE, *THEMES} or relevance not in {"", *RELEVANCE}:
            raise InputError(
                f"{path}, line {line}: {theme!r}, {relevance!r} is no label",
                hint=f"themes: {', '.join(THEMES)} or none; relevance: {', '.join(RELEVANCE)}",
            )
        if row["source"].strip() == source:
            plain = {"tables": (), "columns": (), "skeleton": "", "band": ""}
            found.append(
                {**plain, "item_id": row["item_id"], "theme": theme, "relevance": relevance}
            )
    return found


def _refuse_strange(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse themes and relevances that are no label: of a damaged file, or of somebody else's."""
    for number, row in enumerate(rows, 1):
        for name, known in (("theme", {NONE, *THEMES}), ("relevance", {*RELEVANCE})):
            if row[name] and row[name] not in known:
                raise InputError(
                    f"{path}, row {number}: {row[name]!r} is no {name}",
                    hint=f"there are {', '.join(sorted(known))}",
                )


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
