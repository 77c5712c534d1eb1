"""Choosing and making the provider: imports, keys, prices, settings."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any

import pytest

from dnr_core.errors import BudgetError, ConfigError
from dnr_core.llm import Budget, complete_all, make_provider
from dnr_core.model import Price, Provider
from dnr_core.plugins import load_plugins

KEYED = {"OPENAI_API_KEY": "sk-abc"}


@pytest.fixture(scope="module")
def catalogue() -> Any:
    return load_plugins(only=("llm_openai",))


def test_nothing_heavy_is_imported_before_it_is_chosen() -> None:
    """Loading the plugin and asking what it brings imports neither openai nor instructor."""
    code = (
        "import sys; from dnr_core.plugins import load_plugins\n"
        "spec = load_plugins(only=('llm_openai',)).provider('openai')\n"
        "found = {'openai', 'instructor', 'pydantic', 'genai_prices', 'httpx2'} & set(sys.modules)\n"
        "print(spec.default_model, sorted(found))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "gpt-4o-mini []"


def test_it_is_made_by_name_with_its_default_model_and_list_price(catalogue: Any) -> None:
    """An empty model is the default one, at the price that OpenAI lists."""
    provider = make_provider(catalogue, "openai", env=KEYED)
    assert isinstance(provider, Provider)
    assert provider.model == "gpt-4o-mini"
    assert provider.price == Price(0.15, 0.60)
    assert not provider.local


def test_a_dated_model_has_its_price(catalogue: Any) -> None:
    """A dated version of a known model costs what the model costs."""
    provider = make_provider(catalogue, "openai", "gpt-4o-mini-2024-07-18", env=KEYED)
    assert provider.price == Price(0.15, 0.60)


@pytest.mark.parametrize(
    "model", ["gpt-9", "gpt-4o-mini-but-mine", "ft:gpt-4o-mini:me:x:y", "llama3"]
)
def test_an_unknown_model_does_not_start_without_a_price(
    catalogue: Any, requests_for: Any, model: str
) -> None:
    """It has no price, so no call is made, and the error says what to give."""
    provider = make_provider(catalogue, "openai", model, env=KEYED)
    assert provider.price is None
    with pytest.raises(BudgetError) as caught:
        complete_all(requests_for(["a"]), provider, budget=Budget(1.0, provider.price))
    assert "--price" in caught.value.hint


def test_another_server_has_no_list_price_of_openais(catalogue: Any) -> None:
    """The same name at another address may cost anything, so its price is not known."""
    settings = {"base_url": "http://localhost:8000/v1"}
    assert make_provider(catalogue, "openai", settings=settings, env={}).price is None


def test_a_given_price_wins(catalogue: Any) -> None:
    """`price_usd_per_million` is taken for any model, also where it says that it costs nothing."""
    for given in ((0.0, 0.0), [1.5, 2]):
        provider = make_provider(
            catalogue, "openai", "gpt-9", settings={"price_usd_per_million": given}, env=KEYED
        )
        assert provider.price == Price(float(given[0]), float(given[1]))


def test_a_missing_key_is_said_before_any_call(catalogue: Any) -> None:
    """The error names the variable that was looked at."""
    with pytest.raises(ConfigError, match="MY_KEY") as caught:
        make_provider(catalogue, "openai", settings={"env_key_var": "MY_KEY"}, env=KEYED)
    assert "mock" in caught.value.hint


def test_a_key_that_cannot_be_one_is_not_shown(catalogue: Any) -> None:
    """A key with a line break in its middle is refused without being quoted."""
    with pytest.raises(ConfigError) as caught:
        make_provider(catalogue, "openai", env={"OPENAI_API_KEY": "sk-hush\nhush"})
    assert "hush" not in str(caught.value) + caught.value.hint


def test_the_key_may_lie_in_a_keyring(
    catalogue: Any, server: Any, waits: Any, requests_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the variable is empty and keyring is installed, the key comes from there."""
    asked = []
    ring = types.ModuleType("keyring")
    ring.get_password = lambda service, name: asked.append((service, name)) or "sk-ring"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    settings = {"base_url": server.url, "price_usd_per_million": (1.0, 1.0)}
    provider = make_provider(catalogue, "openai", settings=settings, env={})
    complete_all(requests_for(["a"]), provider, budget=Budget(1.0, provider.price))
    assert asked == [("dnr", "OPENAI_API_KEY")]
    assert server.books.headers[0]["authorization"] == "Bearer sk-ring"


def test_a_local_server_needs_no_key(catalogue: Any, server: Any, requests_for: Any) -> None:
    """Another server is asked with a word that is no key."""
    settings = {"base_url": server.url, "price_usd_per_million": (0.0, 0.0)}
    provider = make_provider(catalogue, "openai", "llama3", settings=settings, env={})
    done = complete_all(requests_for(["a"]), provider, budget=Budget(0.0, provider.price))
    assert done.count("ok") == 1
    assert server.books.headers[0]["authorization"] == "Bearer none"


@pytest.mark.parametrize(
    "settings",
    [
        {"answer_format": "xml"},
        {"base_url": "localhost:8000"},
        {"base_url": 5},
        {"price_usd_per_million": (1,)},
        {"price_usd_per_million": (-1, 2)},
        {"price_usd_per_million": ("a", "b")},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(catalogue: Any, settings: dict[str, Any]) -> None:
    """A value that is not allowed is a configuration error with what is allowed."""
    with pytest.raises(ConfigError) as caught:
        make_provider(catalogue, "openai", settings=settings, env=KEYED)
    assert caught.value.hint


def test_the_address_may_come_from_the_environment(
    catalogue: Any, server: Any, requests_for: Any
) -> None:
    """`OPENAI_BASE_URL` is used where no `base_url` is set."""
    env = {"OPENAI_BASE_URL": server.url, **KEYED}
    provider = make_provider(
        catalogue, "openai", settings={"price_usd_per_million": (1.0, 1.0)}, env=env
    )
    complete_all(requests_for(["a"]), provider, budget=Budget(1.0, provider.price))
    assert server.calls == 1


def test_one_provider_serves_several_runs(
    server: Any, provider: Any, waits: Any, requests_for: Any
) -> None:
    """Each run has an event loop of its own; a provider is closed after each and opens again."""
    for _ in range(2):
        done = complete_all(
            requests_for(["a", "b"]), provider, budget=Budget(1.0, Price(0.15, 0.60))
        )
        assert done.count("ok") == 2
    assert provider._client is None
