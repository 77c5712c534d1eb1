"""The provider against the rules for authors: one test a rule; and all of them with a server."""

import json
from typing import Any

from dnr_core.testing import ProviderContract, check_provider
from dnr_llm_openai.plugin import dnr_llm_providers

(SPEC,) = dnr_llm_providers()


class TestOpenAI(ProviderContract):
    provider = SPEC


def answer(schema: dict[str, Any]) -> Any:
    """The first value that a schema allows."""
    if "enum" in schema:
        return schema["enum"][0]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "null" in kinds:
        return None
    if kinds == ["object"]:
        return {name: answer(schema["properties"][name]) for name in schema["required"]}
    return {"array": [], "string": "x", "number": 0, "integer": 0}[kinds[0]]


def test_with_a_server_it_is_asked_and_keeps_every_rule(server: Any, acts: Any) -> None:
    """Requests of every purpose go over the wire, and what comes back obeys schema, size and price."""

    def choose(body: dict[str, Any]) -> Any:
        return acts.say(json.dumps(answer(body["response_format"]["json_schema"]["schema"])))

    server.choose = choose
    key = {"OPENAI_API_KEY": "sk-of-the-test-server"}
    found = check_provider(SPEC, settings={"base_url": server.url}, environ=key, answers=True)
    assert [str(finding) for finding in found] == []
    assert server.calls > 30
