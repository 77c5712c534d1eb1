"""Room: builtin. A check's outcome from a comparison."""

from __future__ import annotations

from dnr_core.model import CheckResult


def outcome(name: str, passed: bool, measured: str, expected: str, where: str) -> CheckResult:  # noqa: FBT001 - reads as a sentence
    """Return passed or failed, with what was measured and expected."""
    return CheckResult(name, "passed" if passed else "failed", measured, expected, where)


def skipped(name: str, reason: str, expected: str, where: str) -> CheckResult:
    """Return an outcome that could not be judged, with its reason."""
    return CheckResult(name, "skipped", reason, expected, where)


def quoted(name: str) -> str:
    """Return an identifier as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
