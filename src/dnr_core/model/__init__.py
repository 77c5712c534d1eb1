"""Room: model. The frozen values that every other room talks in; imports no other room."""

from dnr_core.model.archetype import (
    Amount,
    Archetype,
    Condition,
    Guardrail,
    GuardrailResult,
    Kpi,
    KpiContext,
    RevenueStream,
)
from dnr_core.model.check import Check, CheckContext, CheckResult
from dnr_core.model.comms import CommsStyle, CommsTables
from dnr_core.model.corruption import (
    CellChange,
    DefectOutcome,
    DefectTask,
    RowCopies,
    RowRemovals,
)
from dnr_core.model.defect import (
    Breaks,
    DefectKind,
    DefectProfile,
    DefectRate,
    IncidentRate,
    LagProfile,
    Option,
)
from dnr_core.model.demand import DemandResult, SourceCoverage, ThemeShare
from dnr_core.model.health import DetectedIncident, HealthResult, NotMeasured, SloVerdict
from dnr_core.model.incident import Incident
from dnr_core.model.lazy import load
from dnr_core.model.llm import (
    BatchProvider,
    ClosableProvider,
    ManyProvider,
    Price,
    Provider,
    ProviderFault,
    ProviderSpec,
    Reply,
    Request,
    Usage,
)
from dnr_core.model.need import Interval, Need, RankedNeed, Ranking, Score, Scorer
from dnr_core.model.schema import Column, EventTime, ForeignKey, Schema, Table
from dnr_core.model.synthesis import Company, Family, Parent, Synthesis
from dnr_core.model.themes import RELEVANCE, THEMES, Theme

__all__ = [
    "RELEVANCE",
    "THEMES",
    "Amount",
    "Archetype",
    "BatchProvider",
    "Breaks",
    "CellChange",
    "Check",
    "CheckContext",
    "CheckResult",
    "ClosableProvider",
    "Column",
    "CommsStyle",
    "CommsTables",
    "Company",
    "Condition",
    "DefectKind",
    "DefectOutcome",
    "DefectProfile",
    "DefectRate",
    "DefectTask",
    "DemandResult",
    "DetectedIncident",
    "EventTime",
    "Family",
    "ForeignKey",
    "Guardrail",
    "GuardrailResult",
    "HealthResult",
    "Incident",
    "IncidentRate",
    "Interval",
    "Kpi",
    "KpiContext",
    "LagProfile",
    "ManyProvider",
    "Need",
    "NotMeasured",
    "Option",
    "Parent",
    "Price",
    "Provider",
    "ProviderFault",
    "ProviderSpec",
    "RankedNeed",
    "Ranking",
    "Reply",
    "Request",
    "RevenueStream",
    "RowCopies",
    "RowRemovals",
    "Schema",
    "Score",
    "Scorer",
    "SloVerdict",
    "SourceCoverage",
    "Synthesis",
    "Table",
    "Theme",
    "ThemeShare",
    "Usage",
    "load",
]
