"""What is decided before any row: names, mixes, scales, dates, and where incidents fall."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dnr_core.errors import ConfigError, FolderError, UnknownNameError
from dnr_core.model import Company, DefectProfile, DefectRate, IncidentRate
from dnr_core.plugins import load_plugins
from dnr_core.warehouse import (
    company_of,
    expected_volumes,
    generate_warehouse,
    make_plan,
    plan_incidents,
    planned_incidents,
)

LOS_ANGELES = "America/Los_Angeles"


@pytest.fixture
def shop(make_shop):
    """A shop whose sales and lines are busy enough for incidents to be seen."""
    return make_shop(1_000_000, 50_000)


@pytest.fixture
def company():
    """Eighteen months up to July 2025."""
    return Company("shop", 42, 1.0, 18, datetime(2025, 7, 1, 7, tzinfo=UTC), LOS_ANGELES, "T1", 90)


@pytest.fixture(scope="module")
def typical(make_catalogue):
    """The shipped profile."""
    return make_catalogue().profile("typical")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"as_of": datetime(2025, 3, 9, 2, 30)}, "does not exist"),
        ({"as_of": datetime(2025, 7, 1, 12, tzinfo=UTC)}, "not midnight"),
        (
            {"months": 600, "as_of": datetime(40, 1, 1, tzinfo=ZoneInfo("UTC")), "tz": "UTC"},
            "year 1",
        ),
        ({"quality": "tipical"}, "tipical"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    shop, make_catalogue, settings, tmp_path, changes, told
):
    """As-of instants and profiles that make no sense are refused before a file."""
    with pytest.raises(ConfigError, match=told):
        generate_warehouse(
            "shop",
            settings(**changes),
            make_catalogue(shop=shop),
            out=tmp_path / "d",
            meta=tmp_path / "m",
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", ["0", "-2", "inf", "nan", "huge", 0, -1.5])
def test_a_scale_that_is_none_is_refused(shop, make_catalogue, settings, scale):
    """A scale is a name or a positive finite number."""
    with pytest.raises(ConfigError, match="must be one of tiny, evaluation or a number above 0"):
        make_plan(shop, settings().warehouse, make_catalogue(), scale=scale)


def test_an_archetype_in_no_time_zone_is_refused(make_shop, make_catalogue, settings):
    """An archetype's own time zone has to exist."""
    with pytest.raises(ConfigError, match="no time zone"):
        make_plan(make_shop(tz="America/Atlantis"), settings().warehouse, make_catalogue())


def test_a_local_midnight_without_a_zone_is_taken(shop, make_catalogue, settings):
    """An as-of without a zone is local time; summer and winter midnights differ in UTC."""
    for month, hour in ((1, 8), (7, 7)):
        plan = make_plan(shop, settings(as_of=datetime(2025, month, 1)).warehouse, make_catalogue())
        assert plan.company.as_of == datetime(2025, month, 1, hour, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (DefectRate("key_null", 0.02, tables=["fact_sail"]), "no table 'fact_sail'"),
        (DefectRate("key_null", 0.02, columns=["colour"]), "no column 'colour'"),
        (DefectRate("key_null", 0.41), "not possible"),
        (DefectRate("key_null", -0.1), "not possible"),
        (DefectRate("moths", 0.1), "moths"),
        (DefectRate("key_null", 0.1, options={"where": {"colour": "red"}}), "colour"),
        (DefectRate("fk_failure", 0.1, options={"temporal_share": 2}), "temporal_share"),
    ],
)
def test_profiles_that_cannot_be_used_are_refused(
    make_shop, make_catalogue, settings, tmp_path, rate, told
):
    """A profile that names what is not there, or asks for what cannot be, is told by name, before any
    file."""
    catalogue = make_catalogue(
        DefectProfile("mine", "Mine", rates=[rate]), shop=make_shop(500, 500)
    )
    with pytest.raises(ConfigError, match=told):
        generate_warehouse(
            "shop", settings(quality="mine"), catalogue, out=tmp_path / "d", meta=tmp_path / "m"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("scale", ["100000000", "1e308"])
def test_a_company_larger_than_the_disk_is_refused_with_an_estimate(
    shop, make_catalogue, settings, tmp_path, scale
):
    """A scale that the disk cannot hold is refused at once, with the size and the room."""
    with pytest.raises(FolderError, match=r"needs about [\d,.]+( and more)? GB.*GB free"):
        generate_warehouse(
            "shop",
            settings(scale=scale),
            make_catalogue(shop=shop),
            out=tmp_path / "d",
            meta=tmp_path / "m",
        )


def test_a_snapshot_is_expected_to_have_its_days(company):
    """A longer retention is more rows of the snapshot to expect, up to the history's days, and
    nothing else is more."""
    archetype = load_plugins().archetype("marketplace")
    base, longer, whole = (
        expected_volumes(archetype, evolve(company, snapshot_days=days))
        for days in (90, 180, 100_000)
    )
    snapshots = {table.name for table in archetype.schema.tables if table.kind == "snapshot"}
    assert snapshots
    for name, rows in base.items():
        assert longer[name] == (2 * rows if name in snapshots else rows)
        assert whole[name] == (round(rows * 547 / 90) if name in snapshots else rows)


@pytest.mark.parametrize(("quality", "times"), [("typical", 1), ("severe", 3)])
def test_shipped_profiles_have_their_incidents(shop, company, make_catalogue, quality, times):
    """18 months have two null spikes in each of six quarters, a lag surge in each half-year, and
    one write gap; `severe` three times as many, whatever the seed."""
    profile, here = make_catalogue().profile(quality), ZoneInfo(LOS_ANGELES)
    for seed in range(40):
        seeded = evolve(company, seed=seed)
        incidents = plan_incidents(shop, seeded, profile, expected_volumes(shop, seeded))
        quarters, halves = Counter(), Counter()
        for incident in incidents:
            day = incident.start.astimezone(here)
            quarters[incident.kind, day.year, (day.month - 1) // 3] += 1
            halves[incident.kind, day.year, (day.month - 1) // 6] += 1
        spikes = [count for (kind, *_), count in quarters.items() if kind == "null_spike"]
        surges = [count for (kind, *_), count in halves.items() if kind == "lag_surge"]
        assert spikes == [2 * times] * 6
        assert surges == [times] * 3
        assert Counter(i.kind for i in incidents)["write_gap"] == times
        assert len({i.id for i in incidents}) == 16 * times


def test_one_day_incidents_are_local_days(shop, company, typical):
    """A spike or surge lasts from local midnight to local midnight, 23 or 25 hours included."""
    here = ZoneInfo(LOS_ANGELES)
    lengths = set()
    for seed in range(30):
        seeded = evolve(company, seed=seed)
        for incident in plan_incidents(shop, seeded, typical, expected_volumes(shop, seeded)):
            if incident.kind == "write_gap":
                assert incident.end - incident.start == timedelta(hours=6)
                continue
            start, end = incident.start.astimezone(here), incident.end.astimezone(here)
            assert (start.hour, end.hour) == (0, 0)
            assert end.date() - start.date() == timedelta(days=1)
            lengths.add(incident.end - incident.start)
    assert timedelta(hours=24) in lengths


@hypothesis_settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**63), months=st.integers(1, 40), sales=st.integers(1, 3_000_000))
def test_incidents_lie_in_the_history_on_busy_tables(make_shop, typical, seed, months, sales):
    """At any size every incident lies within the history and on a fact table's own columns;
    small companies have theirs on the largest table."""
    shop = make_shop(sales)
    as_of = datetime(2025, 7, 1, 7, tzinfo=UTC)
    company = Company("shop", seed, 1.0, months, as_of, LOS_ANGELES, "T1", 90)
    volumes = expected_volumes(shop, company)
    incidents = plan_incidents(shop, company, typical, volumes)
    assert incidents == plan_incidents(shop, company, typical, dict(reversed(volumes.items())))
    days = months * 31
    for incident in incidents:
        assert as_of - timedelta(days=days) <= incident.start < incident.end <= as_of
        table = shop.schema[incident.table]
        wanted = (table.loaded_at,) if incident.kind != "null_spike" else table.required_keys
        assert set(incident.columns) <= set(wanted)
        if max(volumes[t.name] for t in shop.schema.facts) < 28 * 500 * months:
            assert incident.table == "fact_line"


def test_the_manifest_is_enough_to_plan_incidents_anew(
    make_shop, make_catalogue, settings, tmp_path, sql
):
    """From a manifest alone come the company and the very incidents that the truth holds."""
    shop = make_shop(3_000, 1_000)
    catalogue = make_catalogue(shop=shop)
    made = generate_warehouse(
        "shop",
        settings(seed=5, scale="0.5", months=7),
        catalogue,
        out=tmp_path / "d",
        meta=tmp_path / "m",
    )
    planned = planned_incidents(made.manifest, shop, catalogue)
    told = sql(
        tmp_path / "d",
        """SELECT id, kind, "table", columns, start, "end" FROM incidents""",
        tmp_path / "m",
    )
    assert told == [
        (
            i.id,
            i.kind,
            i.table,
            list(i.columns),
            i.start.replace(tzinfo=None),
            i.end.replace(tzinfo=None),
        )
        for i in planned
    ]
    assert planned
    company = company_of(made.manifest)
    assert (company.seed, company.scale, company.months) == (5, 0.5, 7)


def test_a_profile_s_own_incidents_keep_to_their_table_and_column(shop, company):
    """An incident rate that names table and column falls there and nowhere else."""
    profile = DefectProfile(
        "mine",
        "Mine",
        incidents=[
            IncidentRate(
                "null_spike",
                3,
                0.2,
                tables=["fact_line"],
                columns=["product_id"],
                breaks="required_keys",
            )
        ],
    )
    incidents = plan_incidents(shop, company, profile, expected_volumes(shop, company))
    assert {(i.table, i.columns) for i in incidents} == {("fact_line", ("product_id",))}
    assert len(incidents) == 18


def test_an_unknown_archetype_is_told(shop, make_catalogue, settings, tmp_path):
    """An archetype that nobody brings is an unknown name."""
    with pytest.raises(UnknownNameError, match="shob"):
        generate_warehouse(
            "shob", settings(), make_catalogue(shop=shop), out=tmp_path / "d", meta=tmp_path / "m"
        )
