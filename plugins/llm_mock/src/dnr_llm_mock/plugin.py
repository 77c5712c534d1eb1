"""Room: plugin. Says that there is an offline provider; imports nothing of it."""

from __future__ import annotations

from dnr_core.hookspecs import hookimpl
from dnr_core.model.llm import ProviderSpec


@hookimpl
def dnr_llm_providers() -> list[ProviderSpec]:
    """The offline provider, by dotted path."""
    return [
        ProviderSpec(
            name="mock",
            title="offline and deterministic: writes, classifies and names tables without a key",
            factory="dnr_llm_mock.provider:make",
            default_model="mock-1",
            measured="dnr_llm_mock.golden:scores",
        )
    ]
