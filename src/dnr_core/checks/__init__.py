"""Room: checks. Runs the QC checks of all plugins over a made company."""

from dnr_core.checks.run import QcSummary, validate

__all__ = ["QcSummary", "validate"]
