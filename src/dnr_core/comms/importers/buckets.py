"""Room: comms. Which kind of channel a real channel or mailing list is, by the words in its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from dnr_core.comms.tables import BUCKETS
from dnr_core.errors import ConfigError

WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "platform": (
        "airflow", "alerts", "backend", "ci", "dagster", "dataeng", "dbt", "deploys", "dev", "devops",
        "elt", "eng", "engineering", "etl", "infra", "infrastructure", "ingest", "ingestion", "kafka",
        "logs", "oncall", "ops", "pipeline", "pipelines", "platform", "schema", "spark", "sre",
        "warehouse",
    ),
    "analytics": (
        "analyst", "analysts", "analytics", "bi", "dashboard", "dashboards", "data", "experiment",
        "experiments", "insight", "insights", "kpi", "kpis", "looker", "metric", "metrics", "query",
        "report", "reporting", "reports", "science", "sql", "tableau",
    ),
}  # fmt: skip
"""Looked for in this order; a name with none of them is "domain"."""

_SPLIT: Final = re.compile(r"[^\w]+|_")


class Bucketing:
    """Puts names into buckets. `given` maps whole names, or words, to buckets and wins.

    Raises:
        ConfigError: `given` names a bucket that does not exist.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = {
            name.casefold().lstrip("#"): bucket for name, bucket in (given or {}).items()
        }
        for name, bucket in self._given.items():
            if bucket not in BUCKETS:
                raise ConfigError(
                    f"channel {name!r} is mapped to {bucket!r}, which is no bucket",
                    hint=f"buckets are {', '.join(BUCKETS)}",
                )

    def of(self, names: Iterable[str]) -> str:
        """Return the bucket of the first of the names that says one."""
        for name in names:
            folded = name.casefold().lstrip("#")
            if folded in self._given:
                return self._given[folded]
            words = [word for word in _SPLIT.split(folded) if word]
            for word in words:
                if word in self._given:
                    return self._given[word]
            for bucket, known in WORDS.items():
                if any(word in known for word in words):
                    return bucket
        return "domain"
