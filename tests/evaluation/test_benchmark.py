"""A frozen benchmark: nothing of the truth in what is public, and scores that mean what they say."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import dnr_core
from dnr_core.api.context import open_context
from dnr_core.cli.app import run
from dnr_core.errors import InputError
from dnr_core.workspace import read_manifest, sha256_of

CONTEXT = open_context(
    environ={},
    flags={"comms.slack_threads": 120, "comms.emails": 30, "comms.nlq": 40},
)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark of one small neobank."""
    folder = tmp_path_factory.mktemp("frozen") / "benchmark"
    dnr_core.export_benchmark(folder, archetypes="neobank", seeds=1, scale="tiny", context=CONTEXT)
    return folder


@pytest.fixture(scope="module")
def company(frozen: Path) -> str:
    (home,) = (frozen / "public").iterdir()
    return home.name


Hand = Callable[..., Path]


@pytest.fixture
def hand_in(tmp_path: Path) -> Hand:
    """Write one file of predictions and return its folder."""

    def write(name: str, columns: str, rows: Iterable[Sequence[Any]]) -> Path:
        with (tmp_path / f"{name}.csv").open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow(columns.split(","))
            writer.writerows(rows)
        return tmp_path

    return write


def ledger(frozen: Path, company: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(
        frozen / "truth" / company / "ledger.parquet"
    ).to_pylist()
    return [row for row in rows if row["column"] != "*"]


def test_nothing_public_tells_the_truth(frozen: Path, company: str) -> None:
    """Tables, talk and a description: no ledger, no label, no rate, no manifest of the maker."""
    public = frozen / "public" / company
    names = {path.name for path in public.rglob("*") if path.is_file()}
    assert not {n for n in names if "ledger" in n or "label" in n or "incident" in n}
    assert not (public / "data" / "manifest.json").exists()
    told = (public / "company.json").read_text("utf-8")
    for word in ("calibration", "null_spike", "measured", "seed"):
        assert word not in told
    described = {table["name"] for table in json.loads(told)["tables"]}
    assert described == {path.name for path in (public / "data").iterdir() if path.is_dir()}


def test_the_checksums_hold(frozen: Path) -> None:
    """Every file of data and truth is in SHA256SUMS with its hash, and in the manifest."""
    sums = dict(
        reversed(line.split("  ", 1))
        for line in (frozen / "SHA256SUMS").read_text("utf-8").splitlines()
    )
    assert {n for n in sums if n.startswith("truth/")}
    assert all(sha256_of(frozen / name) == digest for name, digest in sums.items())
    assert set(read_manifest(frozen).files) == {*sums, "SHA256SUMS", "README.md"}
    card = (frozen / "README.md").read_text("utf-8")
    assert "Apache License 2.0" in card
    assert not re.search("@[A-Z]+@", card)


def test_the_whole_ledger_scores_one(frozen: Path, company: str, hand_in: Hand) -> None:
    """Naming every broken row gives 1; half of them and as many sound ones give a half each."""
    broken = sorted({(row["table"], row["part"], row["row"]) for row in ledger(frozen, company)})
    scores = dnr_core.score(
        hand_in("defects", "company,table,part,row", [(company, *row) for row in broken]), frozen
    )
    assert scores.defects
    assert scores.defects["all"]["f1"] == 1.0
    assert all(kind["recall"] == 1.0 for kind in scores.defects["all"]["kinds"].values())
    half = broken[::2]
    known = {row["business_key"] for row in ledger(frozen, company) if row["kind"] == "duplicate"}
    assert known
    sound = [("dim_customer", 0, number) for number in range(len(half))]
    scores = dnr_core.score(
        hand_in("defects", "company,table,part,row", [(company, *r) for r in [*half, *sound]]),
        frozen,
    )
    assert scores.defects
    assert scores.defects["all"]["wrong"] == len(half)
    assert scores.defects["all"]["recall"] == pytest.approx(0.5, abs=0.02)
    assert scores.defects["all"]["precision"] == pytest.approx(0.5, abs=0.02)
    assert scores.labels is None
    assert scores.ranking is None


def test_of_a_row_and_its_copy_either_may_be_named(
    frozen: Path, company: str, hand_in: Hand
) -> None:
    """Who names the first row in place of its copy is right, and who names both is not wrong."""
    import duckdb

    folder = frozen / "public" / company / "data" / "fact_card_transaction"
    rows = duckdb.sql(
        "SELECT list(file_row_number ORDER BY file_row_number) FROM "
        f"read_parquet('{folder}/*.parquet', file_row_number = true) "
        "GROUP BY txn_id HAVING count(*) > 1"
    ).fetchall()
    first = [("fact_card_transaction", 0, places[0]) for (places,) in rows]
    both = [("fact_card_transaction", 0, place) for (places,) in rows for place in places]
    for named in (first, both):
        scores = dnr_core.score(
            hand_in("defects", "company,table,part,row", [(company, *r) for r in named]), frozen
        )
        assert scores.defects
        kinds = scores.defects["all"]["kinds"]["duplicate"]
        mine = [r for r in ledger(frozen, company) if r["kind"] == "duplicate"]
        elsewhere = sum(1 for r in mine if r["table"] != "fact_card_transaction")
        assert kinds["hits"] == len(mine) - elsewhere
        assert scores.defects["all"]["wrong"] == 0


def test_true_labels_and_the_true_ranking_score_one(
    frozen: Path, company: str, hand_in: Hand
) -> None:
    """The truth, handed in, is right; a ranking turned around keeps its overlap and loses NDCG."""
    truth = frozen / "truth" / company
    labels = [
        (company, source, row["item_id"], row["theme"] or "", row["relevance"])
        for source in ("slack", "email", "nlq")
        for row in pq.read_table(truth / f"labels_{source}.parquet").to_pylist()
    ]
    hand_in("labels", "company,source,item_id,theme,relevance", labels)
    top = json.loads((truth / "ranking.json").read_text("utf-8"))["top"]
    folder = hand_in(
        "ranking", "company,rank,theme,table", [(company, n, *k) for n, k in enumerate(top, 1)]
    )
    scores = dnr_core.score(folder, frozen)
    assert scores.labels
    assert scores.ranking
    found = scores.labels["all"]
    assert (found["theme_f1"], found["relevance_f1"], found["nlq_f1"]) == (1.0, 1.0, 1.0)
    assert scores.ranking["all"] == {"top1": 1.0, "overlap": 1.0, "ndcg": 1.0, "regret": 0.0}
    turned = hand_in(
        "ranking", "company,rank,theme,table", [(company, 9 - n, *k) for n, k in enumerate(top)]
    )
    scores = dnr_core.score(turned, frozen)
    assert scores.ranking
    assert scores.ranking["all"]["overlap"] == 1.0
    assert scores.ranking["all"]["top1"] == 0.0
    assert scores.ranking["all"]["ndcg"] < 1.0


def test_half_of_the_labels_is_half_of_the_coverage(
    frozen: Path, company: str, hand_in: Hand
) -> None:
    """Items that are left out count as said nothing of."""
    labels = pq.read_table(frozen / "truth" / company / "labels_slack.parquet").to_pylist()
    rows = [(company, "slack", r["item_id"], r["theme"] or "", r["relevance"]) for r in labels]
    scores = dnr_core.score(
        hand_in("labels", "company,source,item_id,theme,relevance", rows[::2]), frozen
    )
    assert scores.labels
    assert 0.2 < scores.labels["all"]["coverage"] < 0.4
    assert scores.labels["all"]["theme_f1"] < 0.9
    assert scores.labels["all"]["nlq_f1"] == 0.0


@pytest.mark.parametrize(
    ("name", "columns", "row", "message"),
    [
        ("defects", "company,table,part", ("C", "dim_card", 0), "has no column 'row'"),
        ("defects", "company,table,part,row", ("acme", "dim_card", 0, 1), "company 'acme'"),
        ("defects", "company,table,part,row", ("C", "dim_crd", 0, 1), "table 'dim_crd'"),
        ("defects", "company,table,part,row", ("C", "dim_card", 0, "x"), "no number"),
        (
            "labels",
            "company,source,item_id,theme,relevance",
            ("C", "slack", "t000001", "gossip", "positive"),
            "theme 'gossip'",
        ),
        ("guesses", "company", ("C",), "no predictions"),
    ],
)
def test_what_cannot_be_scored_is_told_in_words(
    name: str,
    columns: str,
    row: tuple[Any, ...],
    message: str,
    frozen: Path,
    company: str,
    hand_in: Hand,
) -> None:
    """A missing column, an unknown company, table or theme, no file: each has its message."""
    if name == "labels":
        first = pq.read_table(frozen / "truth" / company / "labels_slack.parquet")["item_id"]
        row = (row[0], row[1], first[0].as_py(), *row[3:])
    folder = hand_in(name, columns, [[company if cell == "C" else cell for cell in row]])
    with pytest.raises(InputError, match=message) as error:
        dnr_core.score(folder, frozen)
    assert error.value.hint


def test_a_changed_truth_scores_nothing(frozen: Path, hand_in: Hand, tmp_path: Path) -> None:
    """Scores hold for the frozen set alone."""
    copy = tmp_path / "copy"
    shutil.copytree(frozen, copy)
    next((copy / "truth").rglob("ledger.parquet")).write_bytes(b"PAR1")
    folder = hand_in("ranking", "company,rank,theme,table", [])
    with pytest.raises(InputError, match="is not the file that was frozen"):
        dnr_core.score(folder, copy)
    with pytest.raises(InputError, match="there is no folder"):
        dnr_core.score(folder, tmp_path / "nowhere")


def test_the_command_scores_one_file(
    frozen: Path,
    company: str,
    hand_in: Hand,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`dnr score FILE --out SCORES.json` prints and writes the same scores."""
    folder = hand_in("ranking", "company,rank,theme,table", [(company, 1, "duplicates_dedup", "x")])
    out = tmp_path / "scores.json"
    code = run(
        ["score", str(folder / "ranking.csv"), "--benchmark", str(frozen), "--out", str(out)]
    )
    assert code == 0
    assert "overlap of three 0.000" in capsys.readouterr().out
    assert json.loads(out.read_text("utf-8"))["ranking"]["all"]["overlap"] == 0.0
