"""A provider by its name."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from dnr_core.catalogue import Catalogue
from dnr_core.errors import ConfigError, PluginError, UnknownNameError
from dnr_core.llm import make_provider
from dnr_core.model import ProviderSpec
from dnr_core.testing import ScriptedProvider

HERE: dict[str, Any] = {}


def good(model: str, settings: Any) -> ScriptedProvider:
    HERE.update(settings)
    return ScriptedProvider(model=model)


def broken(model: str, settings: Any) -> None:
    raise RuntimeError("the key is sk-hush")


def refuses(model: str, settings: Any) -> None:
    raise ConfigError("no key")


def nothing(model: str, settings: Any) -> object:
    return object()


@pytest.fixture
def catalogue(monkeypatch: pytest.MonkeyPatch) -> Catalogue:
    monkeypatch.setitem(sys.modules, "provider_tests", sys.modules[__name__])
    paths = {name: f"provider_tests:{name}" for name in ("good", "broken", "refuses", "nothing")}
    paths["lost"] = "no_such_package_at_all:make"
    return Catalogue(
        providers={name: ProviderSpec(name, name, path, "m-1") for name, path in paths.items()}
    )


def test_settings_and_environment_reach_the_factory(catalogue: Catalogue) -> None:
    """As they are, with the environment beside them; an empty model is the default."""
    provider = make_provider(catalogue, "good", settings={"base_url": "x"}, env={"A": "b"})
    assert provider.model == "m-1"
    assert HERE == {"base_url": "x", "environ": {"A": "b"}}
    assert make_provider(catalogue, "good", "m-2").model == "m-2"


def test_an_unknown_name_is_said(catalogue: Catalogue) -> None:
    """With the names that are there."""
    with pytest.raises(UnknownNameError, match="good"):
        make_provider(catalogue, "god")


@pytest.mark.parametrize(
    ("name", "said"), [("lost", "imported"), ("broken", "RuntimeError"), ("nothing", "object")]
)
def test_a_broken_provider_is_named(catalogue: Catalogue, name: str, said: str) -> None:
    """The error names it and its fault, and quotes no text that may be secret."""
    with pytest.raises(PluginError, match=said) as caught:
        make_provider(catalogue, name)
    assert name in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_refusal_of_its_own_passes_through(catalogue: Catalogue) -> None:
    """A provider says itself what it lacks."""
    with pytest.raises(ConfigError, match="no key"):
        make_provider(catalogue, "refuses")
