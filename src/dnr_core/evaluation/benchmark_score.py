"""Room: evaluation. Anyone's predictions held against a frozen benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from attrs import frozen
from pyarrow import csv

from dnr_core.comms.tables import LABEL_FILES
from dnr_core.errors import InputError
from dnr_core.evaluation.benchmark import KIND, PUBLIC, RANKING, TRUTH
from dnr_core.evaluation.statistics import confusion, macro_f1
from dnr_core.model import RELEVANCE, THEMES
from dnr_core.suggestions import did_you_mean
from dnr_core.warehouse.tally import WHOLE_ROW
from dnr_core.workspace import read_manifest, sha256_of

NONE: Final = "none"
TOP: Final = 3
DISCOUNTS: Final = (1.0, 0.6309297535714575, 0.5)
"""1 / log2(1 + place), of the first three places."""
FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "defects": ("company", "table", "part", "row"),
    "labels": ("company", "source", "item_id", "theme", "relevance"),
    "ranking": ("company", "rank", "theme", "table"),
}
LEDGER: Final = "ledger.parquet"
SHOW_HOW: Final = "the benchmark's README.md shows each file's columns"


@frozen
class BenchmarkScores:
    """Scores of what was handed in; a part is None where its file is not there.

    Each part has `all` over all companies, and `companies`, one by one.
    """

    defects: Mapping[str, Any] | None
    labels: Mapping[str, Any] | None
    ranking: Mapping[str, Any] | None

    def as_dict(self) -> dict[str, Any]:
        """Return the scores as JSON has them."""
        return {
            "format": "dnr-benchmark-scores",
            "version": 1,
            "defects": self.defects,
            "labels": self.labels,
            "ranking": self.ranking,
        }

    def __str__(self) -> str:
        lines = []
        if self.defects:
            found = self.defects["all"]
            lines.append(
                f"defects: precision {_share(found['precision'])}, recall "
                f"{_share(found['recall'])}, F1 {_share(found['f1'])} "
                f"({found['named']:,} rows named, {found['broken']:,} broken)"
            )
            lines += [
                f"  {kind}: {_share(part['recall'])} of {part['broken']:,} found"
                for kind, part in found["kinds"].items()
            ]
        if self.labels:
            found = self.labels["all"]
            lines.append(
                f"labels: macro-F1 theme {_share(found['theme_f1'])}, relevance "
                f"{_share(found['relevance_f1'])}, questions {_share(found['nlq_f1'])}, "
                f"coverage {_share(found['coverage'])}"
            )
        if self.ranking:
            found = self.ranking["all"]
            lines.append(
                f"ranking: first right {_share(found['top1'])}, overlap of three "
                f"{_share(found['overlap'])}, NDCG@3 {_share(found['ndcg'])}, "
                f"money missed {_share(found['regret'])}"
            )
        return "\n".join(lines)


def _share(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def score_predictions(predictions: Path, benchmark: Path) -> BenchmarkScores:
    """Score the files of a folder, or one file, against a benchmark.

    Raises:
        InputError: no benchmark, a truth that was changed, no file of a known name, a missing
            column, or a company, table or theme that is not known.
    """
    companies = _companies(benchmark)
    given = _given(predictions)
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {
        name: _by_company(_rows(path, FILES[name]), path, companies) for name, path in given.items()
    }

    def judged(name: str, judge: Callable[..., dict[str, Any]]) -> dict[str, Any] | None:
        if name not in parts:
            return None
        rows = parts[name]
        each = {c: judge(benchmark, c, rows.get(c, [])) for c in companies}
        whole = _WHOLE[name](list(each.values()))
        left_out = [company for company in companies if company not in rows]
        plain = {c: {k: v for k, v in e.items() if k[0] != "_"} for c, e in each.items()}
        return {"all": whole, "companies": plain, "left_out": left_out}

    return BenchmarkScores(
        judged("defects", _defects), judged("labels", _labels), judged("ranking", _ranking)
    )


def _companies(benchmark: Path) -> tuple[str, ...]:
    manifest = read_manifest(benchmark)
    if manifest.kind != KIND:
        raise InputError(
            f"{benchmark} holds a {manifest.kind}, not a benchmark",
            hint="give --benchmark the folder that `dnr export-benchmark` wrote",
        )
    for name, digest in manifest.files.items():
        if name.startswith(f"{TRUTH}/"):
            path = benchmark / name
            if not path.exists() or sha256_of(path) != digest:
                raise InputError(
                    f"{path} is not the file that was frozen",
                    hint="scores hold for the frozen set alone: export or fetch it again",
                )
    return tuple(sorted(path.name for path in (benchmark / TRUTH).iterdir() if path.is_dir()))


def _given(predictions: Path) -> dict[str, Path]:
    if predictions.is_file():
        found = {predictions.stem: predictions}
    else:
        found = {
            name: path
            for name in FILES
            for path in (predictions / f"{name}.parquet", predictions / f"{name}.csv")
            if path.exists()
        }
    if not found or not set(found) <= set(FILES):
        raise InputError(
            f"there are no predictions in {predictions}",
            hint=f"write {', '.join(f'{name}.csv' for name in FILES)}, or some of them; {SHOW_HOW}",
        )
    return found


def _rows(path: Path, needed: Sequence[str]) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            table = pq.read_table(path)
        else:
            table = csv.read_csv(
                path,
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(("company", "item_id", "theme"), pa.string()),
                    strings_can_be_null=False,
                ),
            )
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path}: {error}", hint=SHOW_HOW) from None
    missing = [name for name in needed if name not in table.column_names]
    if missing:
        raise InputError(f"{path} has no column {missing[0]!r}", hint=SHOW_HOW)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _by_company(
    rows: Iterable[dict[str, Any]], path: Path, companies: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row["company"]), []).append(row)
    for name in found:
        _known(name, companies, f"{path} names the company")
    return found


def _known(value: str, allowed: Sequence[str], what: str) -> str:
    if value not in allowed:
        raise InputError(
            f"{what} {value!r}, which is not known",
            hint=did_you_mean(value, allowed) or f"known: {', '.join(sorted(allowed)[:12])}",
        )
    return value


Row = tuple[str, int, int]
"""Table, part file and row in it."""


def _defects(benchmark: Path, company: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    home = benchmark / TRUTH / company
    data = benchmark / PUBLIC / company / "data"
    tables = sorted(path.name for path in data.iterdir() if path.is_dir())
    try:
        named: set[Row] = {
            (
                _known(str(r["table"]), tables, "a row names the table"),
                int(r["part"]),
                int(r["row"]),
            )
            for r in given
        }
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a row of {company} has no number as its part or row: {error}", hint=SHOW_HOW
        ) from None
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        ledger = connection.execute(
            'SELECT "table", part, row, kind FROM read_parquet($path) '
            'WHERE "column" <> $gone ORDER BY ALL',
            {"path": str(home / LEDGER), "gone": WHOLE_ROW},
        ).fetchall()
        twins = _twins(connection, benchmark, company, data)
    broken: dict[Row, set[str]] = {}
    for table, part, row, kind in ledger:
        broken.setdefault((table, int(part), int(row)), set()).add(kind)
    hits: dict[Row, bool] = {}
    spared: set[Row] = set()
    for place, kinds in broken.items():
        group = twins.get(place, ()) if "duplicate" in kinds else ()
        hits[place] = place in named or any(twin in named for twin in group)
        spared.update(group)
    wrong = {place for place in named if place not in broken and place not in spared}
    by_kind: dict[str, list[int]] = {}
    for place, kinds in broken.items():
        for kind in kinds:
            count = by_kind.setdefault(kind, [0, 0])
            count[0] += 1
            count[1] += hits[place]
    return _detection(sum(hits.values()), len(wrong), len(broken), len(named), by_kind)


def _twins(
    connection: duckdb.DuckDBPyConnection, benchmark: Path, company: str, data: Path
) -> dict[Row, tuple[Row, ...]]:
    """Return, of each row whose business key is there more than once, the others of that key."""
    described = json.loads((benchmark / PUBLIC / company / "company.json").read_text("utf-8"))
    found: dict[Row, tuple[Row, ...]] = {}
    for table in described["tables"]:
        name, keys = table["name"], [f'"{c}"' for c in table["business_key"]]
        if not keys or not (data / name).is_dir():
            continue
        rows = connection.read_parquet(
            str(data / name / "*.parquet"), filename=True, file_row_number=True
        )
        whole = rows.filter(" AND ".join(f"{key} IS NOT NULL" for key in keys))
        place = "(regexp_extract(filename, 'part-(\\d+)', 1)::INT, file_row_number)"
        groups = (
            whole.aggregate(f"list({place}) AS places, count(*) AS copies", ", ".join(keys))
            .filter("copies > 1")
            .project("places")
            .fetchall()
        )
        for (places,) in groups:
            alike = [(name, int(part), int(row)) for part, row in places]
            found |= {one: tuple(other for other in alike if other != one) for one in alike}
    return found


def _detection(
    hits: int, wrong: int, broken: int, named: int, by_kind: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    precision = hits / (hits + wrong) if hits + wrong else None
    recall = hits / broken if broken else None
    f1 = 2 * hits / (hits + wrong + broken) if broken else None
    return {
        "precision": _round(precision),
        "recall": _round(recall),
        "f1": _round(f1),
        "hits": hits,
        "wrong": wrong,
        "broken": broken,
        "named": named,
        "kinds": {
            kind: {"broken": count, "hits": found, "recall": _round(found / count)}
            for kind, (count, found) in sorted(by_kind.items())
        },
    }


def _all_defects(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    by_kind: dict[str, list[int]] = {}
    for one in each:
        for kind, part in one["kinds"].items():
            count = by_kind.setdefault(kind, [0, 0])
            count[0] += part["broken"]
            count[1] += part["hits"]
    hits, wrong, broken, named = (
        sum(one[name] for one in each) for name in ("hits", "wrong", "broken", "named")
    )
    return _detection(hits, wrong, broken, named, by_kind)


def _labels(benchmark: Path, company: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    import pyarrow.parquet as pq

    said = {(str(r["source"]), str(r["item_id"])): r for r in given}
    pairs: dict[str, list[tuple[str, str]]] = {"theme": [], "relevance": [], "nlq": []}
    items = decided = 0
    for source, name in LABEL_FILES.items():
        for true in pq.read_table(benchmark / TRUTH / company / name).to_pylist():
            row = said.get((source, true["item_id"]), {})
            theme = _known(row.get("theme") or NONE, (*THEMES, NONE), "a label has the theme")
            relevance = row.get("relevance") or "negative"
            _known(relevance, RELEVANCE, "a label has the relevance")
            items, decided = items + 1, decided + bool(row)
            if source == "nlq":
                pairs["nlq"].append((true["theme"] or NONE, theme))
                continue
            if true["relevance"] == "positive":
                pairs["theme"].append((true["theme"] or NONE, theme))
            pairs["relevance"].append((true["relevance"], relevance))
    return _label_scores(pairs, items, decided)


def _label_scores(
    pairs: Mapping[str, Sequence[tuple[str, str]]], items: int, decided: int
) -> dict[str, Any]:
    classes = {"relevance": RELEVANCE}
    scores: dict[str, Any] = {}
    for name, found in pairs.items():
        known = classes.get(name, (*THEMES, NONE))
        counts = confusion([true for true, _ in found], [said for _, said in found], known)
        scores[f"{name}_f1"] = _round(macro_f1(counts))
    coverage = _round(decided / items) if items else None
    return {**scores, "items": items, "decided": decided, "coverage": coverage, "_pairs": pairs}


def _all_labels(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    pairs = {
        name: [pair for one in each for pair in one["_pairs"][name]]
        for name in ("theme", "relevance", "nlq")
    }
    items, decided = (sum(one[name] for one in each) for name in ("items", "decided"))
    whole = _label_scores(pairs, items, decided)
    del whole["_pairs"]
    return whole


def _ranking(benchmark: Path, company: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    true = json.loads((benchmark / TRUTH / company / RANKING).read_text("utf-8"))
    score = {(n["theme"], n["table"]): float(n["score"]) for n in true["needs"]}
    worth = {(n["theme"], n["table"]): int(n["worth_cents"]) for n in true["needs"]}
    best = [(theme, table) for theme, table in true["top"]][:TOP]
    ordered = sorted(given, key=lambda row: int(row["rank"]))[:TOP]
    named = list(dict.fromkeys((str(r["theme"]), str(r["table"])) for r in ordered))
    for theme, _ in named:
        _known(theme, THEMES, "a need has the theme")
    ideal = sum(d * score[key] for d, key in zip(DISCOUNTS, best, strict=False))
    gained = sum(d * score.get(key, 0.0) for d, key in zip(DISCOUNTS, named, strict=False))
    most = sum(worth[key] for key in best)
    found = sum(worth.get(key, 0) for key in named)
    return {
        "top1": float(bool(named) and named[0] == best[0]) if best else None,
        "overlap": _round(len(set(named) & set(best)) / len(best)) if best else None,
        "ndcg": _round(min(1.0, gained / ideal)) if ideal else None,
        "regret": _round(max(0.0, 1.0 - found / most)) if most else None,
        "named": [list(key) for key in named],
        "true": [list(key) for key in best],
    }


def _all_ranking(each: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("top1", "overlap", "ndcg", "regret")
    known = {name: [one[name] for one in each if one[name] is not None] for name in names}
    return {n: _round(sum(v) / len(v)) if v else None for n, v in known.items()}


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


_WHOLE: Final[Mapping[str, Callable[[Sequence[Mapping[str, Any]]], dict[str, Any]]]] = {
    "defects": _all_defects,
    "labels": _all_labels,
    "ranking": _all_ranking,
}
