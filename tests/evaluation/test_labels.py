"""Predictions held against labels: what counts, what is written, what is refused."""

from __future__ import annotations

import csv
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dnr_core.comms.tables import LABELS
from dnr_core.config.settings import Settings
from dnr_core.errors import InputError
from dnr_core.evaluation import evaluate_labels

LATE, DOUBLE = "freshness_ingest_lag", "duplicates_dedup"


def _label(
    item_id: str, theme: str | None, relevance: str = "positive", **more: Any
) -> dict[str, Any]:
    row = {"item_id": item_id, "theme": theme, "relevance": relevance, "tables": [], "columns": []}
    return {**row, "skeleton": f"sk-{item_id}", "band": "plain", **more}


def _said(
    item_id: str, theme: str | None, relevance: str | None = "positive", **more: Any
) -> dict[str, Any]:
    row = {"item_id": item_id, "source": "slack", "theme": theme, "theme_confidence": 0.9}
    row |= {"relevance": relevance, "relevance_confidence": 0.9, "kept_by": "score"}
    return {**row, "decided_by": "provider", **more}


@pytest.fixture
def folders(tmp_path):
    """Write labels and predictions by source, and the entities."""
    pred, meta = tmp_path / "reports", tmp_path / "meta"
    pred.mkdir()
    meta.mkdir()

    def write(labels, predictions, entities=()):
        for source, rows in labels.items():
            schema = LABELS
            if rows and "unseen" in rows[0]:
                schema = schema.append(pa.field("unseen", pa.bool_()))
            pq.write_table(
                pa.Table.from_pylist(rows, schema=schema), meta / f"labels_{source}.parquet"
            )
        names = list(_said("x", None))
        types = [
            pa.string(),
            pa.string(),
            pa.string(),
            pa.float64(),
            pa.string(),
            pa.float64(),
            pa.string(),
            pa.string(),
        ]
        for source, rows in predictions.items():
            table = pa.Table.from_pylist(
                rows, schema=pa.schema(list(zip(names, types, strict=True)))
            )
            pq.write_table(table, pred / f"predictions_{source}.parquet")
        columns = pa.schema([(n, pa.string()) for n in ("item_id", "source", "table", "column")])
        pq.write_table(
            pa.Table.from_pylist(list(entities), schema=columns), pred / "entities.parquet"
        )
        return pred, meta

    return write


def test_theme_is_over_oracle_positives_and_relevance_over_decided(folders):
    """A missed positive counts against the theme; a negative does not; undecided is no relevance."""
    pred, meta = folders(
        {"slack": [
            _label("a", LATE), _label("b", LATE), _label("c", DOUBLE), _label("d", DOUBLE),
            _label("n", None, "negative"),
        ]},
        {"slack": [
            _said("a", LATE), _said("b", None, "negative"), _said("c", DOUBLE),
            _said("d", None, None, decided_by="not_sampled"),
            _said("n", LATE, "positive"),
        ]},
    )  # fmt: skip
    scores = evaluate_labels(pred, meta, Settings())
    tasks = scores.summary["tasks"]
    assert tasks["theme"]["items"] == 4
    assert tasks["theme"]["accuracy"] == 0.5
    assert tasks["theme"]["macro_f1"] == pytest.approx(2 / 3)
    assert tasks["theme"]["undecided"] == 1
    assert tasks["theme"]["macro_f1_decided"] == pytest.approx((2 / 3 + 1) / 2)
    assert tasks["relevance"]["items"] == 4
    assert tasks["relevance"]["accuracy"] == 0.5
    assert scores.summary["coverage"] == {"slack": 0.8, "all": 0.8}


def test_queries_are_scored_on_all_of_them(folders):
    """Every query counts for the theme of queries, one with no theme said is a miss."""
    pred, meta = folders(
        {"nlq": [_label("q1", LATE), _label("q2", DOUBLE)]},
        {"nlq": [_said("q1", LATE, None), _said("q2", None, None)]},
    )
    scores = evaluate_labels(pred, meta, Settings())
    assert scores.summary["tasks"]["nlq_theme"]["accuracy"] == 0.5
    assert {g.name: g.value for g in scores.gates}["theme_f1"] is None


def test_gates_pass_and_fail(folders):
    """Right labels pass every gate; one gate that is missed fails the whole."""
    labels = {"slack": [_label(f"i{n}", (LATE, DOUBLE)[n % 2]) for n in range(20)]}
    good = {"slack": [_said(f"i{n}", (LATE, DOUBLE)[n % 2]) for n in range(20)]}
    assert evaluate_labels(*folders(labels, good), Settings()).passed
    wrong = {"slack": [_said(f"i{n}", LATE) for n in range(20)]}
    scores = evaluate_labels(*folders(labels, wrong), Settings())
    assert [gate.name for gate in scores.gates if not gate.passed] == ["theme_f1"]
    half = {"slack": good["slack"][:10]}
    scores = evaluate_labels(*folders(labels, half), Settings())
    assert "coverage" in [gate.name for gate in scores.gates if not gate.passed]


def test_items_join_by_id_and_not_by_place(folders):
    """Predictions in another order give the same scores."""
    labels = {"slack": [_label(f"i{n}", (LATE, DOUBLE)[n % 2]) for n in range(9)]}
    said = [_said(f"i{n}", LATE) for n in range(9)]
    first = evaluate_labels(*folders(labels, {"slack": said}), Settings())
    second = evaluate_labels(*folders(labels, {"slack": said[::-1]}), Settings())
    assert first.summary == second.summary


def test_unseen_skeletons_are_scored_apart(folders):
    """Items marked unseen have a task of their own beside the whole."""
    labels = {"slack": [_label("a", LATE, unseen=False), _label("b", LATE, unseen=True)]}
    scores = evaluate_labels(
        *folders(labels, {"slack": [_said("a", LATE), _said("b", DOUBLE)]}), Settings()
    )
    assert scores.summary["tasks"]["theme_unseen"]["items"] == 1
    assert scores.summary["tasks"]["theme_unseen"]["accuracy"] == 0


def test_entities_and_the_prefilter_have_precision_and_recall(folders):
    """Tables are pairs over positives; the filter is scored with and without its fallback."""
    pred, meta = folders(
        {"slack": [
            _label("a", LATE, tables=["t1", "t2"], columns=["t1.c"]),
            _label("b", LATE, tables=["t1"]),
            _label("n", None, "negative"),
        ]},
        {"slack": [
            _said("a", LATE), _said("b", LATE, kept_by="fallback"),
            _said("n", None, "negative", kept_by="", decided_by="prefilter"),
        ]},
        [
            {"item_id": "a", "source": "slack", "table": "t1", "column": ""},
            {"item_id": "a", "source": "slack", "table": "t1", "column": "c"},
            {"item_id": "b", "source": "slack", "table": "t9", "column": ""},
            {"item_id": "n", "source": "slack", "table": "t9", "column": ""},
        ],
    )  # fmt: skip
    summary = evaluate_labels(pred, meta, Settings()).summary
    assert summary["entities"]["tables"]["precision"] == 0.5
    assert summary["entities"]["tables"]["recall"] == pytest.approx(1 / 3)
    assert summary["entities"]["columns"]["f1"] == 1
    assert summary["prefilter"]["by_score"]["recall"] == 0.5
    assert summary["prefilter"]["with_fallback"]["recall"] == 1


def test_files_say_what_the_result_says(folders, tmp_path):
    """JSON, both CSV files and the page are written, whole, and agree; text is escaped."""
    labels = {"slack": [_label("a", LATE), _label("b", DOUBLE)]}
    out = tmp_path / "eval"
    scores = evaluate_labels(
        *folders(labels, {"slack": [_said("a", LATE), _said("b", LATE)]}),
        Settings(),
        out=out,
        golden={
            "<b>golden</b>": {"items": 3, "theme_macro_f1": 0.8, "relevance_macro_f1": 0.7},
            "weights": {"bytes": 1},
        },
    )
    assert json.loads((out / "eval_summary.json").read_text()) == json.loads(
        json.dumps(scores.summary)
    )
    rows = list(csv.DictReader((out / "per_class.csv").read_text().splitlines()))
    late = next(r for r in rows if (r["task"], r["class"]) == ("theme", LATE))
    assert (float(late["precision"]), float(late["recall"]), late["support"]) == (0.5, 1.0, "1")
    cells = list(csv.DictReader((out / "confusion.csv").read_text().splitlines()))
    assert (
        next(
            c["items"]
            for c in cells
            if (c["task"], c["true"], c["predicted"]) == ("theme", DOUBLE, LATE)
        )
        == "1"
    )
    page = (out / "labels.html").read_text()
    assert "&lt;b&gt;golden&lt;/b&gt;" in page
    assert "80.0 %" in page
    assert "weights" not in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert sorted(p.name for p in out.iterdir()) == [
        "confusion.csv", "eval_summary.json", "labels.html", "labels.md", "per_class.csv",
    ]  # fmt: skip
    text = (out / "labels.md").read_text()
    assert all(f"| {gate.name.replace('_', ' ')} | " in text for gate in scores.gates)
    assert f"| {LATE.replace('_', ' ')} | " in text
    # Of the theme: F1 by class and the reliability of its confidences, each with its name.
    assert "Theme of threads and mails: F1 by class</title>" in page
    assert "Theme of threads and mails: how often it is right, by its confidence</title>" in page
    theme = scores.summary["tasks"]["theme"]
    sure = sum(one["count"] for one in theme["reliability"])
    assert 0 < sure <= theme["items"] - theme["undecided"]
    assert scores._repr_html_().startswith("<p>")


def test_bad_input_is_named(folders, tmp_path):
    """Missing folders, files, columns and broken Parquet each say what is wrong and where."""
    pred, meta = folders({"slack": [_label("a", LATE)]}, {"slack": [_said("a", LATE)]})
    with pytest.raises(InputError, match="nowhere"):
        evaluate_labels(tmp_path / "nowhere", meta, Settings())
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="has no labels"):
        evaluate_labels(pred, empty, Settings())
    with pytest.raises(InputError, match="predictions_slack"):
        evaluate_labels(empty, meta, Settings())
    path = pred / "predictions_slack.parquet"
    sound = path.read_bytes()
    said = pq.read_table(path)
    place = said.column_names.index("theme_confidence")
    pq.write_table(said.set_column(place, "theme_confidence", pa.array([[1.0]])), path)
    with pytest.raises(InputError, match=r"'theme_confidence' is of type list"):
        evaluate_labels(pred, meta, Settings())
    path.write_bytes(sound)
    place = said.column_names.index("theme")
    pq.write_table(said.set_column(place, "theme", pa.array(["weather"])), path)
    with pytest.raises(InputError, match="row 1: 'weather' is no theme"):
        evaluate_labels(pred, meta, Settings())
    path.write_bytes(sound)
    pq.write_table(pq.read_table(path).drop_columns(["decided_by"]), path)
    with pytest.raises(InputError, match="decided_by"):
        evaluate_labels(pred, meta, Settings())
    path.write_bytes(b"PAR1 broken")
    with pytest.raises(InputError, match="cannot read"):
        evaluate_labels(pred, meta, Settings())
