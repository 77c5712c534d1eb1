"""Room: config. Every setting as an attrs class: its default, its unit, what is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import field, fields, frozen, validators

SCALES: Mapping[str, float] = {"tiny": 0.01, "evaluation": 1.0}
"""Named scales; any positive number is a scale too."""

_share: Any = validators.and_(validators.ge(0), validators.le(1))
_positive: Any = validators.gt(0)
_not_negative: Any = validators.ge(0)


def _at_least(value: int) -> Any:
    return validators.ge(value)


def scale_factor(scale: str) -> float:
    """Return what a scale multiplies volumes by: a named one, or a positive number.

    Raises:
        ValueError: it is neither; the message says what is allowed.
    """
    if scale in SCALES:
        return SCALES[scale]
    try:
        factor = float(scale)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise ValueError(f"must be one of {', '.join(SCALES)} or a number above 0")
    return factor


def _scale(_instance: Any, _attribute: Any, value: str) -> None:
    scale_factor(value)


def _zone(_instance: Any, _attribute: Any, value: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a time zone such as America/Los_Angeles") from None


def _named(_instance: Any, _attribute: Any, value: str) -> None:
    if not value.strip():
        raise ValueError("must not be empty")


@frozen
class Paths:
    """Folders, relative to the working folder; each archetype has its own below them."""

    data: Path = Path("data")
    comms: Path = Path("comms")
    reports: Path = Path("reports")
    meta: Path = Path("meta")


@frozen
class WarehouseSettings:
    """How companies are made. No `archetypes` means all that are installed."""

    archetypes: tuple[str, ...] = ()
    scale: str = field(default="evaluation", validator=_scale)
    quality: str = "typical"
    trajectory: str = field(default="T1", validator=validators.in_(("T1", "T2", "T3", "T4")))
    tz: str = field(default="America/Los_Angeles", validator=_zone)
    months: int = field(default=18, validator=[_at_least(1), validators.le(600)])
    seed: int = field(default=42, validator=_not_negative)
    snapshot_days: int = field(default=90, validator=_at_least(1))
    as_of: datetime | None = None
    """None: 2025-07-01 local midnight for made companies, the end of the last day with events for real ones.
    Without a zone it is local, in the company's time zone."""
    workers: int = field(default=0, validator=_not_negative)
    """Threads; 0 means one a core."""
    engine: str = field(default="local", validator=validators.in_(("local", "spark")))
    """Who makes the parts: threads of this process, or Spark's executors. No byte depends on it."""
    master: str = field(default="local[*]", validator=_named)
    """Spark's master."""


DEFAULT_AS_OF = datetime(2025, 7, 1, 7, 0, tzinfo=UTC)


@frozen
class CommsSettings:
    """How talk is made: items over the last 12 months."""

    slack_threads: int = field(default=3000, validator=_not_negative)
    emails: int = field(default=800, validator=_not_negative)
    nlq: int = field(default=1000, validator=_not_negative)
    months: int = field(default=12, validator=_at_least(1))
    users: int = field(default=200, validator=_at_least(1))
    sample_policy: str = field(
        default="event_aware", validator=validators.in_(("event_aware", "uniform"))
    )
    seed: int = field(default=43, validator=_not_negative)
    style: str = "plain"
    provider: str = "mock"
    model: str = ""
    api_cap_usd: float = field(default=1.0, validator=_not_negative)


@frozen
class PrefilterSettings:
    """The prefilter's words and weights; an empty tuple means the packaged list."""

    buckets: tuple[str, ...] = ("platform", "analytics", "domain")
    data_terms: tuple[str, ...] = ()
    context_terms: tuple[str, ...] = ()
    near_miss_terms: tuple[str, ...] = ()
    weights: Mapping[str, int] = field(factory=dict)
    """Hundredths of a point that replace packaged ones: `{data_root: 40}`."""
    fallback_per_channel_day: int = field(default=30, validator=_not_negative)
    incident_boost_hours: int = field(default=24, validator=_not_negative)


def _variable_name(_instance: Any, _attribute: Any, value: str) -> None:
    # Not attrs' own validator: its message would show a key that was put here by mistake.
    if not value.isidentifier() or len(value) >= 40 or value.startswith("sk-"):
        raise ValueError("must be the name of an environment variable, never a key itself")


@frozen
class ClassificationSettings:
    """How items are classified. `model` is sent to the provider; "" means its default."""

    provider: str = "mock"
    model: str = "gpt-4o-mini"
    temperature: float = field(default=0.0, validator=[_not_negative, validators.le(2)])
    max_output_tokens: int = field(default=64, validator=_at_least(16))
    concurrency: int = field(default=5, validator=[_at_least(1), validators.le(64)])
    timeout_seconds: float = field(default=15.0, validator=_positive)
    api_cap_usd: float = field(default=1.0, validator=_not_negative)
    prefilter_threshold: float = field(default=0.35, validator=_share)
    prefilter: PrefilterSettings = PrefilterSettings()
    env_key_var: str = field(default="OPENAI_API_KEY", validator=_variable_name)
    base_url: str = ""
    price_usd_per_million: tuple[float, float] | None = None
    """Price of prompt and completion tokens for a model whose price is not known (`--price`)."""
    batch: bool = False
    """Ask by jobs of the provider's service, one for themes and one for names: half the price, a day each."""
    calibration: str = ""
    """A `calibration.json` of `dnr eval-labels`, by which confidences are corrected."""


@frozen
class EntitiesSettings:
    """How tables and columns are found in items that do not name them exactly."""

    provider: str = "mock"
    model: str = "gpt-4o-mini"
    api_cap_usd: float = field(default=0.10, validator=_not_negative)
    max_output_tokens: int = field(default=64, validator=_at_least(16))


@frozen
class Slos:
    """Limits: percent for shares, minutes for lag."""

    key_null_pct: float = field(default=1.0, validator=_not_negative)
    fk_orphan_pct: float = field(default=2.0, validator=_not_negative)
    dup_keys_pct: float = field(default=0.2, validator=_not_negative)
    p95_ingest_lag_min: float = field(default=90.0, validator=_not_negative)


@frozen
class ScoringWeights:
    """Weights of the formula; they are used as given and should add up to 1."""

    revenue: float = field(default=0.60, validator=_share)
    demand: float = field(default=0.25, validator=_share)
    severity: float = field(default=0.15, validator=_share)


@frozen
class WeightCaps:
    """Bounds of a source's weight."""

    min: float = field(default=0.15, validator=_share)
    max: float = field(default=0.60, validator=_share)


def _slo_overrides(
    _instance: Any, _attribute: Any, value: Mapping[str, Mapping[str, float]]
) -> None:
    kinds = [attribute.name for attribute in fields(Slos)]
    for table, limits in value.items():
        for kind, limit in limits.items():
            if kind not in kinds:
                raise ValueError(
                    f"must have for each table only {', '.join(kinds)}, not {table}.{kind}"
                )
            if limit < 0:
                raise ValueError(f"must have limits of at least 0, not {table}.{kind} = {limit}")


def _window(_instance: Any, _attribute: Any, value: int | None) -> None:
    if value is not None and value < 1:
        raise ValueError("must be at least 1 day, or all")


def _source_weights(_instance: Any, _attribute: Any, value: Mapping[str, float]) -> None:
    if set(value) != {"nlq", "slack", "email"} or any(weight < 0 for weight in value.values()):
        raise ValueError("must have a weight of at least 0 for each of nlq, slack and email")
    if sum(value.values()) <= 0:
        raise ValueError("must have at least one weight above 0")


OPTIONAL: Final = ("lag", "incidents", "proofs")
"""Parts of health that `report.leave_out` may name; each costs reads of its own."""


@frozen
class ReportSettings:
    """What the report looks at, and how it weighs it."""

    scorer: str = "formula"
    scoring_weights: ScoringWeights = ScoringWeights()
    window_days: int | None = field(default=30, validator=_window)
    """Local days before the as-of; None (`--window all`) is the whole history."""
    revenue_norm: str = field(default="median_3m", validator=validators.in_(("median_3m",)))
    revenue_full_scale: float = field(default=0.10, validator=_positive)
    demand_full_scale: float = field(default=0.25, validator=_positive)
    late_weight: float = field(default=0.1, validator=_share)
    talk_only_cap: float = field(default=0.10, validator=_share)
    recency_days: float = field(default=60.0, validator=_positive)
    min_confidence: float = field(default=0.55, validator=_share)
    top: int = field(default=3, validator=_at_least(1))
    resamples: int = field(default=400, validator=_at_least(50))
    seed: int = 7
    slos: Slos = Slos()
    table_slos: Mapping[str, Mapping[str, float]] = field(factory=dict, validator=_slo_overrides)
    """Overrides by table: `{fact_payment: {key_null_pct: 2.0}}`."""
    demand_base_weights: Mapping[str, float] = field(
        factory=lambda: {"nlq": 0.50, "slack": 0.30, "email": 0.20}, validator=_source_weights
    )
    demand_weight_caps: WeightCaps = WeightCaps()
    example_keys: int = field(default=5, validator=[_not_negative, validators.le(100)])
    """Keys of affected rows shown as proof; 0 shows none."""
    min_rise_points: float = field(default=5.0, validator=_positive)
    """Smallest one-day rise of a share that is called an incident, in percentage points."""
    leave_out: tuple[str, ...] = field(
        default=(), converter=tuple, validator=validators.deep_iterable(validators.in_(OPTIONAL))
    )
    """What need not be measured, where time matters more: quantiles of the ingest lag, incidents,
    the queries that prove figures with examples of keys."""


@frozen
class EvalGates:
    """Least scores that `eval-labels --strict` accepts."""

    theme_f1: float = field(default=0.72, validator=_share)
    relevance_f1: float = field(default=0.75, validator=_share)
    nlq_f1: float = field(default=0.72, validator=_share)
    coverage: float = field(default=0.95, validator=_share)


@frozen
class HealthGates:
    """Least (and, of false alarms, most) that `eval-health --strict` accepts."""

    spike_precision: float = field(default=0.95, validator=_share)
    spike_recall: float = field(default=0.95, validator=_share)
    gap_precision: float = field(default=0.95, validator=_share)
    gap_recall: float = field(default=0.95, validator=_share)
    surge_precision: float = field(default=0.85, validator=_share)
    surge_recall: float = field(default=0.85, validator=_share)
    clean_false_alarms: float = field(default=1.0, validator=_not_negative)
    """A company and quarter, where nothing was broken."""
    rows_a_day: int = field(default=500, validator=_at_least(1))
    """Rows a local day from which on finding an incident is promised."""


@frozen
class RankingGates:
    """Least (and, of regret and of the calibration error, most) that `eval-ranking --strict` accepts."""

    top1: float = field(default=0.85, validator=_share)
    overlap: float = field(default=0.90, validator=_share)
    ndcg: float = field(default=0.95, validator=_share)
    regret: float = field(default=0.03, validator=_share)
    lead: float = field(default=0.15, validator=_share)
    """How far the best baseline is behind, on overlap."""
    calibration_error: float = field(default=0.05, validator=_share)


@frozen
class EvalSettings:
    """Evaluation against the truth."""

    gates: EvalGates = EvalGates()
    health_gates: HealthGates = HealthGates()
    ranking_gates: RankingGates = RankingGates()


@frozen
class BudgetSettings:
    """How a cap becomes a sample."""

    mode: str = field(default="sample_to_fit", validator=validators.in_(("sample_to_fit",)))
    safety_margin: float = field(default=0.25, validator=[_not_negative, validators.lt(1)])
    coverage_floor_pct: float = field(default=20.0, validator=[_not_negative, validators.le(100)])


@frozen
class CacheSettings:
    """Where replies are kept, so that nothing is paid for twice."""

    enabled: bool = True
    dir: Path = Path(".cache/llm")


@frozen
class Settings:
    """All settings. `guardrails` holds, by settings path below `report.`, what archetypes brought."""

    paths: Paths = Paths()
    warehouse: WarehouseSettings = WarehouseSettings()
    comms: CommsSettings = CommsSettings()
    classification: ClassificationSettings = ClassificationSettings()
    entities: EntitiesSettings = EntitiesSettings()
    report: ReportSettings = ReportSettings()
    eval: EvalSettings = EvalSettings()
    budget: BudgetSettings = BudgetSettings()
    cache: CacheSettings = CacheSettings()
    guardrails: Mapping[str, Any] = field(factory=dict)
