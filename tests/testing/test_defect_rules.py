"""Rules for defect kinds and profiles: each has a bad object that makes this rule fire, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core.builtin import plugin as builtin_plugin
from dnr_core.hookspecs import hookimpl
from dnr_core.model import (
    CellChange,
    DefectKind,
    DefectOutcome,
    DefectProfile,
    DefectRate,
    DefectTask,
    IncidentRate,
    LagProfile,
    Option,
)
from dnr_core.plugins import load_plugins
from dnr_core.testing import check_defect_kind, check_profile, rules_for
from dnr_core.testing.bench import CHANNELS
from dnr_core.testing.examine import examination
from dnr_core.testing.workshop import Workshop


def channels(schema: Any, table: Any) -> tuple[str, ...]:
    return ("channel",) if "channel" in table.column_names else ()


def eaten(task: DefectTask, rows: Any) -> DefectOutcome:
    values = task.clean.column("channel").take(pa.array(rows)).to_pylist()
    holes = pa.array([text[:-1] for text in values], pa.string())
    return DefectOutcome([CellChange("channel", rows, holes, "hole")])


def moth(task: DefectTask) -> DefectOutcome:
    """Eats the last letter of the channel."""
    return eaten(task, task.rows)


def holes(tables: Any, schema: Any, table: Any, rate: Any) -> Any:
    """The rows whose channel is none of those that are allowed."""
    rows = tables[table.name]
    return rows.filter(rows.channel.notnull() & ~rows.channel.isin(CHANNELS))


def greedy(task: DefectTask) -> DefectOutcome:
    return eaten(task, np.arange(task.clean.num_rows, dtype=np.int64))


CALLS: Iterator[int] = count()


def remembering(task: DefectTask) -> DefectOutcome:
    values = pa.array([f"hole {next(CALLS)}"] * len(task.rows), pa.string())
    return DefectOutcome([CellChange("channel", task.rows, values, "hole")])


def boastful(task: DefectTask) -> DefectOutcome:
    same = task.clean.column("channel").take(pa.array(task.rows)).combine_chunks()
    return DefectOutcome([CellChange("channel", task.rows, same, "hole")])


def lazy(task: DefectTask) -> DefectOutcome:
    return eaten(task, task.rows[::2])


MOTH = DefectKind(
    "moths",
    "Moths",
    "metric_definition_mismatch",
    None,
    moth,
    targets=channels,
    finds=holes,  # type: ignore[arg-type]
    options=(),
)
BAD = {
    "DEF001": evolve(MOTH, theme="holes_in_sleeves"),
    "DEF002": evolve(MOTH, finds="nowhere.at_all:holes"),
    "DEF003": evolve(MOTH, targets=lambda schema, table: ("sleeve",)),
    "DEF004": evolve(MOTH, apply=greedy),
    "DEF005": evolve(MOTH, apply=remembering),
    "DEF006": evolve(MOTH, apply=boastful),
    "DEF007": evolve(MOTH, apply=lazy),
    "DEF008": evolve(MOTH, finds=None),
    "DEF009": evolve(MOTH, options=None),
}


def test_every_rule_for_defect_kinds_has_a_bad_one() -> None:
    """No rule is without proof that it fires."""
    assert set(BAD) == {rule.id for rule in rules_for("defect_kind")}


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_kind_breaks_its_rule_and_no_other(
    rule: str, broken: Callable[..., set[str]]
) -> None:
    """A kind with one fault is told of that fault."""
    assert broken("defect_kind", BAD[rule]) == {rule}


def test_a_good_kind_keeps_every_rule(broken: Callable[..., set[str]]) -> None:
    """A sound kind breaks none, found by its query or not."""
    assert broken("defect_kind", MOTH) == set()


def hoarding(task: DefectTask) -> DefectOutcome:
    task.shared.setdefault("moths", task.chunk)
    text = f"hole {task.shared['moths']}"
    values = pa.array([text] * len(task.rows), pa.string())
    return DefectOutcome([CellChange("channel", task.rows, values, "hole")])


def test_a_kind_that_depends_on_the_order_of_chunks_is_found(
    workshop: Workshop,
) -> None:
    """What it keeps for other chunks must not depend on which one came first."""
    with Workshop(workshop.catalogue, scale=0.03, examples=1) as larger:
        trial = examination("defect_kind", evolve(MOTH, apply=hoarding), larger)
        assert trial.outcome("DEF005").status == "broken"
        assert examination("defect_kind", MOTH, larger).outcome("DEF005").status == "held"


def test_a_kind_without_a_query_is_held_against_its_ledger(
    broken: Callable[..., set[str]],
) -> None:
    """Half of the rows that were asked for are too few, even where only the ledger knows."""
    assert broken("defect_kind", evolve(MOTH, finds=None, apply=lazy)) == {"DEF007", "DEF008"}


def test_a_dated_kind_breaks_its_window(broken: Callable[..., set[str]]) -> None:
    """A dated kind that leaves half of its window as it was is told of it."""
    dated = evolve(MOTH, dated=True, finds=holes, size=Option("size", 0.5, 0.1, 1), row_share=0.5)
    assert broken("defect_kind", dated) == set()
    assert broken("defect_kind", evolve(dated, apply=lazy)) == {"DEF007"}


def test_a_kind_that_finds_nothing_says_where_it_looked(workshop: Workshop) -> None:
    """The finding names the archetypes, and what to do."""
    nowhere = evolve(MOTH, targets=lambda schema, table: ())
    (found,) = check_defect_kind(nowhere, catalogue=workshop.catalogue, tier="must")
    assert (found.rule, found.message) == ("DEF003", "it finds nothing to break on bench")
    assert "archetype that has some" in found.mend


class Extra:
    """A plugin with kinds for the profiles below."""

    @hookimpl
    def dnr_defect_profiles(self) -> list[DefectKind]:
        return [
            MOTH,
            evolve(MOTH, name="lazy_moths", apply=lazy),
            evolve(MOTH, name="nowhere", targets=lambda schema, table: ()),
        ]


LAG = LagProfile((30, 180), (240, 720), 0.02)
PROFILES = {
    "PRO001": DefectProfile("bad", "Bad", rates=[DefectRate("moths", 0.5)], lag=LAG),
    "PRO002": DefectProfile(
        "bad",
        "Bad",
        rates=[
            DefectRate("key_null", 0.4),
            DefectRate("fk_failure", 0.4),
            DefectRate("moths", 0.4),
        ],
    ),
    "PRO003": DefectProfile("bad", "Bad", rates=[DefectRate("lazy_moths", 0.2)], lag=LAG),
    "PRO004": DefectProfile(
        "bad", "Bad", rates=[DefectRate("moths", 0.1), DefectRate("nowhere", 0.1)], lag=LAG
    ),
}


@pytest.fixture(scope="module")
def with_moths() -> Any:
    """The builtin plugin and the kinds above."""
    return load_plugins(discover=False, extra=[builtin_plugin, Extra()])


def test_every_rule_for_profiles_has_a_bad_one() -> None:
    """No rule is without proof that it fires."""
    assert set(PROFILES) == {rule.id for rule in rules_for("profile")}


@pytest.mark.parametrize("rule", PROFILES)
def test_a_bad_profile_breaks_its_rule_and_no_other(rule: str, with_moths: Any) -> None:
    """A profile with one fault is told of that fault."""
    found = check_profile(PROFILES[rule], catalogue=with_moths)
    assert {finding.rule for finding in found} == {rule}


def test_impossible_numbers_are_named(with_moths: Any) -> None:
    """Each wrong number of a profile is a finding of its own."""
    odd = DefectProfile(
        "odd",
        "Odd",
        rates=[DefectRate("mots", 0.1), DefectRate("null_spike", 0.1)],
        incidents=[IncidentRate("moths", -1, 0.1)],
        lag=LagProfile((90, 30), (240, 720), 1.5),
    )
    found = check_profile(odd, catalogue=with_moths)
    assert {finding.rule for finding in found} == {"PRO001"}
    assert [finding.where for finding in found] == [
        "rate of mots",
        "rate of null_spike",
        "incidents of moths",
        "incidents of moths",
        "lag, usual_minutes",
        "lag, slow_share",
    ]
