"""The files of a report: whole or not at all, the same bytes each time, in step with each other."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest

from dnr_core.errors import FolderError
from dnr_core.report import Report, write_index
from dnr_core.report.json_ import SCHEMAS, schema
from dnr_core.workspace import read_manifest

FIGURES = ("lag", "key_nulls", "orphans", "duplicates", "themes-by-month", "money-by-need")


@pytest.fixture(scope="module")
def folder(whole: Report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole.save(tmp_path_factory.mktemp("reports") / "shop")


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".dnr.lock"
    }


def test_every_promised_file_is_there(folder: Path) -> None:
    """The folder has the page, the summaries, the figures, the health, the talk, the budget."""
    found = set(content(folder))
    wanted = {
        "exec_summary.json",
        "exec_summary.md",
        "report.json",
        "report.html",
        "data_health.json",
        "data_health.csv",
        "themes.json",
        "themes.md",
        "budget.json",
        "entities.parquet",
        "manifest.json",
        *(f"predictions_{source}.parquet" for source in ("slack", "email", "nlq")),
        *(f"figures/{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")),
    }
    assert wanted <= found
    assert pq.read_table(folder / "predictions_slack.parquet").num_rows == 51


def test_the_manifest_knows_every_file(folder: Path) -> None:
    """The manifest is a report's, and its hashes are those of the files."""
    manifest = read_manifest(folder)
    assert manifest.kind == "report"
    assert manifest.archetype == "shop"
    files = {name: data for name, data in content(folder).items() if name != "manifest.json"}
    assert manifest.files == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }


def test_the_manifest_says_which_prompts_the_talk_was_read_with(
    folder: Path, report_of: Callable[..., Report], sick: Any, tmp_path: Path
) -> None:
    """The hash of each packaged prompt stands there; a report without talk has none."""
    prompts = files("dnr_core.llm").joinpath("prompts")
    assert read_manifest(folder).extra["prompts"] == {
        name: hashlib.sha256(prompts.joinpath(f"{name}.txt").read_bytes()).hexdigest()
        for name in ("classify", "entities")
    }
    silent = report_of(sick).save(tmp_path / "shop")
    assert "prompts" not in read_manifest(silent).extra


@pytest.mark.parametrize("name", SCHEMAS)
def test_json_keeps_its_published_schema(name: str, folder: Path) -> None:
    """Each JSON output validates, says its version, and the schema is itself sound."""
    rules = schema(name)
    jsonschema.Draft202012Validator.check_schema(rules)
    value = json.loads((folder / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(
        rules, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)
    assert value["version"] == 1


def test_a_schema_refuses_what_it_should(folder: Path) -> None:
    """A report without its answer, or with a wrong type, does not validate."""
    value = json.loads((folder / "report.json").read_text("utf-8"))
    check = jsonschema.Draft202012Validator(schema("report"))
    for broken in (
        {k: v for k, v in value.items() if k != "answer"},
        {**value, "version": 2},
        {**value, "cards": [{**value["cards"][0], "score": "high"}]},
        {**value, "unknown": 1},
    ):
        assert not check.is_valid(broken)


@pytest.mark.parametrize("sides", ["both", "health", "talk", "neither"])
def test_reports_without_a_side_keep_the_schema(
    sides: str, report_of: Callable[..., Report], sick: Any, talk: Any
) -> None:
    """The JSON is valid with no talk, no warehouse, or neither."""
    found = report_of(
        sick if sides in {"both", "health"} else None, talk if sides in {"both", "talk"} else None
    )
    plain = json.loads(json.dumps(found.document, allow_nan=False))
    jsonschema.Draft202012Validator(schema("report")).validate(plain)


def test_the_same_data_gives_the_same_bytes(whole: Report, folder: Path, tmp_path: Path) -> None:
    """Saved again elsewhere, every file has the same bytes; saved over itself, too."""
    again = whole.save(tmp_path / "somewhere" / "else")
    assert content(again) == content(folder)
    assert content(whole.save(again)) == content(folder)


def test_no_file_tells_of_this_machine(folder: Path) -> None:
    """No host name, no user, no path of this machine, no library's version in any figure."""
    for name, data in content(folder).items():
        assert str(folder.parent).encode() not in data, name
        assert os.uname().nodename.encode() not in data or len(os.uname().nodename) < 4, name
        if name.startswith("figures/"):
            assert b"Matplotlib v" not in data, name
            assert b"Software" not in data, name
            assert b"<dc:date>" not in data, name


def test_a_later_report_leaves_nothing_of_an_earlier_one(
    whole: Report, report_of: Callable[..., Report], sick: Any, tmp_path: Path
) -> None:
    """A report without talk, saved over one with it, removes the predictions."""
    folder = whole.save(tmp_path / "shop")
    report_of(sick, None).save(folder)
    assert not list(folder.glob("predictions_*"))
    assert json.loads((folder / "themes.json").read_text("utf-8"))["status"] == "skipped"
    assert json.loads((folder / "budget.json").read_text("utf-8"))["status"] == "skipped"


def test_a_strangers_folder_is_left_alone(whole: Report, tmp_path: Path) -> None:
    """A folder that holds something else is refused and keeps what it holds."""
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    with pytest.raises(FolderError, match="did not write"):
        whole.save(tmp_path)
    assert [path.name for path in tmp_path.glob("*") if not path.name.startswith(".")] == [
        "mine.txt"
    ]


def test_the_index_links_every_finished_report(
    whole: Report, report_of: Callable[..., Report], talk: Any, tmp_path: Path
) -> None:
    """The index has each company's sentence and first card; unfinished folders are passed over."""
    whole.save(tmp_path / "shop")
    report_of(None, talk).save(tmp_path / "talk only")
    (tmp_path / "unfinished").mkdir()
    page = write_index(tmp_path).read_text("utf-8")
    assert whole.sentence in page
    assert 'href="shop/report.html"' in page
    assert 'href="talk%20only/report.html"' in page
    assert "unfinished" not in page
    assert page.count("First: ") == 2
    notes = (tmp_path / "index.md").read_text("utf-8")
    assert "[Page](talk%20only/report.html)" in notes


def test_markdown_says_what_the_page_says(whole: Report, folder: Path) -> None:
    """The summary has the sentence, and each card's money, cause, asks, certainty and step."""
    text = (folder / "exec_summary.md").read_text("utf-8").replace("\\", "")
    assert whole.sentence in text
    for card in whole.document["cards"]:
        for words in (card["title"], card["cause"], card["asks"]["text"], card["next_step"],
                      card["certainty"]["text"], card["money"]["text"]):  # fmt: skip
            assert words in text


def test_the_summary_lists_its_figures_by_hash(folder: Path) -> None:
    """`exec_summary.json` names each figure with its title and SHA-256."""
    figures = json.loads((folder / "exec_summary.json").read_text("utf-8"))["figures"]
    files = content(folder)
    assert {f["path"] for f in figures} == {n for n in files if n.startswith("figures/")}
    for figure in figures:
        assert figure["sha256"] == hashlib.sha256(files[figure["path"]]).hexdigest()
        assert figure["title"]


def test_another_process_makes_the_same_page(tmp_path: Path) -> None:
    """Two processes with different hash seeds make the same page and the same document."""
    made = Path(__file__).parents[1] / "ranking"
    program = f"""
import json, sys
sys.path.insert(0, {str(made)!r})
import companies as made
from dnr_core.config.settings import Settings
from dnr_core.plugins import load_plugins
from dnr_core.ranking import rank
from dnr_core.report import assemble
health = made.health({{("fact_order", "key_null"): 0.03, ("fact_payment", "duplicate"): 0.01}})
talk = made.demand({{("join_keys_orphans", "fact_order"): 9, ("duplicates_dedup", ""): 4}})
kind = made.shop()
ranked = rank(kind, Settings(), load_plugins(), health=health, demand=talk)
found = assemble(kind, Settings(), ranked, health=health, demand=talk, source="shop")
sys.stdout.buffer.write((found.html() + json.dumps(found.document)).encode())
"""
    pages = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert pages[0]
    assert pages[0] == pages[1]
