"""Room: report. From each figure down to the row: queries, keys, message ids, the formula."""

from __future__ import annotations

from typing import Any, Final

from dnr_core.model.health import Proof
from dnr_core.model.need import RankedNeed
from dnr_core.report import wording as say
from dnr_core.report.cards import asks_document
from dnr_core.report.context import Context, anchor
from dnr_core.report.places import places_document
from dnr_core.report.sections import voices_document

MAX_IDS: Final = 12
MAX_PROOFS: Final = 4


def proof_document(context: Context, ranked: RankedNeed) -> dict[str, Any]:
    """Return what proves one need."""
    need = ranked.need
    ids = list(
        dict.fromkeys(
            row["item_id"]
            for row in sorted(context.voices(need), key=lambda row: (row["source"], row["item_id"]))
        )
    )
    return {
        "id": anchor(ranked),
        "title": context.need_title(need),
        "queries": [_query(context, proof) for proof in _proofs(context, ranked)],
        "places": places_document(context, need),
        "message_ids": ids[:MAX_IDS],
        "message_ids_left_out": max(0, len(ids) - MAX_IDS),
        "who": who_text(context, ranked),
        "voices": voices_document(context, ranked),
        "formula": formula_text(context, ranked),
        "confidence": confidence_text(ranked),
    }


def who_text(context: Context, ranked: RankedNeed) -> str:
    """Say who asks, by role, and how much of the demand that is; "" where nobody does."""
    asks = asks_document(context, ranked)
    if not asks["roles_text"]:
        return ""
    return "; ".join(
        part for part in (f"By role: {asks['roles_text']}", asks["share_text"]) if part
    )


def _proofs(context: Context, ranked: RankedNeed) -> list[Proof]:
    if context.health is None:
        return []
    need = ranked.need
    metrics = _metrics(context, ranked)
    places = ("", *need.columns[:1])
    found = [
        proof
        for proof in context.health.proofs
        if proof.table == need.table and proof.metric in metrics and proof.column in places
    ]
    # The table's own query first, then the worst column's; one of each metric before a second.
    found.sort(key=lambda proof: (places.index(proof.column), metrics.index(proof.metric)))
    return found[:MAX_PROOFS]


def _metrics(context: Context, ranked: RankedNeed) -> list[str]:
    from dnr_core.report.facts import breaches

    found = [breach.metric for breach in breaches(ranked.need, context.measures)]
    return [*found, "lag_p95_minutes"] if "late" in found else found


def _query(context: Context, proof: Proof) -> dict[str, Any]:
    from dnr_core.report.facts import METRIC_WORDS

    what = METRIC_WORDS.get(proof.metric, proof.metric.replace("_", " "))
    place = (
        f"{context.title(proof.table)}, {proof.column}"
        if proof.column
        else context.title(proof.table)
    )
    names = list(dict.fromkeys(name for key in proof.keys for name in key))
    return {
        "title": f"{say.capital(what)} in {place}",
        "metric": proof.metric,
        "column": proof.column,
        "sql": proof.sql,
        "keys_sql": proof.keys_sql,
        "key_names": names,
        "example_keys": [
            ["" if key.get(n) is None else str(key.get(n)) for n in names] for key in proof.keys
        ],
    }


def formula_text(context: Context, ranked: RankedNeed) -> str:
    """Write the built-in score with its numbers put in; another scorer's parts as they are."""
    parts = ranked.score.parts
    report = context.settings.report
    weights = report.scoring_weights
    score = f"{ranked.score.value:.3f}"
    if not {"revenue", "demand", "severity", "recency"} <= set(parts):
        inside = ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
        return f"{context.ranking.scorer}: {score} from {inside}"
    terms = " + ".join(
        f"{weight:.2f} {say.TIMES} {name} {parts[name]:.3f}"
        for name, weight in (
            ("revenue", weights.revenue),
            ("demand", weights.demand),
            ("severity", weights.severity),
        )
    )
    return f"({terms}) {say.TIMES} recency {parts['recency']:.3f} = {score}"


def confidence_text(ranked: RankedNeed) -> str:
    """Write the confidence with its parts."""
    inside = ", ".join(f"{name} {value:.2f}" for name, value in ranked.confidence_parts.items())
    return f"confidence {ranked.confidence:.2f} from {inside}" if inside else "no confidence"


def method_document(context: Context) -> dict[str, Any]:
    """Return settings that mattered, what was not measured and why, and the budget."""
    report = context.settings.report
    slos = report.slos
    limits = (
        f"empty keys {say.percent_points(slos.key_null_pct)}, unmatched keys "
        f"{say.percent_points(slos.fk_orphan_pct)}, duplicates "
        f"{say.percent_points(slos.dup_keys_pct)}, slowest 5{say.THIN}% of loads "
        f"{say.minutes(slos.p95_ingest_lag_min)}"
    )
    weights = report.scoring_weights
    rows = [
        ("Ranked on", context.ranking.basis),
        ("Score", f"{context.ranking.scorer}: revenue {weights.revenue:.2f}, demand "
                  f"{weights.demand:.2f}, severity {weights.severity:.2f}"),
        ("Full marks", f"{say.percent(report.revenue_full_scale)} of monthly revenue, "
                       f"{say.percent(report.demand_full_scale)} of the demand, five times the limit"),
        ("Late rows", f"count {report.late_weight:.2f} of their money: late is not wrong"),
        ("Talk alone", f"counts at most {report.talk_only_cap:.2f} of the revenue part and claims no money"),
        ("Age", f"a need fades with the days since its peak over {say.plain(say.significant(report.recency_days, 4))} "
                "days, unless it is over its limit in the last week"),
        ("Limits", limits),
        ("Hidden under", f"confidence {report.min_confidence:.2f}"),
        ("Ranges and certainty", f"middle 80{say.THIN}% of {say.count(report.resamples)} resamples of local days "
                                 f"and whole threads, seed {report.seed}"),
        ("A month of money", "30 days of the window, against the median of the last three full months"),
    ]  # fmt: skip
    if report.table_slos:
        rows.append(
            ("Limits by table", "; ".join(
                f"{table}: {', '.join(f'{k} {v:g}' for k, v in sorted(own.items()))}"
                for table, own in sorted(report.table_slos.items())))
        )  # fmt: skip
    demand = context.demand
    if demand is not None:
        rows.append(("Messages read by", f"{demand.provider}, {demand.model or 'its own model'}"))
        rows.append(
            ("Weights of sources", ", ".join(
                f"{source.source} {say.percent(source.weight)}"
                for source in demand.coverage if source.items))
        )  # fmt: skip
    return {
        "rows": [{"name": name, "text": text} for name, text in rows],
        "notes": list(context.ranking.notes),
    }
