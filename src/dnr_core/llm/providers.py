"""Room: llm. A provider by its name: nothing of it is imported before it is chosen."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from dnr_core.errors import DnrError, PluginError
from dnr_core.model import Provider, load

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue


def make_provider(
    catalogue: Catalogue,
    name: str,
    model: str = "",
    *,
    settings: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
) -> Provider:
    """Import the provider of that name, and make it.

    Args:
        catalogue: what the plugins bring.
        name: the provider's name.
        model: the model; "" means the provider's default.
        settings: values by name that the provider may read, such as `base_url`, `env_key_var`,
            `price_usd_per_million`, `timeout_seconds`; it ignores those that it does not know.
        env: where secrets are looked up; the process's environment by default. It is handed to
            the factory as the setting `environ`.

    Raises:
        UnknownNameError: no plugin brings a provider of that name.
        PluginError: it cannot be imported or made.
        ConfigError: the provider refuses its settings (for example, it has no key).
    """
    spec = catalogue.provider(name)
    given: dict[str, Any] = dict(settings or {})
    given["environ"] = os.environ if env is None else env
    try:
        factory = cast("Callable[[str, Mapping[str, Any]], Provider]", load(spec.factory))
        provider = factory(model or spec.default_model, given)
    except DnrError:
        raise
    except ImportError as error:
        raise PluginError(
            f"the provider {name!r} cannot be imported: {error}",
            hint="install what it needs, or choose another --provider",
        ) from error
    except Exception as error:
        # A plugin may raise anything. The fault's own text is left out: it may quote a setting that is secret.
        raise PluginError(
            f"the provider {name!r} cannot be made: {type(error).__name__} in {spec.factory}",
            hint="report this to the plugin's author, or choose another --provider",
        ) from error
    if not isinstance(provider, Provider):
        raise PluginError(
            f"the provider {name!r} is no provider: {spec.factory} returned a "
            f"{type(provider).__name__} that lacks a member of dnr_core.model.Provider",
            hint="report this to the plugin's author, or choose another --provider",
        )
    return provider
