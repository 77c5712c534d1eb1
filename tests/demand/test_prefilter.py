"""The prefilter against a plain reading of its rule, and against what it must not do."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs
import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnr_core.config.settings import PrefilterSettings
from dnr_core.demand.corpus import open_corpus
from dnr_core.demand.lexicon import WEIGHTS, build_lexicon
from dnr_core.demand.prefilter import all_items, merged, prefilter, threshold_points
from dnr_core.errors import CommsError, ConfigError
from dnr_core.model import DetectedIncident

TZ = "America/Los_Angeles"
START = datetime(2025, 3, 8, 20, 0, tzinfo=UTC)

# What a piece of text is, said by hand: the plain reading needs no pattern.
PIECES = {
    "orphans": ("data", ""),
    "Duplicates": ("data", ""),
    "dashboard": ("context", ""),
    "ROWS": ("context", ""),
    "lunch": ("near_miss", ""),
    "parking": ("near_miss", ""),
    "left  join": ("sql", ""),
    "fact_payment": ("table", "fact_payment"),
    "payouts": ("alias", "fact_payment"),
    "$1,234": ("figure", ""),
    "17 %": ("figure", ""),
    "hello": None,
    "orphansx": None,
    "fact_payment_2": None,
}
MESSAGE = st.lists(st.sampled_from(sorted(PIECES)), max_size=4)
THREAD = st.fixed_dictionaries(
    {
        "messages": st.lists(MESSAGE, min_size=1, max_size=4),
        "hours": st.integers(0, 60),
        "channel": st.sampled_from(["c1", "c2"]),
        "bucket": st.sampled_from(["analytics", "domain", "social"]),
        "user": st.sampled_from(["boss", "bi", "nobody"]),
        "code": st.booleans(),
        "link": st.booleans(),
    }
)
ROLES = {"boss": "exec", "bi": "bi", "nobody": "other"}
INCIDENT = DetectedIncident(
    "null_spike", "fact_payment", "order_id", date(2025, 3, 10), date(2025, 3, 10), 0.1, 0.02, 5
)


def _run(comms, schema, chosen, incidents=(), threshold=0.35):
    with open_corpus(comms) as connection:
        prefilter(
            connection,
            build_lexicon(chosen, schema),
            chosen,
            threshold=threshold,
            tz=TZ,
            incidents=incidents,
        )
        return all_items(connection).to_pylist()


def _plainly(threads, fallback):
    """The rule once more, thread by thread, in plain Python."""
    zone = ZoneInfo(TZ)
    # Hours are real hours: the clocks went forward on 9 March.
    begins = datetime(2025, 3, 10, tzinfo=zone).astimezone(UTC) - timedelta(hours=24)
    ends = datetime(2025, 3, 11, tzinfo=zone).astimezone(UTC) + timedelta(hours=24)
    found = {}
    for number, thread in enumerate(threads):
        at = START + timedelta(hours=thread["hours"])
        places: dict[tuple[str, str], str] = {}
        tables = set()
        for place, pieces in enumerate(thread["messages"]):
            for piece in pieces:
                if PIECES[piece] is None:
                    continue
                group, table = PIECES[piece]
                term = "#" if group == "figure" else piece.lower()
                where = "root" if place == 0 else "reply"
                if places.get((group, term)) != "root":
                    places[group, term] = where
                tables |= {table} if table else set()
        near = [w for (g, _), w in places.items() if g == "near_miss"]
        points = max(sum(WEIGHTS[f"near_miss_{w}"] for w in near), WEIGHTS["near_miss_least"])
        points += sum(
            WEIGHTS[f"{g}_{w}"] for (g, _), w in places.items() if g not in {"near_miss", "sql"}
        )
        points += WEIGHTS["sql"] if any(g == "sql" for g, _ in places) else 0
        points += WEIGHTS["code"] * thread["code"] + WEIGHTS["link"] * thread["link"]
        points += WEIGHTS.get(f"role_{ROLES[thread['user']]}", 0)
        if begins <= at < ends:
            points += WEIGHTS["incident_table" if "fact_payment" in tables else "incident"]
        points = max(0, min(100, points))
        found[f"t{number:03}"] = {
            "score": points / 100,
            "day": at.astimezone(zone).date(),
            "channel": thread["channel"],
            "admitted": thread["bucket"] != "social",
            "at": at,
            "points": points,
        }
    groups = defaultdict(list)
    for name, row in found.items():
        groups[row["channel"], row["day"]].append(name)
    for names in groups.values():
        by_score = {n for n in names if found[n]["admitted"] and found[n]["points"] >= 35}
        rest = sorted(
            (n for n in names if found[n]["admitted"]),
            key=lambda n: (-found[n]["points"], -found[n]["at"].timestamp(), n),
        )
        for name in names:
            found[name]["kept_by"] = "score" if name in by_score else ""
        if not by_score:
            for name in rest[:fallback]:
                found[name]["kept_by"] = "fallback"
    return found


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(threads=st.lists(THREAD, min_size=1, max_size=12), fallback=st.integers(0, 3))
def test_it_does_what_a_plain_reading_of_the_rule_does(threads, fallback, new_talk, company):
    """Score, local day and kept_by of every thread equal those of a loop in plain Python."""
    talk = new_talk()
    for user, role in ROLES.items():
        talk.person(user, role)
    for number, thread in enumerate(threads):
        talk.thread(
            f"t{number:03}",
            [" zzz ".join(pieces) for pieces in thread["messages"]],
            at=START + timedelta(hours=thread["hours"]),
            channel=thread["channel"],
            bucket=thread["bucket"],
            users=[thread["user"]],
            has_code=thread["code"],
            has_link=thread["link"],
        )
    chosen = PrefilterSettings(fallback_per_channel_day=fallback)
    rows = _run(talk.tables(), company.schema, chosen, [INCIDENT])
    expected = _plainly(threads, fallback)
    for row in rows:
        want = expected[row["item_id"]]
        got = (row["score"], row["day"], row["kept_by"])
        assert got == (want["score"], want["day"], want["kept_by"])
    assert len(rows) == len(threads)


def test_the_order_of_rows_changes_nothing(talk, company):
    """Messages in any order give the same items, in the same order."""
    for number in range(20):
        talk.thread(f"t{number}", ["orphans in fact_payment", "lunch", "still orphans"])
    comms = talk.tables()
    first = _run(comms, company.schema, PrefilterSettings())
    talk.slack.reverse()
    assert _run(talk.tables(), company.schema, PrefilterSettings()) == first


def test_reasons_say_what_counted(talk, company):
    """Each item carries the words and signals that made its score."""
    talk.person("u1", "exec").thread("t", ["fact_payment is stale", "lunch?"], has_link=True)
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings(), [])
    assert set(row["reasons"]) == {
        "table:fact_payment",
        "term:stale",
        "near_miss:lunch",
        "link",
        "role:exec",
    }


def test_without_incidents_nothing_is_lifted_by_one(talk, company):
    """The boost comes from what health detected, and from nothing else."""
    talk.thread("t", ["payouts look odd"], at=datetime(2025, 3, 10, 20, tzinfo=UTC))
    (alone,) = _run(talk.tables(), company.schema, PrefilterSettings())
    (lifted,) = _run(talk.tables(), company.schema, PrefilterSettings(), [INCIDENT])
    assert round(lifted["score"] - alone["score"], 2) == WEIGHTS["incident_table"] / 100
    assert "incident:fact_payment" in lifted["reasons"]


def test_buckets_outside_the_list_are_never_kept(talk, company):
    """A channel-day of a bucket that is not allowed has no fallback either."""
    talk.thread("t", ["orphans, duplicates, stale"], bucket="social")
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings())
    assert row["kept_by"] == ""
    assert "bucket" in row["reasons"]


def test_words_and_weights_of_the_settings_replace_the_packaged_ones(talk, company):
    """A company's own word counts, and the packaged ones no longer do."""
    talk.thread("own", ["zorblax"], channel="a").thread("packaged", ["orphans"], channel="b")
    chosen = PrefilterSettings(data_terms=("Zorblax",), weights={"data_root": 77})
    scores = {r["item_id"]: r["score"] for r in _run(talk.tables(), company.schema, chosen)}
    assert scores == {"own": 0.77, "packaged": 0.0}


def test_an_unknown_weight_is_refused_by_name(company):
    """A weight that the rule does not have is an error that lists the known ones."""
    with pytest.raises(ConfigError, match="data_rot") as caught:
        build_lexicon(PrefilterSettings(weights={"data_rot": 1}), company.schema)
    assert "data_root" in caught.value.hint


def test_queries_are_not_filtered(talk, company):
    """A query has no score and no reasons, and is left to the provider."""
    talk.query("q", "lunch parking birthday")
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings())
    assert (row["source"], row["score"], row["reasons"], row["kept_by"]) == ("nlq", None, [], "")


def test_a_thread_whose_root_is_missing_starts_with_its_earliest_message(talk, company):
    """An export that begins in the middle of a thread loses no thread."""
    talk.thread("t", ["root that was not exported", "stale table", "thanks"])
    del talk.slack[0]
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings())
    assert row["root_id"] == "t-1"
    assert row["score"] == (WEIGHTS["data_root"] + WEIGHTS["context_root"]) / 100


def test_a_days_edge_is_local(talk, company):
    """A message of 7:30 UTC in winter belongs to the local day before."""
    talk.thread("t", ["stale"], at=datetime(2025, 1, 2, 7, 30, tzinfo=UTC))
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings())
    assert row["day"] == date(2025, 1, 1)


@pytest.mark.parametrize(
    ("threshold", "points"), [(0, 0), (0.35, 35), (0.29, 29), (0.351, 36), (1, 100)]
)
def test_a_threshold_is_reached_by_the_least_points_that_are_not_below_it(threshold, points):
    """Binary fractions do not move the threshold by a point."""
    assert threshold_points(threshold) == points


def test_overlapping_spans_are_one():
    """Spans that touch or overlap are joined, whatever their order."""
    a, b, c, d = (datetime(2025, 1, day, tzinfo=UTC) for day in (1, 2, 3, 5))
    assert merged([(c, d), (a, b), (b, c)]) == [(a, d)]


def test_a_bot_is_not_taken_for_someone_who_asks(talk, company):
    """A thread that a bot begins is kept neither by its words nor for want of a better one."""
    loud = "fact_payment is stale: 12,345 orphans, duplicates, backfill"
    talk.person("robot", "bot").thread("bot", [loud], users=["robot"], channel="a")
    talk.thread("person", [loud], channel="b").thread("dull", ["hello"], channel="c")
    rows = {r["item_id"]: r for r in _run(talk.tables(), company.schema, PrefilterSettings())}
    assert {name: row["kept_by"] for name, row in rows.items()} == {
        "bot": "",
        "person": "score",
        "dull": "fallback",
    }
    assert (rows["bot"]["score"], "role:bot" in rows["bot"]["reasons"]) == (0.0, True)
    heard = PrefilterSettings(weights={"role_bot": 0})
    assert all(row["kept_by"] for row in _run(talk.tables(), company.schema, heard))


def test_of_several_roots_the_earliest_is_the_first_and_all_count_as_roots(talk, company):
    """Two messages that answer none, in one thread: the item starts with the earlier one."""
    talk.thread("t", ["lunch", "stale"])
    talk.slack[1]["reply_to"] = None
    talk.slack.reverse()
    (row,) = _run(talk.tables(), company.schema, PrefilterSettings())
    assert row["root_id"] == "t-0"
    assert row["score"] == (WEIGHTS["data_root"] + WEIGHTS["near_miss_root"]) / 100


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        ("America/St_Johns", datetime(2006, 10, 29, 0, 0, tzinfo=UTC)),
        ("Australia/Lord_Howe", datetime(2025, 4, 5, 12, 0, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2025, 3, 1, 17, 0, tzinfo=UTC)),
        ("America/Havana", datetime(2025, 11, 2, 2, 0, tzinfo=UTC)),
        ("Africa/Monrovia", datetime(1969, 12, 31, 23, 0, tzinfo=UTC)),
    ],
)
def test_local_days_are_those_of_the_zone_at_every_minute(zone, start, talk, company):
    """Around midnight, clock changes and odd offsets each minute has the day that its zone says."""
    expected = {}
    for minute in range(5 * 60):
        at = start + timedelta(minutes=minute, seconds=7)
        talk.thread(f"t{minute:03}", ["stale"], at=at)
        expected[f"t{minute:03}"] = at.astimezone(ZoneInfo(zone)).date()
    with open_corpus(talk.tables()) as connection:
        chosen = PrefilterSettings()
        lexicon = build_lexicon(chosen, company.schema)
        prefilter(connection, lexicon, chosen, threshold=0.35, tz=zone)
        rows = all_items(connection).to_pylist()
    assert {row["item_id"]: row["day"] for row in rows} == expected
    assert len(set(expected.values())) == 2


@pytest.mark.parametrize("folder", ["talk", "talk's [best]"])
def test_files_are_read_as_tables_are(folder, talk, company, tmp_path):
    """A data set on disk gives what the same rows in memory give, whatever its folder is called."""
    for number in range(30):
        talk.thread(f"t{number}", ["orphans in fact_payment", "lunch"], channel=f"c{number % 3}")
    talk.mail("m", "the load is stale")
    tables = talk.tables()
    home = tmp_path / folder
    home.mkdir()
    for name in ("slack", "email"):
        pq.write_table(getattr(tables, name), home / f"{name}.parquet", row_group_size=16)
    on_disk = attrs.evolve(
        tables, slack=ds.dataset(home / "slack.parquet"), email=ds.dataset(home / "email.parquet")
    )
    chosen = PrefilterSettings()
    in_memory = _run(tables, company.schema, chosen, [INCIDENT])
    assert _run(on_disk, company.schema, chosen, [INCIDENT]) == in_memory


def test_the_connection_opens_the_files_of_the_talk_and_no_others(talk, tmp_path):
    """Beside the data set that was given, nothing on the disk can be read, nor that be changed."""
    given, other = tmp_path / "given.parquet", tmp_path / "other.parquet"
    pq.write_table(talk.thread("t", ["hello"]).tables().slack, given)
    pq.write_table(talk.tables().slack, other)
    comms = attrs.evolve(talk.tables(), slack=ds.dataset(given))
    with open_corpus(comms) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        for refused in (
            f"FROM read_parquet('{other}')",
            f"COPY (SELECT 1) TO '{tmp_path / 'new.csv'}'",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(refused)


def test_a_damaged_file_is_named_and_no_fault_of_the_engine(talk, company, tmp_path):
    """Rubbish in the middle of a file of talk is an error for a person, with what to do."""
    for number in range(2000):
        talk.thread(f"t{number}", [f"orphans {number * 7919}"])
    path = tmp_path / "slack.parquet"
    pq.write_table(talk.tables().slack, path)
    content = bytearray(path.read_bytes())
    content[400 : len(content) // 2] = bytes(len(content) // 2 - 400)
    path.write_bytes(content)
    comms = attrs.evolve(talk.tables(), slack=ds.dataset(path))
    with pytest.raises(CommsError, match=r"slack\.parquet") as caught:
        _run(comms, company.schema, PrefilterSettings())
    assert "import-comms" in caught.value.hint
