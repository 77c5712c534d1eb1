"""The provider against the rules for authors: one test a rule."""

from dnr_core.testing import ProviderContract
from dnr_llm_mock.plugin import dnr_llm_providers

(SPEC,) = dnr_llm_providers()


class TestMock(ProviderContract):
    provider = SPEC
