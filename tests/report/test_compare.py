"""Against an earlier report: what is new, better, worse and solved, and what the fix was worth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from attrs import evolve

from dnr_core.errors import InputError
from dnr_core.report import Report, read_earlier
from dnr_core.report.json_ import schema
from dnr_core.workspace import write_json


def key(theme: str, table: str) -> str:
    return f"{theme}-{table}".replace("_", "-")


@pytest.fixture
def since(
    report_of: Callable[..., Report], tmp_path: Path
) -> Callable[[Any, Any, Any, Any], dict[str, Any]]:
    """Compare `(health then, talk then, health now, talk now)`: the document's part on it."""

    def compare(then: Any, said: Any, now: Any, says: Any) -> dict[str, Any]:
        before = evolve(then, as_of=then.as_of - timedelta(days=60))
        folder = report_of(before, said).save(tmp_path / "then")
        report = report_of(now, says, earlier=read_earlier(folder, "shop"))
        jsonschema.validate(json.loads(json.dumps(report.document)), schema("report"))
        found: dict[str, Any] = report.document["compare"]
        return found

    return compare


def states(compare: dict[str, Any]) -> dict[str, str]:
    return {row["id"]: row["state"] for row in compare["rows"]}


def around(share: float) -> Callable[[int], float]:
    """A share that scatters a little from day to day."""
    return lambda number: share * (1 + 0.1 * (number % 5 - 2))


def test_each_change_is_named_and_the_fix_has_its_worth(made: ModuleType, since: Any) -> None:
    """One need is solved, one worse, one better, one new; money is that of the lost rows."""
    then = made.health(
        {
            ("fact_order", "key_null"): around(0.06),
            ("fact_order", "duplicate"): around(0.01),
            ("fact_payment", "fk_failure"): around(0.10),
        }
    )
    now = made.health(
        {
            ("fact_order", "key_null"): around(0.006),
            ("fact_order", "duplicate"): around(0.05),
            ("fact_payment", "fk_failure"): around(0.04),
            ("fact_payment", "duplicate"): around(0.02),
        }
    )
    compare = since(then, None, now, None)
    assert states(compare) == {
        key("join_keys_orphans", "fact_order"): "solved",
        key("join_keys_orphans", "fact_payment"): "better",
        key("duplicates_dedup", "fact_order"): "worse",
        key("duplicates_dedup", "fact_payment"): "new",
    }
    rows = {row["id"]: row for row in compare["rows"]}
    solved = rows[key("join_keys_orphans", "fact_order")]
    # 1,000 rows a day of a dollar each: from 6 % of 30,000 dollars to 0.6 %.
    assert solved["worth"]["cents"] == 1000 * 30 * 100 * 54 // 1000
    assert rows[key("join_keys_orphans", "fact_payment")]["worth"]["cents"] == 180_000
    assert rows[key("duplicates_dedup", "fact_payment")]["change"]["cents"] == 60_000
    assert rows[key("duplicates_dedup", "fact_payment")]["worth"] is None
    assert compare["worth"]["cents"] == 162_000 + 180_000
    assert "one solved, one better, one worse and one new" in compare["sentence"]


def test_the_worth_is_counted_at_the_volume_of_today(made: ModuleType, since: Any) -> None:
    """A company that doubled saves twice of what it lost then."""
    then = made.health({("fact_order", "key_null"): 0.06})
    now = made.health({("fact_order", "key_null"): 0.0}, rows_a_day=2000)
    (row,) = since(then, None, now, None)["rows"]
    assert row["state"] == "solved"
    assert row["worth"]["cents"] == 2 * 180_000


def test_scatter_is_no_change(made: ModuleType, since: Any) -> None:
    """A share that moves less than its days do is neither better nor worse."""
    wild = made.health({("fact_order", "key_null"): lambda n: 0.04 + 0.03 * (n % 3 - 1)})
    moved = made.health({("fact_order", "key_null"): lambda n: 0.044 + 0.03 * (n % 3 - 1)})
    compare = since(wild, None, moved, None)
    assert states(compare) == {key("join_keys_orphans", "fact_order"): "same"}
    assert compare["worth"] is None
    assert "nothing changed beyond chance" in compare["sentence"]


def test_stepping_over_the_limit_by_chance_is_nothing_new(made: ModuleType, since: Any) -> None:
    """A share that scatters around its limit is neither solved nor new."""
    below = made.health({("fact_order", "key_null"): lambda n: 0.009 + 0.004 * (n % 5 - 2)})
    above = made.health({("fact_order", "key_null"): lambda n: 0.011 + 0.004 * (n % 5 - 2)})
    for then, now in ((below, above), (above, below)):
        assert set(states(since(then, None, now, None)).values()) <= {"same"}


def test_no_need_is_solved_by_moving_its_limit(made: ModuleType, since: Any) -> None:
    """Then's figure is judged by today's limit, and the page says that the limit moved."""
    then = made.health({("fact_order", "key_null"): 0.03})
    now = made.health({("fact_order", "key_null"): 0.03})
    slack = tuple(
        evolve(v, slo=5.0, passed=True) if v.kind == "key_null_pct" else v for v in now.slos
    )
    compare = since(then, None, evolve(now, slos=slack), None)
    assert "solved" not in states(compare).values()
    assert any("empty keys of fact_order from 1" in note for note in compare["notes"])


def test_a_table_that_is_gone_is_not_solved(made: ModuleType, since: Any) -> None:
    """What is not measured any more is said to be so."""
    then = made.health({("fact_order", "key_null"): 0.06, ("fact_payment", "duplicate"): 0.02})
    now = made.health({("fact_order", "key_null"): 0.06}, tables=("fact_order",))
    compare = since(then, None, now, None)
    assert states(compare)[key("duplicates_dedup", "fact_payment")] == "not_measured"
    assert compare["counts"]["solved"] == 0


def test_talk_that_went_silent_and_talk_that_is_new(made: ModuleType, since: Any) -> None:
    """Needs of talk alone compare by who asks; they claim no money."""
    sound = made.health({})
    stays = {("metric_definition_mismatch", "fact_payment"): 40}
    before = made.demand({("access_permissions_pii", "fact_order"): 40, **stays})
    after = made.demand({("new_field_schema_request", "fact_order"): 40, **stays})
    compare = since(sound, before, sound, after)
    found = {row["id"]: (row["state"], row["word"], row["change"]) for row in compare["rows"]}
    assert found == {
        key("new_field_schema_request", "fact_order"): ("new", "new", None),
        key("access_permissions_pii", "fact_order"): ("solved", "no longer asked for", None),
        key("metric_definition_mismatch", "fact_payment"): (
            "same",
            "no change beyond chance",
            None,
        ),
    }


def test_page_markdown_and_json_say_the_same(
    made: ModuleType, report_of: Callable[..., Report], tmp_path: Path
) -> None:
    """The sentence, the states and the worth stand in all three; sections are numbered in order."""
    then = made.health({("fact_order", "key_null"): around(0.06)})
    before = report_of(evolve(then, as_of=then.as_of - timedelta(days=60))).save(tmp_path / "then")
    now = made.health({("fact_payment", "duplicate"): around(0.02)})
    report = report_of(now, earlier=read_earlier(before, "shop"))
    folder = report.save(tmp_path / "now")
    page = (folder / "report.html").read_text("utf-8")
    summary = json.loads((folder / "exec_summary.json").read_text("utf-8"))
    jsonschema.validate(summary, schema("exec_summary"))
    compare = summary["compare"]
    for text in (compare["sentence"], compare["rows"][1]["worth_text"], "✓ solved", "▲ new"):
        assert text in page
        assert text in (folder / "exec_summary.md").read_text("utf-8")
    assert compare["sentence"] in str(report)
    numbers = re.findall(r'<h2 id="[a-z]+-h">(\d+)\. ', page)
    assert numbers == [str(n) for n in range(1, len(numbers) + 1)]
    assert 'id="since"' not in (before / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "manifest.json").unlink(), "did not finish"),
        (lambda f: _set(f, "manifest.json", kind="warehouse"), "holds a warehouse, not a report"),
        (lambda f: _set(f, "manifest.json", archetype="bank"), "is a report of 'bank'"),
        (lambda f: _set(f, "report.json", version=9), "written by a newer dnr"),
        (lambda f: _set(f, "report.json", format="x"), "no report of dnr"),
        (lambda f: _set(f, "report.json", needs=[{}]), "its files lack 'id'"),
        (lambda f: (f / "report.json").write_text("{"), "cannot read"),
        (lambda f: (f / "data_health.json").unlink(), "cannot read"),
    ],
)
def test_a_folder_that_cannot_be_compared_is_told_in_words(
    spoil: Callable[[Path], Any],
    message: str,
    made: ModuleType,
    report_of: Callable[..., Report],
    tmp_path: Path,
) -> None:
    """Each fault has a message of its own and says what to do."""
    folder = report_of(made.health({("fact_order", "key_null"): 0.06})).save(tmp_path / "then")
    spoil(folder)
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read_earlier(folder, "shop")
    assert error.value.hint


def _set(folder: Path, name: str, **values: Any) -> None:
    content = json.loads((folder / name).read_text("utf-8"))
    write_json(folder / name, {**content, **values})


@pytest.mark.parametrize(("days", "words"), [(0, "the same as-of"), (-9, "a later as-of")])
def test_only_an_earlier_report_compares(
    days: int, words: str, made: ModuleType, report_of: Callable[..., Report], tmp_path: Path
) -> None:
    """A report of the same day or a later one is refused, with both days in the message."""
    then = made.health({("fact_order", "key_null"): 0.06})
    shifted = evolve(then, as_of=then.as_of - timedelta(days=days))
    folder = report_of(shifted).save(tmp_path / "then")
    with pytest.raises(InputError, match=words):
        report_of(then, earlier=read_earlier(folder, "shop"))
