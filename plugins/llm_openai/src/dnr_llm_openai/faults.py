"""Room: plugin openai. What a fault of the SDK means to dnr. No text of a server gets into messages."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2
import openai

from dnr_core.errors import (
    FatalProviderError,
    ProviderError,
    ProviderTimeoutError,
    TransientProviderError,
)

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_EXHAUSTED: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
)
_FATAL_HINTS: Final[Mapping[int, str]] = {
    401: "check the key in the environment variable that `env_key_var` names",
    402: "add credit to the account, or choose another provider",
    403: "this key may not use this model or server; check the account",
    404: "check the model's name and `base_url`",
}
# Turned away before any work was done, so not charged; other 5xx may come from a proxy after it.
_TURNED_AWAY: Final = frozenset({503, 529})
_MAY_PASS: Final = frozenset({408, 409, 425, 429})


def provider_error(error: Exception) -> ProviderError:
    """Return the provider error that stands for a fault of the SDK or of the connection."""
    if isinstance(error, openai.APIStatusError):
        return _status_error(error)
    if isinstance(error, openai.APITimeoutError):
        never_sent = isinstance(error.__cause__, httpx2.ConnectTimeout | httpx2.PoolTimeout)
        return ProviderTimeoutError("no answer in time", maybe_charged=not never_sent)
    if isinstance(error, openai.APIConnectionError):
        if isinstance(error.__cause__, httpx2.ConnectError):
            return TransientProviderError(
                "the server cannot be reached", hint="check `base_url` and the network"
            )
        return TransientProviderError("the connection was cut", maybe_charged=True)
    # What is left is an answer that cannot be read: no JSON, not the shape of a completion.
    return no_completion()


def no_completion() -> TransientProviderError:
    """Return the error for a reply with status 200 that is no completion."""
    return TransientProviderError(
        "the server sent something else than a completion",
        hint="check `base_url`: it should end where /chat/completions is added",
        maybe_charged=True,
    )


def _status_error(error: openai.APIStatusError) -> ProviderError:
    status = error.status_code
    codes = [value for value in (error.code, error.type) if _is_code(value)]
    named = f"{status} ({codes[0]})" if codes else f"{status}"
    message = f"the server answered {named}"
    if _EXHAUSTED & set(codes):
        return FatalProviderError(message, hint="the account has no credit left; add some")
    if status in _FATAL_HINTS:
        return FatalProviderError(message, hint=_FATAL_HINTS[status])
    if status in _MAY_PASS or status >= 500:
        return TransientProviderError(
            message,
            retry_after_seconds=_retry_after(error.response.headers),
            maybe_charged=status >= 500 and status not in _TURNED_AWAY,
        )
    return ProviderError(message)


def _is_code(value: object) -> bool:
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `retry-after-ms` or `retry-after` (seconds or a date) ask for."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except (ValueError, TypeError):
        return None
    return max(0.0, moment.timestamp() - time.time())
