"""Room: warehouse. What a finished warehouse is: tables, sizes, period, rates, incidents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from attrs import field, frozen

from dnr_core.errors import InputError
from dnr_core.model import Incident
from dnr_core.warehouse.calendar import History
from dnr_core.warehouse.generate import KIND
from dnr_core.warehouse.incidents import company_of
from dnr_core.warehouse.truth import INCIDENTS
from dnr_core.workspace import read_manifest

Section = tuple[str, tuple[str, ...], list[tuple[str, ...]]]
"""Title, column heads, rows."""


@frozen
class TableSize:
    """Rows, part files and bytes of a table."""

    name: str
    rows: int
    parts: int
    bytes: int


@frozen
class RateFound:
    """A rate: `target` and `measured` are shares, minutes for lag; see `Calibration`."""

    table: str
    metric: str
    target: float | None
    measured: float | None
    dated_rows: int


@frozen
class WarehouseDescription:
    """A warehouse in figures. `incidents` is None where its truth was not given.

    `start` and `end` bound the history of events, instants in UTC; `end` is the as-of.
    """

    folder: Path
    archetype: str
    settings: Mapping[str, Any]
    tables: tuple[TableSize, ...]
    start: datetime
    end: datetime
    rates: tuple[RateFound, ...]
    incidents: tuple[Incident, ...] | None = None
    notes: tuple[str, ...] = field(default=())
    picture: Callable[[WarehouseDescription], Any] | None = field(
        default=None, eq=False, repr=False
    )
    """Draws it; None where the archetype is not at hand."""

    def figure(self) -> Any:
        """Return one picture: rows a local day by table, with the incidents marked.

        It has `svg` and `png` (bytes) and `save(file)`, and notebooks show it. The rows are counted
        when it is first asked for, which reads the event times of all files.

        Raises:
            InputError: the archetype is not installed, or a file is damaged.
        """
        if self.picture is None:
            raise InputError(
                f"a picture needs the archetype {self.archetype!r}, which is not installed",
                hint="`dnr plugins` lists what is installed",
            )
        return self.picture(self)

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes of all part files."""
        return sum(table.bytes for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "folder": str(self.folder),
            "archetype": self.archetype,
            "settings": dict(self.settings),
            "rows": self.rows,
            "bytes": self.bytes,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "tables": [
                {"name": t.name, "rows": t.rows, "parts": t.parts, "bytes": t.bytes}
                for t in self.tables
            ],
            "rates": [
                {
                    "table": r.table,
                    "metric": r.metric,
                    "target": r.target,
                    "measured": r.measured,
                    "dated_rows": r.dated_rows,
                }
                for r in self.rates
            ],
            "incidents": None
            if self.incidents is None
            else [
                {
                    "id": i.id,
                    "kind": i.kind,
                    "table": i.table,
                    "columns": list(i.columns),
                    "start": i.start.isoformat(),
                    "end": i.end.isoformat(),
                    "size": i.size,
                }
                for i in self.incidents
            ],
        }

    def sections(self) -> list[Section]:
        """Return what text and HTML show: title, column heads, rows."""
        found: list[Section] = [
            (
                "Tables",
                ("table", "rows", "parts", "size"),
                [(t.name, f"{t.rows:,}", f"{t.parts:,}", size_text(t.bytes)) for t in self.tables],
            )
        ]
        if self.rates:
            found.append(
                (
                    "Rates",
                    ("table", "metric", "target", "measured", "rows of incidents on top"),
                    [
                        (
                            r.table,
                            r.metric.replace("_", " "),
                            figure_text(r.metric, r.target),
                            figure_text(r.metric, r.measured),
                            f"{r.dated_rows:,}" if r.dated_rows else "",
                        )
                        for r in self.rates
                    ],
                )
            )
        if self.incidents is not None:
            found.append(
                (
                    "Incidents",
                    ("id", "table", "columns", "start (UTC)", "end (UTC)", "size"),
                    [
                        (
                            i.id,
                            i.table,
                            ", ".join(i.columns),
                            f"{i.start:%Y-%m-%d %H:%M}",
                            f"{i.end:%Y-%m-%d %H:%M}",
                            f"{i.size:g}",
                        )
                        for i in self.incidents
                    ],
                )
            )
        return found

    @property
    def title(self) -> str:
        """One line that says what it is."""
        told = [self.archetype]
        told += [
            f"{k} {self.settings[k]}" for k in ("quality", "scale", "seed") if k in self.settings
        ]
        told.append(f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}")
        return ", ".join([*told, f"{self.rows:,} rows", size_text(self.bytes)])

    def __str__(self) -> str:
        lines = [self.title]
        for title, heads, rows in self.sections():
            widths = [max(len(row[n]) for row in [heads, *rows]) for n in range(len(heads))]
            lines += ["", title]
            lines += [
                "  "
                + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
                for row in [heads, *rows]
            ]
        return "\n".join([*lines, *(f"Note: {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        pieces = [f"<p><strong>{escape(self.title)}</strong></p>"]
        for title, heads, rows in self.sections():
            head = "".join(f"<th>{escape(name)}</th>" for name in heads)
            body = "".join(
                "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
                for row in rows
            )
            pieces.append(
                f"<table><caption>{escape(title)}</caption><thead><tr>{head}</tr></thead>"
                f"<tbody>{body}</tbody></table>"
            )
        if self.picture is not None:
            pieces.append(f"<figure>{self.figure().svg.decode()}</figure>")
        return "".join(pieces)


def size_text(size: int) -> str:
    """Return bytes for a person."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"


def figure_text(metric: str, value: float | None) -> str:
    """Return a rate for a person."""
    if value is None:
        return ""
    return f"{value:.0f} min" if metric.endswith("minutes") else f"{value:.3%}"


def describe(folder: Path, meta: Path | None = None) -> WarehouseDescription:
    """Describe a finished warehouse from its manifest and the footers of its files.

    Args:
        folder: the warehouse.
        meta: its truth; the incidents are shown only where it is given.

    Raises:
        InputError: the folder is no made warehouse, or a file is damaged.
        UnfinishedError: it was not finished.
    """
    manifest = read_manifest(folder)
    if manifest.kind != KIND:
        raise InputError(f"{folder} holds a {manifest.kind}, not a warehouse")
    history = History.of(company_of(manifest))
    sizes: dict[str, TableSize] = {}
    for relative in sorted(manifest.files):
        table = relative.split("/", 1)[0]
        path = folder / relative
        try:
            footer = pq.read_metadata(path)
            size = path.stat().st_size
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot read {path}: {error}", hint="generate the warehouse again"
            ) from error
        before = sizes.get(table, TableSize(table, 0, 0, 0))
        sizes[table] = TableSize(
            table, before.rows + footer.num_rows, before.parts + 1, before.bytes + size
        )
    return WarehouseDescription(
        folder=folder,
        archetype=manifest.archetype,
        settings=manifest.settings,
        tables=tuple(sizes.values()),
        start=history.instant(0),
        end=history.instant(history.days),
        rates=_rates(folder, manifest.extra.get("calibration", ())),
        incidents=None if meta is None else read_incidents(meta),
        notes=tuple(map(str, manifest.extra.get("notes", ()))),
    )


def _rates(folder: Path, entries: Sequence[Mapping[str, Any]]) -> tuple[RateFound, ...]:
    try:
        return tuple(
            RateFound(e["table"], e["metric"], e["target"], e["measured"], e["dated_rows"])
            for e in entries
            if not e["column"] and e["metric"] != "rows"
        )
    except (LookupError, TypeError) as error:
        raise InputError(
            f"the rates in the manifest of {folder} are damaged: {type(error).__name__}, {error}",
            hint="generate the warehouse again",
        ) from error


def read_incidents(meta: Path) -> tuple[Incident, ...]:
    """Return the incidents that were planned, from a truth folder.

    Raises:
        InputError: it has none.
    """
    read_manifest(meta)
    try:
        return tuple(
            Incident(
                id=row["id"],
                kind=row["kind"],
                table=row["table"],
                columns=tuple(row["columns"]),
                start=row["start"].replace(tzinfo=UTC),
                end=row["end"].replace(tzinfo=UTC),
                size=row["size"],
            )
            for row in pq.read_table(meta / INCIDENTS).to_pylist()
        )
    # A damaged file may have other columns, other types, or dates that no calendar has.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"cannot read {meta / INCIDENTS}: {error}") from error
