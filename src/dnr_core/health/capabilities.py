"""Room: health. What each backend lacks, why, and what is done instead: said here and nowhere else.

A gap is worked around so that the figure is the same, or the figure is "not measured here"; it
is never approximated without a word. The cross-backend tests go through this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Feature = Literal[
    "quantiles",
    "quantile_list",
    "date_difference",
    "sql_text",
    "time_order",
    "temporary_tables",
    "read_only",
    "declared_keys",
    "deep_queries",
    "bit_sets",
]
"""What dnr would use of a backend if it were there."""


@frozen
class Gap:
    """A feature that a backend lacks, why, and what dnr does instead.

    `shows` is true where a person meets it in the result, and so is told in the notes.
    """

    feature: Feature
    why: str
    instead: str
    shows: bool = False


TESTED: Final = ("duckdb", "postgres", "sqlite", "pyspark", "polars", "datafusion")
"""Backends on which the suite of expected figures runs, by their Ibis names."""

_COUNTED: Final = "rows are counted by day and lag, and the quantile is read off the counts"
_NO_SCRATCH: Final = Gap(
    "temporary_tables",
    "a read-only session refuses a temporary table",
    "each query says the whole of it again, which takes longer and gives the same",
)
_ONE_BY_ONE: Final = "each quantile is asked for by itself"
_NO_BITS: Final = Gap(
    "bit_sets",
    "no common function counts the bits of a number or joins them over a group",
    "repeated keys are found by a group for each key, which takes more memory and gives the same",
)
_NO_KEYS: Final = Gap(
    "declared_keys", "nothing declares a key here", "keys are guessed from names and data"
)

GAPS: Final[Mapping[str, tuple[Gap, ...]]] = {
    "duckdb": (),
    "postgres": (_NO_SCRATCH, _NO_BITS),
    "sqlite": (
        _NO_BITS,
        Gap("quantiles", "SQLite has no function for quantiles", _COUNTED),
        Gap("quantile_list", "SQLite has no function for quantiles", _COUNTED),
        Gap(
            "time_order",
            "times are text, in whose order a space and a T differ",
            "first and last are sought among seconds since 1970",
        ),
        Gap(
            "deep_queries",
            "SQLite's parser gives up on queries within queries, as Ibis nests them",
            "each is named before it is used (WITH)",
        ),
        Gap(
            "date_difference",
            "Ibis reads dates as fractions of days here",
            "days are counted from the seconds of midnight",
        ),
    ),
    "pyspark": (
        _NO_BITS,
        _NO_KEYS,
        Gap("quantile_list", "Ibis fails to compile a list of quantiles", _ONE_BY_ONE),
        Gap(
            "read_only",
            "Spark has no read-only session",
            "only SELECT is sent; give dnr a user that may do no more",
            shows=True,
        ),
    ),
    "polars": (
        _NO_BITS,
        _NO_KEYS,
        Gap("quantile_list", "Ibis has no list of quantiles on Polars", _ONE_BY_ONE),
        Gap(
            "sql_text",
            "Ibis gives Polars a query plan and no SQL",
            "the SQL of a figure is DuckDB's, over the same files or frames",
            shows=True,
        ),
    ),
    "datafusion": (
        _NO_BITS,
        _NO_KEYS,
        Gap("quantiles", "Ibis has no exact quantile on DataFusion", _COUNTED),
        Gap("quantile_list", "Ibis has no exact quantile on DataFusion", _COUNTED),
        Gap(
            "date_difference",
            "Ibis has no difference of dates on DataFusion",
            "days are counted from the seconds of midnight",
        ),
    ),
}

_UNKNOWN: Final = (
    _NO_SCRATCH,
    _NO_BITS,
    _NO_KEYS,
    Gap("quantile_list", "not every backend takes a list of quantiles", _ONE_BY_ONE),
    Gap(
        "date_difference",
        "not every backend counts days between dates",
        "days are counted from the seconds of midnight",
    ),
    Gap(
        "read_only",
        "dnr does not know how this backend is made read-only",
        "only SELECT is sent; give dnr a user that may do no more",
        shows=True,
    ),
)


def gaps_of(backend: str) -> tuple[Gap, ...]:
    """Return what a backend lacks; of one that is not tested, what can be counted on nowhere."""
    return GAPS.get(backend, _UNKNOWN)


def lacks(backend: str, feature: Feature) -> bool:
    """Tell whether the feature is among the backend's gaps."""
    return any(gap.feature == feature for gap in gaps_of(backend))


def told(backend: str) -> tuple[str, ...]:
    """Return what a reader of the result has to know of the backend, in sentences."""
    notes = [f"{gap.why}: {gap.instead}" for gap in gaps_of(backend) if gap.shows]
    if backend not in TESTED:
        notes.append(
            f"the figures of {backend} have not been compared with those of other backends; "
            f"dnr is tested on {', '.join(TESTED)}"
        )
    return tuple(notes)
