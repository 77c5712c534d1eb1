"""Room: model. A check of a made company: what it measured, what it expected, where to look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from dnr_core.model.schema import _names


@frozen
class CheckResult:
    """Outcome of one check.

    `status` is "skipped" only with a reason in `measured` ("not detectable at this size").
    """

    name: str
    status: Literal["passed", "failed", "skipped"]
    measured: str
    expected: str
    where_to_look: str


@frozen
class CheckContext:
    """What a check may open. Targets come from settings and the archetype, measurements from files.

    `sql(query, **params) -> list of dicts` runs on DuckDB with a view a table (`slack_messages`,
    `ledger`, `incidents`, `labels_slack` ... among them where those folders were given).
    """

    archetype: Any
    catalogue: Any
    company: Any
    profile: Any
    settings: Any
    warehouse: Path
    comms: Path | None
    meta: Path | None
    reports: Path | None
    sql: Callable[..., list[dict[str, Any]]]
    manifests: Mapping[str, Any] = field(factory=dict)
    shared: dict[str, Any] = field(factory=dict, eq=False, repr=False)
    """What a check of this run measured that others need too, by a name of theirs."""


@frozen
class Check:
    """`run(context) -> Iterable[CheckResult]`, the callable or its dotted path.

    `archetypes` names the archetypes it is for; empty means all. `needs` are the folders without
    which it is left out ("comms", "meta", "reports").
    """

    name: str
    title: str
    run: Callable[[CheckContext], Any] | str
    archetypes: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    needs: tuple[str, ...] = field(default=(), converter=_names, kw_only=True)
    breaks: Callable[[Any], None] | str | None = field(default=None, kw_only=True)
    """How its property is broken where that is unusual, or the dotted path of it: gets folders of a
    company (`dnr_core.testing.MadeCompany`) and spoils them. The kit then sees the check fail."""
