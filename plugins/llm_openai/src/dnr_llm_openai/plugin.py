"""Room: plugin openai. The provider "openai"; nothing heavy is imported before it is chosen."""

from __future__ import annotations

from dnr_core.hookspecs import hookimpl
from dnr_core.model import ProviderSpec

OPENAI = ProviderSpec(
    name="openai",
    title="OpenAI, or any server that speaks its chat completions",
    factory="dnr_llm_openai.provider:make",
    default_model="gpt-4o-mini",
    needs_key=True,
    settings="dnr_llm_openai.settings:OpenAISettings",
)


@hookimpl
def dnr_llm_providers() -> list[ProviderSpec]:
    """Bring the provider."""
    return [OPENAI]
