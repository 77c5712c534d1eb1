"""Defect profiles as YAML files: read strictly, planned like any other, and kept by the manifest."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import yaml

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.config.profiles import find_profile, profile_as_dict, profile_from, read_profile
from dnr_core.errors import ConfigError, UnknownNameError
from dnr_core.model import DefectProfile, DefectRate, IncidentRate
from dnr_core.warehouse import (
    describe,
    generate_warehouse,
    make_plan,
    planned_incidents,
    repair,
)

SPRING = """\
title: What went wrong this spring
extends: typical
rates:
  - kind: key_null
    share: 0.04
  - kind: category_typo
    share: 0.2
    tables: [fact_sale]
    columns: channel
    where: {channel: [web, app]}
    from: 2025-03-01
    until: 2025-05-01
incidents:
  - kind: truncated_day
    total: 1
    tables: [fact_receipt]
    from: 2025-04-07
    until: 2025-04-08
    from_hour: 12
  - kind: null_spike
    per_quarter: 1
    size: 0.2
"""


@pytest.fixture
def write(tmp_path):
    """Write a profile file, `mine.yaml` unless said."""

    def written(text: str, name: str = "mine.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_a_file_says_what_an_object_says(write, make_catalogue):
    """A file and the objects that it stands for are one profile; `extends` takes over the rest."""
    catalogue = make_catalogue()
    found, typical = read_profile(write(SPRING), catalogue), catalogue.profile("typical")
    assert (found.name, found.title) == ("mine", "What went wrong this spring")
    assert found.lag == typical.lag
    untouched = {"fk_failure", "duplicate"}
    assert found.rates == (
        *(rate for rate in typical.rates if rate.kind in untouched),
        DefectRate("key_null", 0.04),
        DefectRate(
            "category_typo",
            0.2,
            tables="fact_sale",
            columns="channel",
            options={
                "where": {"channel": ["web", "app"]},
                "from": date(2025, 3, 1),
                "until": date(2025, 5, 1),
            },
        ),
    )
    assert found.incidents == (
        *(rate for rate in typical.incidents if rate.kind != "null_spike"),
        IncidentRate(
            "truncated_day",
            0,
            1.0,
            tables="fact_receipt",
            breaks="rows",
            total=1,
            from_hour=12,
            options={"from": date(2025, 4, 7), "until": date(2025, 4, 8)},
        ),
        IncidentRate("null_spike", 1, 0.2, breaks="required_keys"),
    )
    assert [rate.source for rate in found.rates[2:]] == ["mine.yaml line 4", "mine.yaml line 6"]


def test_what_a_manifest_keeps_is_the_profile(write, make_catalogue):
    """Plain values and back give an equal profile; written as YAML they are a profile file."""
    catalogue = make_catalogue()
    instant = datetime(2025, 3, 1, 12, tzinfo=UTC)
    profiles = [read_profile(write(SPRING), catalogue), *catalogue.profiles.values()]
    profiles.append(
        DefectProfile("p", "P", rates=[DefectRate("duplicate", 0.1, options={"from": instant})])
    )
    for profile in profiles:
        told = profile_as_dict(profile)
        assert profile_from(told, catalogue) == profile
        again = read_profile(write(yaml.safe_dump({**told, "name": "again"})), catalogue)
        assert profile_as_dict(again) == {**told, "name": "again"}


@pytest.mark.parametrize(
    ("text", "told", "hint"),
    [
        ("rates: [", "mine.yaml line 1, column 9: no valid YAML", ""),
        ("- a", "mine.yaml line 1: expected a mapping", "rates"),
        ("rates: 3", "mine.yaml line 1: rates is 3, but must be a list", ""),
        ("title: x\nrats: []", "mine.yaml line 2: there is no key 'rats' here", "'rates'"),
        ("rates:\n  - share: 0.1", "line 2: it does not say which kind", "kind"),
        ("rates:\n  - kind: key_nul", "line 2: there is no defect kind 'key_nul'", "key_null"),
        ("rates:\n  - kind: key_null", "line 2: key_null has no share", "0.02"),
        ("rates:\n  - kind: key_null\n    share: 2%", "line 3: share is '2%'", "0.02"),
        ("rates:\n  - {kind: null_spike, share: 0.1}", "line 2: null_spike is dated", ""),
        ("incidents:\n  - {kind: key_null, total: 1}", "line 2: key_null is not dated", ""),
        ("incidents:\n  - {kind: null_spike}", "line 2: it is not clear how many", "total"),
        (
            "incidents:\n  - {kind: null_spike, total: 1, per_quarter: 1}",
            "line 2: it is not clear how many",
            "either",
        ),
        ("incidents:\n  - kind: null_spike\n    total: 1.5", "line 3: total is 1.5", ""),
        (
            "rates:\n  - {kind: key_null, share: 0.1, from: soon}",
            "line 2: from is 'soon', which is no day",
            "2025-03-01",
        ),
        ("extends: typicl", "line 1: there is no defect profile 'typicl'", "typical"),
        ("name: typical", "line 1: the profile's name 'typical' is that of an installed", "name"),
        ("lag: {usual_minutes: [3]}", "line 1: lag has no slow_minutes", ""),
        (
            "rates:\n  - {kind: key_null, share: 0.1, where: web}",
            "line 2: where is 'web'",
            "channel",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, tables: [fact_sal]}",
            "mine.yaml line 2, key_null: shop has no table 'fact_sal'",
            "fact_sale",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, tables: [fact_sale], columns: [amount_cents]}",
            "line 2, key_null: there is nothing of amount_cents in fact_sale that it can break",
            "customer_id",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, where: {chanel: [web]}}",
            "line 2, key_null: there is no column 'chanel' in shop",
            "channel",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, where: {channel: [1]}}",
            "1 is no value of fact_sale.channel, which is string",
            "",
        ),
        ("rates:\n  - {kind: key_null, share: 0.5}", "line 2, key_null: a share of 0.5", "0.4"),
        (
            "rates:\n  - {kind: fk_failure, share: 0.1, options: {temporal_shar: 1}}",
            "line 2, fk_failure: it has no option 'temporal_shar'",
            "temporal_share",
        ),
        (
            "rates:\n  - {kind: fk_failure, share: 0.1, options: {temporal_share: 2}}",
            "temporal_share is 2, but must be a number from 0 to 1",
            "",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, from: 2025-02-01, until: 2025-01-01}",
            "`from` is not before `until`",
            "",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.1, from: 2031-02-01}",
            "lies outside of the history",
            "",
        ),
        (
            "incidents:\n  - {kind: truncated_day, total: 1, tables: [fact_sale]}",
            "fact_sale cannot have it: fact_line, fact_receipt would point to rows that are gone",
            "",
        ),
        (
            "incidents:\n  - {kind: stale_snapshot, total: 1, tables: [fact_sale]}",
            "fact_sale cannot have it: it is no snapshot",
            "",
        ),
        (
            "incidents:\n  - {kind: stale_snapshot, total: 1, size: 3}",
            "a snapshot of 3 days has no day that repeats the one 3 days before",
            "snapshot_days",
        ),
        (
            "incidents:\n  - {kind: null_spike, total: 1, size: 0.7}",
            "size is 0.7, but must be a number from 0.001 to 0.4",
            "",
        ),
        (
            "incidents:\n  - {kind: value_drift, total: 1}",
            "it has to be said which column",
            "columns",
        ),
        (
            "rates:\n  - {kind: key_null, share: 0.4}\n  - {kind: fk_failure, share: 0.4}\n"
            "  - {kind: duplicate, share: 0.3}",
            "mine.yaml line 2; mine.yaml line 3; mine.yaml line 4) cannot hold on fact_sale",
            "lower one",
        ),
    ],
)
def test_a_wrong_file_is_told_with_its_line(
    write, make_shop, make_catalogue, settings, tmp_path, text, told, hint
):
    """Each mistake is one error that names file, line and what is allowed; no file is written."""
    path = write(text)
    catalogue = make_catalogue(shop=make_shop(3_000, 1_000))
    with pytest.raises(ConfigError) as caught:
        generate_warehouse(
            "shop",
            settings(quality=str(path)),
            catalogue,
            out=tmp_path / "data",
            meta=tmp_path / "meta",
        )
    assert told in str(caught.value)
    assert hint in caught.value.hint
    assert not (tmp_path / "data").exists()


def test_a_name_and_a_file_are_told_apart(make_catalogue, tmp_path):
    """What ends in .yaml is a file, and where there is none the error says so; else it is a name."""
    catalogue = make_catalogue()
    assert find_profile("severe", catalogue).name == "severe"
    with pytest.raises(ConfigError, match=r"there is no defect profile .*none\.yaml"):
        find_profile(str(tmp_path / "none.yaml"), catalogue)
    with pytest.raises(UnknownNameError, match="sever"):
        find_profile("sever", catalogue)


def test_segment_period_and_given_day_are_kept(
    write, make_shop, make_catalogue, settings, sql, tmp_path
):
    """Typos fall on the segment and in the period alone, at their rate there; a truncated day is the
    day that was given, from its hour on. Once the file is gone, all of it stands in the manifest."""
    path = write(SPRING)
    catalogue = make_catalogue(shop=make_shop(12_000, 2_000))
    options = settings(quality=str(path))
    made = generate_warehouse(
        "shop", options, catalogue, out=tmp_path / "data", meta=tmp_path / "meta"
    )
    fingerprint = make_plan("shop", options.warehouse, catalogue).fingerprint
    path.unlink()
    clean = generate_warehouse(
        "shop", settings(quality="clean"), catalogue, out=tmp_path / "clean", meta=tmp_path / "cm"
    )
    [(rows, typos, astray)] = sql(
        made.path,
        f"""SELECT count(*) FILTER (meant), count(*) FILTER (meant AND t.channel <> c.channel),
        count(*) FILTER (NOT meant AND t.channel <> c.channel) FROM (
          SELECT *, channel IN ('web', 'app') AND sold_at >= '2025-03-01 08:00'
            AND sold_at < '2025-05-01 07:00' AS meant
          FROM read_parquet('{clean.path}/fact_sale/*.parquet')) c JOIN fact_sale t USING (sale_id)""",
    )
    assert astray == 0
    assert typos == pytest.approx(0.2 * rows, abs=0.005 * rows + 3)
    [(start, end)] = sql(
        made.path,
        """SELECT start, "end" FROM incidents WHERE kind = 'truncated_day'""",
        made.meta,
    )
    assert (start, end) == (datetime(2025, 4, 7, 19), datetime(2025, 4, 8, 7))
    kept = made.manifest
    assert kept.settings["quality"] == "mine"
    planned = planned_incidents(kept, catalogue.archetype("shop"), catalogue)
    told = sql(made.path, "SELECT id FROM incidents", made.meta)
    assert [incident.id for incident in planned] == [name for (name,) in told]
    assert "quality mine" in str(describe(made.path))
    fixed = repair(made.path, made.meta, tmp_path / "fixed", catalogue)
    assert fixed.manifest.files == clean.manifest.files
    assert kept.extra["fingerprint"] == fingerprint


def test_a_file_works_by_the_public_call_and_is_checked_later(write, tmp_path, monkeypatch):
    """`dnr_core.generate_warehouse` takes a path or an object; `validate` makes parts of it again
    once the file is gone."""
    monkeypatch.chdir(tmp_path)
    path = write("extends: typical\nincidents:\n  - {kind: truncated_day, total: 2, from_hour: 15}")
    context = open_context(environ={})
    made = dnr_core.generate_warehouse(
        "neobank", scale="tiny", quality=path, months=2, context=context
    )
    profile = read_profile(path, context.catalogue)
    path.unlink()
    same = dnr_core.generate_warehouse(
        "neobank",
        scale="tiny",
        quality=profile,
        months=2,
        out="other",
        meta="other-meta",
        context=context,
    )
    assert same.manifest.files == made.manifest.files
    summary = dnr_core.validate(made.path, meta=made.meta, context=context)
    again = [r for r in summary.results if r.name == "reproducible"]
    assert again
    assert all(r.status == "passed" and "differ" in r.measured for r in again)
    gone = [r for r in summary.results if r.measured.startswith("truncated_day")]
    assert [(r.status, "0 rows happened" in r.measured) for r in gone] == [("passed", True)] * 2
    taken = DefectProfile("typical", "Another one")
    with pytest.raises(ConfigError, match="installed defect profile 'typical'"):
        dnr_core.generate_warehouse("neobank", quality=taken, context=context)


def test_the_documented_file_is_a_profile_that_can_be_planned(write):
    """The example of the reference is read, and planned for the company that it is written for."""
    page = Path(__file__).parents[2] / "docs" / "reference" / "profiles.md"
    (example,) = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    context = open_context(environ={}, flags={"warehouse.quality": str(write(example))})
    plan = make_plan("neobank", context.settings.warehouse, context.catalogue, scale="tiny")
    assert {incident.kind for incident in plan.incidents} >= {"truncated_day", "null_spike"}
    kinds = page.read_text(encoding="utf-8").split("## Kinds")[1]
    documented = set(re.findall(r"^\| `(\w+)` \|", kinds, re.M))
    assert documented == set(context.catalogue.defect_kinds)
