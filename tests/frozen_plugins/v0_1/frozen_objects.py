"""A plugin as it was written against 0.1.0: every other hook, arguments by position where they were."""

import json

import pyarrow as pa

from dnr_core.hookspecs import hookimpl
from dnr_core.model import (
    CellChange,
    Check,
    CheckResult,
    CommsStyle,
    DefectKind,
    DefectOutcome,
    DefectProfile,
    DefectRate,
    IncidentRate,
    LagProfile,
    Price,
    ProviderSpec,
    Reply,
    Score,
    Scorer,
    Usage,
)


def dusty(task):
    values = pa.array(["dust"] * len(task.rows), pa.string())
    return DefectOutcome([CellChange(task.columns[0], task.rows, values, "dust")])


def outcomes(schema, table):
    return tuple(column.name for column in table.columns if column.values)


@hookimpl
def dnr_defect_profiles():
    """A generator, as hooks may be."""
    yield DefectKind(
        "frozen_dust", "Dust", "metric_definition_mismatch", None, dusty, targets=outcomes
    )
    yield DefectProfile(
        "frozen_profile",
        "As it was",
        rates=[DefectRate("frozen_dust", 0.1), DefectRate("key_null", 0.02)],
        incidents=[IncidentRate("null_spike", 2.0, 0.10, breaks="required_keys")],
        lag=LagProfile((30, 180), (240, 720), 0.02),
    )


@hookimpl
def dnr_comms_styles():
    return [
        CommsStyle("frozen_style", "Frozen", {"greeting": ("hail",)}, {"typo": 0.1}, "Be brief.")
    ]


class Frozen:
    model, price, local = "frozen-1", Price(0.0, 0.0), True

    async def complete(self, request):
        answer = {"theme": "none", "relevance": "negative"}
        raw = json.dumps({**answer, "theme_confidence": 0.5, "relevance_confidence": 0.5})
        return Reply(raw, Usage(10, 10), self.model, "stop")

    def prompt_tokens_at_most(self, request):
        return len(request.instructions) + len(request.item)


def make(model, settings):
    return Frozen()


@hookimpl
def dnr_llm_providers():
    return (ProviderSpec("frozen", "Frozen", "frozen_objects:make", "frozen-1"),)


def score(need, settings):
    return Score(need.demand_share, {"demand": need.demand_share})


@hookimpl
def dnr_scorers():
    return [Scorer("frozen_scorer", "Frozen", score)]


def run(context):
    rows = sum(
        context.sql(f'SELECT count(*) AS n FROM "{table.name}"')[0]["n"]
        for table in context.archetype.schema.tables
    )
    status = "passed" if rows else "failed"
    return [CheckResult("frozen_check", status, f"{rows} rows", "some rows", "all tables")]


@hookimpl
def dnr_qc_checks():
    return [Check("frozen_check", "Frozen", run)]
