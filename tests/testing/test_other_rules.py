"""Rules for styles, scorers, providers, checks and whole plugins: each has a bad one for it alone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from attrs import evolve

from dnr_core.errors import ConfigError, ProviderError
from dnr_core.model import (
    Check,
    CheckResult,
    CommsStyle,
    Need,
    Price,
    ProviderSpec,
    Reply,
    Request,
    Score,
    Scorer,
    Usage,
)
from dnr_core.testing import check_plugin, check_provider, rules_for

PLAIN = CommsStyle(
    "kit",
    "Kit",
    vocabulary={"greeting": ("hi", "hello", "hey"), "thanks": ("ta", "thanks", "cheers")},
    traits={"typo": 0.1},
    instructions="Write short and friendly messages, without emoji.",
)
STYLES = {
    "STY001": evolve(PLAIN, traits={"typo": 1.5}),
    "STY002": evolve(PLAIN, vocabulary={**PLAIN.vocabulary, "ack": ("ok {name}",)}),
    "STY003": evolve(PLAIN, vocabulary={**PLAIN.vocabulary, "ack": ("ask jo@acme.com",)}),
    "STY004": evolve(PLAIN, vocabulary={"greeting": ("hi", "hello", "hey")}),
    "STY005": evolve(PLAIN, instructions=""),
}


def weigh(need: Need, settings: Any) -> Score:
    money, demand = need.revenue_share or 0.0, need.demand_share
    return Score((money + demand) / 2, {"money": money, "demand": demand})


CALLS: Iterator[int] = count()


def fickle(need: Need, settings: Any) -> Score:
    return evolve(weigh(need, settings), value=float(next(CALLS)))


def in_cents(need: Need, settings: Any) -> Score:
    return evolve(weigh(need, settings), value=(need.revenue_cents or 0.0) / 1e6)


def upside_down(need: Need, settings: Any) -> Score:
    return evolve(weigh(need, settings), value=2.0 - weigh(need, settings).value)


GOOD = Scorer("kit", "Kit", weigh)
SCORERS = {
    "SCO001": evolve(GOOD, score=lambda need, settings: Score(1 / need.revenue_share, {})),
    "SCO002": evolve(GOOD, score=fickle),
    "SCO003": evolve(GOOD, score=in_cents),
    "SCO004": evolve(GOOD, score=lambda need, _: evolve(weigh(need, _), parts={"rows": 7.0})),
    "SCO005": evolve(GOOD, score=upside_down),
}


class Answering:
    """Answers with the first value that the schema allows."""

    def __init__(self, model: str, settings: Any) -> None:
        self.model, self.price, self.local = model, Price(0.0, 0.0), True

    async def complete(self, request: Request) -> Reply:
        return Reply(self.words(request), self.usage(request), self.model)

    def usage(self, request: Request) -> Usage:
        return Usage(len(request.item) // 4, 5)

    def words(self, request: Request) -> str:
        if request.purpose == "classify":
            said = {"theme": "none", "relevance": "negative"}
            return json.dumps({**said, "theme_confidence": 0.5, "relevance_confidence": 0.5})
        if request.purpose == "entities":
            return json.dumps({"tables": [], "columns": [], "confidence": 0.1})
        if request.purpose == "write" and request.item.startswith("{"):
            text = [{"speaker": 0, "text": "the orders are late"}]
            return json.dumps({"messages": text, "subject": None, "sql": None, "skeleton": None})
        raise ProviderError(f"it knows no answer for {request.purpose}")

    def prompt_tokens_at_most(self, request: Request) -> int:
        return len((request.instructions + request.item).encode())


class Dear(Answering):
    def __init__(self, model: str, settings: Any) -> None:
        super().__init__(model, settings)
        self.price = Price(1.0, 2.0)


class Modest(Answering):
    def prompt_tokens_at_most(self, request: Request) -> int:
        return 80


class Chatty(Answering):
    def words(self, request: Request) -> str:
        return f"Sure! {super().words(request)}"


class Wasteful(Answering):
    def usage(self, request: Request) -> Usage:
        return Usage(5, request.max_tokens + 1)


class Fickle(Answering):
    def words(self, request: Request) -> str:
        said = super().words(request)
        return said + " " * (next(CALLS) % 2)


class Fragile(Answering):
    def words(self, request: Request) -> str:
        try:
            return super().words(request)
        except ProviderError:
            raise KeyError(request.purpose) from None


class Indiscreet(Answering):
    def __init__(self, model: str, settings: Any) -> None:
        super().__init__(model, settings)
        self.local, self.price = False, None
        self.key = settings["environ"].get(settings.get("env_key_var", ""), "")
        if not self.key:
            raise ConfigError("no key")

    def __repr__(self) -> str:
        return f"Indiscreet({self.key})"


def measured() -> Any:
    return {"golden": {"items": 9, "theme_macro_f1": 0.9, "relevance_macro_f1": 0.8}}


def spec(factory: Any, **changes: Any) -> ProviderSpec:
    return ProviderSpec("kit", "Kit", factory, "kit-1", **{"measured": measured, **changes})


PROVIDERS = {
    "LLM001": spec(lambda model, settings: object()),
    "LLM002": spec(Dear),
    "LLM003": spec(Modest),
    "LLM004": spec(Indiscreet, needs_key=True),
    "LLM005": spec(Chatty),
    "LLM006": spec(Wasteful),
    "LLM007": spec(Fickle),
    "LLM008": spec(Fragile),
    "LLM009": spec(Answering, measured=None),
}


def result(name: str, passed: bool, told: str = "all of them") -> list[CheckResult]:
    return [CheckResult(name, "passed" if passed else "failed", told, "all orders", "fact_order")]


def keyed(context: Any) -> list[CheckResult]:
    """Every order has its own number, once."""
    query = "SELECT count(*) AS n, count(order_id) AS keyed FROM fact_order"
    found = context.sql(query)[0]
    return result("kit", found["n"] == found["keyed"])


def writing(context: Any) -> list[CheckResult]:
    (context.warehouse / "seen.txt").write_text(str(next(CALLS)))
    return keyed(context)


def mute(context: Any) -> list[CheckResult]:
    return [evolve(found, measured=" ") for found in keyed(context)]


CHECK = Check("kit", "Kit", keyed)
CHECKS = {
    "CHK001": evolve(CHECK, needs=("talk",)),
    "CHK002": evolve(CHECK, run=lambda context: result("kit", False)),
    "CHK003": evolve(CHECK, run=mute),
    "CHK004": evolve(CHECK, run=writing),
    "CHK005": evolve(CHECK, run=lambda context: result("kit", True), breaks=lambda company: None),
}
BAD: dict[str, dict[str, Any]] = {
    "style": STYLES,
    "scorer": SCORERS,
    "provider": PROVIDERS,
    "check": CHECKS,
}
SOUND = {"style": PLAIN, "scorer": GOOD, "provider": spec(Answering), "check": CHECK}
CASES = [(kind, rule) for kind, objects in BAD.items() for rule in objects]


@pytest.mark.parametrize("kind", BAD)
def test_every_rule_has_a_bad_one(kind: Any) -> None:
    """No rule is without proof that it fires."""
    assert set(BAD[kind]) == {rule.id for rule in rules_for(kind)}


@pytest.mark.parametrize(("kind", "rule"), CASES)
def test_a_bad_object_breaks_its_rule_and_no_other(
    kind: str, rule: str, broken: Callable[..., set[str]]
) -> None:
    """An object with one fault is told of that fault."""
    assert broken(kind, BAD[kind][rule]) == {rule}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_object_keeps_every_rule(kind: str, broken: Callable[..., set[str]]) -> None:
    """A sound object breaks none."""
    assert broken(kind, SOUND[kind]) == set()


def test_a_check_that_passes_whatever_is_broken_is_found(
    broken: Callable[..., set[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it does not say how its property is broken, what usually breaks one is tried."""
    monkeypatch.setattr("dnr_core.testing.rules.check.MOST_BREAKS", 12)
    blind = evolve(CHECK, run=lambda context: result("kit", True))
    assert broken("check", blind) == {"CHK005"}


def test_a_provider_that_needs_a_key_is_not_asked(workshop: Any) -> None:
    """Without leave nothing is sent, and a provider may be given a server of the test's own."""
    needy = spec(Answering, needs_key=True)
    assert {f.rule for f in check_provider(needy, catalogue=workshop.catalogue)} == {"LLM004"}
    chatty = spec(Chatty, needs_key=True)
    found = check_provider(chatty, answers=True, catalogue=workshop.catalogue)
    assert {f.rule for f in found} == {"LLM004", "LLM005"}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put a distribution with one entry point onto sys.path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("DNR_PLUGINS", "")
    installed: list[str] = []

    def _install(name: str, code: str, *, needs: str = "dnr-core>=0.1,<0.2") -> None:
        module = name.replace("-", "_")
        installed.append(module)
        (tmp_path / f"{module}.py").write_text(dedent(code))
        info = tmp_path / f"{module}-1.2.dist-info"
        info.mkdir()
        told = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\nRequires-Dist: {needs}\n"
        (info / "METADATA").write_text(told)
        (info / "entry_points.txt").write_text(f"[dnr]\n{module} = {module}\n")

    yield _install
    for module in installed:
        sys.modules.pop(module, None)


STYLED = """
    {more}
    from dnr_core.hookspecs import hookimpl
    from dnr_core.model import CommsStyle

    @hookimpl
    def {hook}():
        return [CommsStyle("kit_own", "Kit", {{"greeting": ("hi", "hello", "hey"),
                "thanks": ("ta", "thanks", "cheers")}}, {{}}, "Write short and friendly messages.")]
"""
PLUGINS = {
    "PLG001": {"code": STYLED.format(more="", hook="dnr_comms_style")},
    "PLG002": {"code": STYLED.format(more="import pyarrow", hook="dnr_comms_styles")},
    "PLG003": {
        "code": STYLED.format(more="", hook="dnr_comms_styles"),
        "needs": "dnr-core>=0.1",
    },
}


def test_every_rule_for_plugins_has_a_bad_one() -> None:
    """No rule is without proof that it fires."""
    assert set(PLUGINS) == {rule.id for rule in rules_for("plugin")}


@pytest.mark.parametrize("rule", PLUGINS)
def test_a_bad_plugin_breaks_its_rule_and_no_other(rule: str, install: Callable[..., None]) -> None:
    """A plugin with one fault is told of that fault, as a whole and in plain values."""
    install("dnr-kit-own", **PLUGINS[rule])
    report = check_plugin("dnr_kit_own")
    assert {*report.broken("must"), *report.broken("should")} == {rule}
    told = report.as_dict()
    assert told["passed"] == (rule == "PLG003")
    assert (told["distribution"], told["version"]) == ("dnr-kit-own", "1.2")
    assert f"BROKEN {rule}" in str(report)


def test_a_plugin_that_is_not_installed_is_refused() -> None:
    """The message lists what is installed and suggests the nearest."""
    with pytest.raises(ConfigError, match="there is no plugin 'neobnk'") as caught:
        check_plugin("neobnk")
    assert caught.value.hint == "did you mean 'neobank'?"
