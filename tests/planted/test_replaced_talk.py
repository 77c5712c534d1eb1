"""Talk that is about something else, of other people and days, or of fewer sources."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import dnr_core
from dnr_core.api.context import open_context

CONTEXT = open_context(environ={})
DATA_THEMES = {"join_keys_orphans", "freshness_ingest_lag", "duplicates_dedup"}
PLANTS = (
    "the fern by the window needs water",
    "who moved the monstera to the kitchen?",
    "I can take a cutting of the pothos on Friday",
    "the cactus in the lobby is flowering",
    "please do not feed coffee to the ficus",
)
TEXTS = {
    "slack_messages": ("text",),
    "email_messages": ("subject", "body_text"),
    "nlq": ("query_text",),
}
Change = Callable[[str, pa.Table], pa.Table]


def changed(comms: Path, root: Path, change: Change) -> Path:
    """A copy of a folder of messages, each table of it changed."""
    folder = root / "comms"
    shutil.copytree(comms, folder)
    for name in TEXTS:
        path = folder / f"{name}.parquet"
        pq.write_table(change(name, pq.read_table(path)), path)
    return folder


def replaced(table: pa.Table, column: str, values: list[Any]) -> pa.Table:
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    return table.set_column(place, field, pa.array(values, field.type))


def plants(name: str, table: pa.Table) -> pa.Table:
    for column in TEXTS[name]:
        values = [PLANTS[row % len(PLANTS)] for row in range(table.num_rows)]
        table = replaced(table, column, values)
    return table


def shuffled(name: str, table: pa.Table) -> pa.Table:
    """Who said what on which day, drawn anew: texts stay, people and times change places."""
    order = list(range(table.num_rows))
    random.Random(7).shuffle(order)
    for column in ("ts", "from_id" if name == "email_messages" else "user_id"):
        values = table[column].to_pylist()
        table = replaced(table, column, [values[row] for row in order])
    return table


def without_mail(name: str, table: pa.Table) -> pa.Table:
    return table.slice(0, 0) if name == "email_messages" else table


@pytest.fixture(scope="module")
def reports(
    made: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """The documents of one company with its own talk, none, and talk changed in three ways."""
    company = made["neobank"]
    own = json.loads((company.reports / "report.json").read_text("utf-8"))
    found = {"own": own}
    silent = dnr_core.run_report(company.data, context=CONTEXT)
    found["silent"] = dict(silent.document)
    for name, change in {
        "plants": plants,
        "shuffled": shuffled,
        "without mail": without_mail,
    }.items():
        root = tmp_path_factory.mktemp("talk")
        comms = changed(company.comms, root, change)
        out = root / "report"
        dnr_core.run_report(company.data, comms=comms, out=out, context=CONTEXT)
        found[name] = json.loads((out / "report.json").read_text("utf-8"))
        found[name]["folder"] = str(out)
    found["own"]["folder"] = str(company.reports)
    return found


def cards(document: dict[str, Any]) -> list[tuple[str, str]]:
    return [(card["theme"], card["table"]) for card in document["cards"]]


def test_office_plants_make_no_need(reports: dict[str, dict[str, Any]]) -> None:
    """The cards are those of the warehouse alone, nobody asks for any, and demand is all but empty."""
    found = reports["plants"]
    assert cards(found) == cards(reports["silent"])
    assert {card["asks"]["items"] for card in found["cards"]} == {0}
    assert {card["asks"]["text"] for card in found["cards"]} == {"Nobody asks about it"}
    assert sum(theme["items"] for theme in found["themes"]["rows"]) == 0
    asked = [need for need in found["needs"] if need["asks"]["items"]]
    assert asked == []


def test_money_and_severity_do_not_listen(reports: dict[str, dict[str, Any]]) -> None:
    """Whatever is said, the health and the money of every need are those of the warehouse."""
    for name, found in reports.items():
        mine = {
            n["id"]: (n["money"].get("cents"), n["severity"])
            for n in found["needs"]
            if n["severity"]["affected_rows"]
        }
        theirs = {
            n["id"]: (n["money"].get("cents"), n["severity"])
            for n in reports["silent"]["needs"]
            if n["severity"]["affected_rows"]
        }
        assert mine == theirs, name
        assert found["health"] == reports["silent"]["health"], name


def test_shuffled_talk_adds_no_data_need(reports: dict[str, dict[str, Any]]) -> None:
    """Each data need on a card has broken rows of its own; people and days are other ones."""
    found = reports["shuffled"]
    for card in found["cards"]:
        if card["theme"] in DATA_THEMES:
            assert card["severity"]["affected_rows"] > 0
    roles = {role["role"]: role["items"] for role in found["themes"]["roles"]}
    assert roles != {role["role"]: role["items"] for role in reports["own"]["themes"]["roles"]}
    assert found["themes"]["by_month"] != reports["own"]["themes"]["by_month"]


def test_one_source_less_changes_weights_and_certainty_alone(
    reports: dict[str, dict[str, Any]],
) -> None:
    """Without the mails, the other sources weigh more; what they say is read as before."""
    own, found = reports["own"], reports["without mail"]
    weights = {s["source"]: s["weight"] for s in found["themes"]["sources"] if s["items"]}
    before = {s["source"]: s["weight"] for s in own["themes"]["sources"] if s["items"]}
    assert set(before) - set(weights) == {"email"}
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-6)
    assert all(weights[source] > before[source] for source in weights)
    for source in ("slack", "nlq"):
        mine, theirs = (
            pq.read_table(Path(folder) / f"predictions_{source}.parquet")
            for folder in (found["folder"], own["folder"])
        )
        assert mine.equals(theirs)
    places = [
        [(row["kind"], row["table"], row["start"]) for row in document["incidents"]["rows"]]
        for document in (found, own)
    ]
    assert places[0] == places[1]
    assert found["money"] == own["money"]
