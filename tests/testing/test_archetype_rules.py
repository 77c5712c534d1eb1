"""Rules for archetypes: each has a bad archetype that makes this rule fire, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from attrs import evolve

from dnr_core import synth
from dnr_core.model import (
    Archetype,
    Column,
    ForeignKey,
    Kpi,
    Parent,
    RevenueStream,
    Schema,
    Table,
)
from dnr_core.testing import BENCH, check_archetype, rules_for
from dnr_core.testing.bench import ITEM, ORDER, PAYMENT

Bench = Callable[..., Archetype]


def with_table(table: Table) -> Schema:
    """The bench's schema with another table in the place of the one of that name."""
    return Schema([table if t.name == table.name else t for t in BENCH.schema.tables])


def with_column(table: str, name: str, values: Callable[[Any], Any]) -> Callable[..., Any]:
    """A change of a family that replaces a column of a table."""

    def change(made: dict[str, Any], company: Any, chunk: int) -> dict[str, Any]:
        rows = pa.Table.from_batches([made[table]])
        place = rows.column_names.index(name)
        made[table] = rows.set_column(place, name, values(rows))
        return made

    return change


def drawn_anywhere(rows: pa.Table) -> pa.Array:
    return pa.array([random.randint(1, 5) for _ in range(rows.num_rows)], pa.int32())


def deaf_to_the_seed(families: Any) -> Any:
    def deaf(family: Any) -> Any:
        return evolve(
            family,
            chunks=lambda company: family.chunks(evolve(company, seed=7)),
            generate=lambda company, chunk: family.generate(evolve(company, seed=7), chunk),
        )

    return tuple(deaf(family) for family in families)


def deaf_parents(parents: Any) -> Any:
    def deaf(parent: Parent) -> Parent:
        later = parent.later
        return Parent(
            lambda company, count, rng: parent.missing(evolve(company, seed=7), count, rng),
            later and (lambda company, us, rng: later(evolve(company, seed=7), us, rng)),
        )

    return {name: deaf(parent) for name, parent in parents.items()}


def present(company: Any, count: int, rng: Any) -> Any:
    return np.ones(count, dtype=np.int64)


def present_unless_looked_at(company: Any, count: int, rng: Any) -> Any:
    return np.arange(10**9, 10**9 + count) if count == 64 else present(company, count, rng)


def huge(bench: Bench) -> Archetype:
    table = Table(
        "dim_shelf", (Column("shelf_id", "int64"),), primary_key="shelf_id", aliases="shelves"
    )
    uncut = synth.rows_by_id(
        table,
        lambda company: synth.volume(company, 2_000_000),
        lambda _, ids: {"shelf_id": ids},
        rows_a_chunk=10**9,
    )
    return bench(
        schema=Schema((*BENCH.schema.tables, table)),
        volumes={**BENCH.volumes, "dim_shelf": 2_000_000},
        families=lambda families: (*families, uncut),
    )


def nameless(table: Table, column: str) -> Table:
    columns = [evolve(c, aliases=()) if c.name == column else c for c in table.columns]
    return evolve(table, columns=columns)


STREAM = BENCH.streams[0]
BAD: dict[str, Callable[[Bench], Archetype]] = {
    "ARC001": lambda bench: bench(volumes={**BENCH.volumes, "fact_refund": 5}),
    "ARC002": lambda bench: bench(kpis=[Kpi("sales", "Sales", "cents", "nowhere.at_all:sales")]),
    "ARC003": lambda bench: bench(streams=[STREAM, evolve(STREAM, title="Again")]),
    "ARC004": lambda bench: bench(
        schema=with_table(
            evolve(
                ORDER,
                foreign_keys=[ORDER.foreign_keys[0], ForeignKey("item_id", "dim_item", "colour")],
            )
        )
    ),
    "ARC005": lambda bench: bench(families=lambda families: families[:-1]),
    "ARC006": lambda bench: bench(
        made={"orders": with_column("fact_order", "channel", lambda t: t["loaded_at"])}
    ),
    "ARC007": lambda bench: bench(
        made={
            "orders": with_column(
                "fact_payment", "payment_id", lambda t: pa.array(t["payment_id"].to_numpy() // 2)
            )
        }
    ),
    "ARC008": lambda bench: bench(volumes={**BENCH.volumes, "fact_order": 600_000}),
    "ARC009": lambda bench: bench(
        made={"orders": with_column("fact_order", "pieces", drawn_anywhere)}
    ),
    "ARC010": lambda bench: bench(families=deaf_to_the_seed, parents=deaf_parents),
    "ARC011": lambda bench: bench(
        parents=lambda known: {**known, "dim_item": Parent(present)},
    ),
    "ARC012": lambda bench: bench(
        parents=lambda known: {**known, "dim_item": Parent(present_unless_looked_at)},
    ),
    "ARC013": lambda bench: bench(schema=with_table(evolve(ITEM, aliases=(), title="dim item"))),
    "ARC014": lambda bench: bench(vocabulary={**BENCH.vocabulary, "team": ("sales",)}),
    "ARC015": lambda bench: bench(schema=with_table(nameless(PAYMENT, "order_id"))),
    "ARC016": lambda bench: bench(streams=()),
    "ARC017": lambda bench: bench(
        kpis=[Kpi("sales", "Sales", "cents", lambda context: context.tables["fact_sale"])]
    ),
    "ARC018": huge,
}


def test_every_rule_for_archetypes_has_a_bad_one() -> None:
    """No rule is without proof that it fires."""
    assert set(BAD) == {rule.id for rule in rules_for("archetype")}


@pytest.mark.parametrize("rule", BAD)
def test_a_bad_archetype_breaks_its_rule_and_no_other(
    rule: str, bench: Bench, broken: Callable[..., set[str]]
) -> None:
    """An archetype with one fault is told of that fault."""
    assert broken("archetype", BAD[rule](bench)) == {rule}


def test_the_bench_keeps_every_rule(bench: Bench, broken: Callable[..., set[str]]) -> None:
    """A sound archetype breaks none."""
    assert broken("archetype", bench()) == set()


def test_a_real_company_is_judged_by_what_it_says(broken: Callable[..., set[str]]) -> None:
    """Without a synthesis nothing of it is made, and its schema is judged all the same."""
    real = evolve(BENCH, synthesis=None)
    assert broken("archetype", real) == set()
    assert broken("archetype", evolve(real, streams=())) == {"ARC016"}


def test_a_chunk_that_depends_on_the_process_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., set[str]]
) -> None:
    """`hash()` of a text is the same within a process, and another one in the next."""
    code = """
        from attrs import evolve
        from dnr_core.model import Synthesis
        from dnr_core.testing.bench import SYNTHESIS as SOUND
        import pyarrow as pa

        def generate(company, chunk):
            made = dict(ORDERS.generate(company, chunk))
            rows = pa.Table.from_batches([made["fact_order"]])
            odd = pa.array([hash("red") % 1000] * rows.num_rows, pa.int32())
            made["fact_order"] = rows.set_column(rows.column_names.index("pieces"), "pieces", odd)
            return made

        ORDERS = SOUND.families[2]
        families = [*SOUND.families[:2], evolve(ORDERS, generate=generate), SOUND.families[3]]
        SYNTHESIS = Synthesis(families, SOUND.parents)
    """
    (tmp_path / "hashing_bench.py").write_text(dedent(code))
    monkeypatch.syspath_prepend(tmp_path)
    hashing = evolve(BENCH, synthesis="hashing_bench:SYNTHESIS")
    assert broken("archetype", hashing) == {"ARC009"}


def test_a_finding_says_what_where_and_how_to_mend_it() -> None:
    """The pure function returns findings that a person can act on."""
    twice = evolve(
        BENCH, synthesis=None, streams=[STREAM, RevenueStream("sales", "x", STREAM.amount)]
    )
    found = {finding.rule: finding for finding in check_archetype(twice)}
    assert set(found) == {"ARC001", "ARC003"}
    told = str(found["ARC003"])
    assert "ARC003 (must) streams: 'sales' comes more than once" in told
    assert "mend: rename one of them" in told
    assert check_archetype(twice, tier="should") == ()
