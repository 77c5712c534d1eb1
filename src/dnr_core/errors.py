"""Room: errors. One tree of errors; each knows its exit code and what to do next."""

from __future__ import annotations

from typing import ClassVar, TypeVar

Fault = TypeVar("Fault", bound=BaseException)


class DnrError(Exception):
    """Base of every error that dnr raises on purpose. `str()` is a message for a person.

    `hint` says what to do next; it is shown on a line of its own.
    """

    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class GateFailedError(DnrError):
    """A gate failed under `--strict`: coverage, budget, QC, evaluation."""

    exit_code = 1


class ConfigError(DnrError):
    """A setting, flag or name that cannot be used as it was given."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """No plugin brings an object of that name."""


class PluginError(ConfigError):
    """A plugin cannot be used: its distribution, version and fault are in the message."""


class InputError(DnrError):
    """Data, a folder or a database that cannot be read as it is."""

    exit_code = 3


class WarehouseError(InputError):
    """A warehouse that cannot be reached, or lacks what the archetype says."""


class CommsError(InputError):
    """Messages that cannot be read."""


class FolderHeldError(InputError):
    """Another run holds the folder."""


class FolderError(InputError):
    """A folder that cannot be written: not ours, read-only, or its disk is full."""


class UnfinishedError(InputError):
    """A folder without a manifest: what made it did not finish."""


class ProviderError(DnrError):
    """A call to a language model that failed. Plain ones are not retried."""

    exit_code = 3


class TransientProviderError(ProviderError):
    """A fault that may pass: too many requests, a server error, a cut connection.

    `retry_after_seconds` is what the server asked for, None where it did not. `maybe_charged`
    says that the work may have been done and charged: its reservation is kept then.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retry_after_seconds: float | None = None,
        maybe_charged: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds
        self.maybe_charged = maybe_charged


class ProviderTimeoutError(TransientProviderError):
    """No answer in time: the call may have been charged, so its reservation is kept."""

    def __init__(self, message: str, *, hint: str = "", maybe_charged: bool = True) -> None:
        super().__init__(message, hint=hint, maybe_charged=maybe_charged)


class FatalProviderError(ProviderError):
    """A wrong key or an exhausted account: the run stops, and what is done is kept."""


class BudgetError(ConfigError):
    """A cap that permits nothing, or a model without a price."""


class InternalError(DnrError):
    """A fault of dnr's own."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class's name where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class TerminatedError(BaseException):
    """Somebody asked the process to end (SIGTERM). No Exception, as KeyboardInterrupt is none."""


def let_through(error: Fault) -> Fault:
    """Return `error`, unless an end that was asked for hides in it: that one is raised instead.

    DuckDB, asked to stop in the middle of a query, wraps what the signal's handler raised in an
    error of its own. Whoever goes on after errors of a library calls this first.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt | TerminatedError):
            raise seen
        seen = seen.__cause__ or seen.__context__
    return error
