"""`validate` fails for the right check when a property of a sound company is broken on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from attrs import evolve

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.hookspecs import hookimpl
from dnr_core.model import Check
from dnr_core.plugins import load_plugins
from dnr_core.workspace import read_manifest, sha256_of, write_manifest

CONTEXT = open_context(environ={})
TRANSACTIONS = "fact_card_transaction"


def copied(made: dict[str, Any], root: Path) -> Any:
    """A company's folders, to be broken."""
    company = made["neobank"]
    for name in ("data", "comms", "meta", "reports"):
        shutil.copytree(getattr(company, name), root / name)
    return evolve(company, **{name: root / name for name in ("data", "comms", "meta", "reports")})


def rewrite(folder: Path, relative: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change one Parquet file and its hash in the manifest, as a faulty generator would."""
    path = folder / relative
    pq.write_table(change(pq.read_table(path)), path)
    rehash(folder, relative)


def rehash(folder: Path, relative: str) -> None:
    manifest = read_manifest(folder)
    if relative in manifest.files:
        files = {**manifest.files, relative: sha256_of(folder / relative)}
        write_manifest(folder, evolve(manifest, files=files))


def replaced(table: pa.Table, column: str, values: Any) -> pa.Table:
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    return table.set_column(place, field, values.cast(field.type))


def part(table: str) -> str:
    return f"{table}/part-00000.parquet"


def every(table: pa.Table, step: int) -> pa.Array:
    return pa.array([row % step == 0 for row in range(table.num_rows)])


def null_keys(company: Any) -> None:
    rewrite(
        company.data,
        part(TRANSACTIONS),
        lambda t: replaced(t, "card_id", pc.if_else(every(t, 3), None, t["card_id"])),
    )


def other_type(company: Any) -> None:
    rewrite(
        company.data,
        part("dim_plan"),
        lambda t: t.set_column(0, "plan_id", t["plan_id"].cast(pa.int32())),
    )


def fewer_rows(company: Any) -> None:
    rewrite(company.data, part("dim_merchant"), lambda t: t.slice(0, t.num_rows // 3))


def twice(company: Any) -> None:
    rewrite(company.data, part("dim_customer"), lambda t: pa.concat_tables([t, t.slice(0, 5)]))


def late(company: Any) -> None:
    hours = pa.scalar(timedelta(hours=10), pa.duration("us"))
    rewrite(
        company.data,
        part(TRANSACTIONS),
        lambda t: replaced(t, "loaded_at", pc.add(t["loaded_at"], hours)),
    )


def into_the_gap(company: Any) -> None:
    gap = next(
        i
        for i in pq.read_table(company.meta / "incidents.parquet").to_pylist()
        if i["kind"] == "write_gap"
    )
    moment = (gap["start"] + timedelta(hours=1)).replace(tzinfo=None)

    def change(table: pa.Table) -> pa.Table:
        first = pa.array([row == 0 for row in range(table.num_rows)])
        return replaced(
            table,
            "loaded_at",
            pc.if_else(first, pa.scalar(moment, table["loaded_at"].type), table["loaded_at"]),
        )

    rewrite(company.data, part(gap["table"]), change)


def forgotten_defects(company: Any) -> None:
    rewrite(company.meta, "ledger.parquet", lambda t: t.filter(pc.invert(every(t, 50))))


def fewer_threads(company: Any) -> None:
    def change(table: pa.Table) -> pa.Table:
        gone = [f"t{number:06d}" for number in range(0, 300, 4)]
        return table.filter(pc.invert(pc.is_in(table["thread_id"], pa.array(gone))))

    rewrite(company.comms, "slack_messages.parquet", change)


def only_managers(company: Any) -> None:
    rewrite(
        company.comms,
        "comms_users.parquet",
        lambda t: replaced(t, "role", pa.array(["exec"] * t.num_rows)),
    )


def an_address(company: Any) -> None:
    rewrite(
        company.comms,
        "nlq.parquet",
        lambda t: replaced(
            t, "query_text", pc.if_else(every(t, 50), "ask jane.doe@company.com", t["query_text"])
        ),
    )


def long_texts(company: Any) -> None:
    rewrite(
        company.comms,
        "slack_messages.parquet",
        lambda t: replaced(t, "text", pc.if_else(every(t, 90), "late again " * 60, t["text"])),
    )


def broken_sql(company: Any) -> None:
    rewrite(
        company.comms,
        "nlq.parquet",
        lambda t: replaced(
            t, "generated_sql", pc.if_else(every(t, 5), "SELECT FROM WHERE (", t["generated_sql"])
        ),
    )


def a_ninth_theme(company: Any) -> None:
    rewrite(
        company.meta,
        "labels_nlq.parquet",
        lambda t: replaced(
            t, "theme", pc.if_else(every(t, 40), "plants_in_the_office", t["theme"])
        ),
    )


def one_theme(company: Any) -> None:
    rewrite(
        company.meta,
        "labels_nlq.parquet",
        lambda t: replaced(t, "theme", pa.array(["duplicates_dedup"] * t.num_rows)),
    )


def another_week(company: Any) -> None:
    days = pa.scalar(timedelta(days=11), pa.duration("us"))
    rewrite(
        company.comms,
        "slack_messages.parquet",
        lambda t: replaced(t, "ts", pc.subtract(t["ts"], days)),
    )


def another_amount(company: Any) -> None:
    rewrite(
        company.data,
        part(TRANSACTIONS),
        lambda t: replaced(t, "amount_cents", pc.add(t["amount_cents"], 1)),
    )


def another_word(company: Any) -> None:
    rewrite(
        company.comms,
        "nlq.parquet",
        lambda t: replaced(t, "query_text", pc.if_else(every(t, 90), "why?", t["query_text"])),
    )


def overspent(company: Any) -> None:
    path = company.comms / "budget.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "actual_usd": 5.0}))
    rehash(company.comms, "budget.json")


def touched(company: Any) -> None:
    path = company.comms / "budget.json"
    path.write_text(path.read_text() + "\n")


BREAKS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a file that was touched": (touched, "files"),
    "a column of another type": (other_type, "schema_types"),
    "two thirds of the merchants gone": (fewer_rows, "volumes"),
    "customers that are there twice": (twice, "clean_keys"),
    "a third of a key nulled": (null_keys, "quality_targets"),
    "loads ten hours later": (late, "ingest_lag"),
    "a load inside the write gap": (into_the_gap, "incidents_visible"),
    "defects that the ledger forgot": (forgotten_defects, "ledger"),
    "a quarter of the threads gone": (fewer_threads, "comms_volumes"),
    "nobody but managers": (only_managers, "comms_people"),
    "a real address in a text": (an_address, "comms_people"),
    "texts that are too long": (long_texts, "comms_lengths"),
    "SQL that does not parse": (broken_sql, "nlq_sql"),
    "a theme that does not exist": (a_ninth_theme, "taxonomy"),
    "one theme only": (one_theme, "theme_mix"),
    "threads eleven days from their incident": (another_week, "incident_correlation"),
    "amounts that the seed does not give": (another_amount, "reproducible"),
    "words that the seed does not give": (another_word, "reproducible_comms"),
    "more spent than the cap": (overspent, "spend"),
}


def validated(company: Any) -> Any:
    return dnr_core.validate(
        company.data,
        comms=company.comms,
        meta=company.meta,
        reports=company.reports,
        context=CONTEXT,
    )


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_fails_its_check(name: str, made: dict[str, Any], tmp_path: Path) -> None:
    """The check of the broken property fails, and says where to look."""
    change, check = BREAKS[name]
    company = copied(made, tmp_path)
    change(company)
    summary = validated(company)
    assert check in summary.failed, summary
    told = next(r for r in summary.results if r.name == check and r.status == "failed")
    assert told.measured
    assert told.expected
    assert told.where_to_look


def test_a_sound_company_passes_and_every_builtin_check_has_its_break(made: dict[str, Any]) -> None:
    """Nothing fails unbroken; no check is without a broken company that shows that it can fail."""
    company = made["neobank"]
    summary = validated(company)
    assert summary.failed == ()
    builtin = next(p for p in CONTEXT.catalogue.plugins if p.name == "builtin")
    # Whether incidents were detected can only be judged above this size; its break is below.
    assert set(builtin.brings["checks"]) - {"incidents_detected"} == {
        check for _, check in BREAKS.values()
    }


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A neobank of six months whose card transactions come by the hundred a day, with its report."""
    root = tmp_path_factory.mktemp("busy")
    dnr_core.generate_warehouse(
        "neobank",
        scale=0.12,
        months=6,
        out=root / "data",
        meta=root / "meta",
        context=CONTEXT,
    )
    dnr_core.run_report(root / "data", out=root / "reports", context=CONTEXT)
    return root


def detection(root: Any) -> Any:
    summary = dnr_core.validate(
        root / "data", meta=root / "meta", reports=root / "reports", context=CONTEXT
    )
    return next(r for r in summary.results if r.name == "incidents_detected")


def test_incidents_that_the_report_missed_fail_their_check(busy: Any, tmp_path: Path) -> None:
    """A report that found them passes; one that lists none, or others, fails and names them."""
    sound = detection(busy)
    assert sound.status == "passed", sound
    blind = tmp_path / "blind"
    shutil.copytree(busy, blind)
    path = blind / "reports" / "data_health.json"
    document = json.loads(path.read_text("utf-8"))
    others = [{**i, "table": "fact_subscription_invoice"} for i in document["incidents"]]
    for incidents in ([], others):
        path.write_text(json.dumps({**document, "incidents": incidents}))
        rehash(blind / "reports", "data_health.json")
        broken = detection(blind)
        assert broken.status == "failed"
        assert "0 of" in broken.measured
        assert "null_spike-01" in broken.measured


def test_no_check_takes_its_target_from_what_the_generator_wrote_down(
    made: dict[str, Any], tmp_path: Path
) -> None:
    """Targets and measures that the maker noted in its manifest may say anything: nothing changes."""
    company = copied(made, tmp_path)
    before = validated(company).results
    manifest = read_manifest(company.data)
    assert manifest.extra["calibration"]

    def nonsense(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: nonsense(part) for name, part in value.items()}
        if isinstance(value, list):
            return [nonsense(part) for part in value]
        return 0.77 if isinstance(value, float) else value

    extra = {**manifest.extra, "calibration": nonsense(manifest.extra["calibration"])}
    assert extra != manifest.extra
    write_manifest(company.data, evolve(manifest, extra=extra))
    assert validated(company).results == before


def test_folders_of_two_companies_are_refused(made: dict[str, Any]) -> None:
    """A warehouse and the messages of another company are never checked together."""
    from dnr_core.errors import InputError

    with pytest.raises(InputError, match="belongs to 'marketplace'"):
        dnr_core.validate(made["neobank"].data, comms=made["marketplace"].comms, context=CONTEXT)


def test_a_check_that_cannot_run_counts_as_failed_and_the_others_go_on(
    made: dict[str, Any],
) -> None:
    """A plugin's faulty check is named; it hides none of the other outcomes."""

    class Plugin:
        @hookimpl
        def dnr_qc_checks(self) -> list[Check]:
            return [Check("faulty", "A check with a fault", run=lambda _context: 1 / 0)]

    context = open_context(environ={}, catalogue=load_plugins(extra=[Plugin()]))
    summary = dnr_core.validate(made["neobank"].data, context=context)
    assert summary.failed == ("faulty",)
    assert "ZeroDivisionError" in next(r.measured for r in summary.results if r.name == "faulty")
    assert sum(r.status == "passed" for r in summary.results) > 10
