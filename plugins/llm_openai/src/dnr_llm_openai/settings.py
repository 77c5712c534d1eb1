"""Room: plugin openai. What can be set, and where the key is found."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from attrs import Attribute, field, fields, frozen, validators

from dnr_core.errors import ConfigError

OFFICIAL_URL: Final = "https://api.openai.com/v1"
ANSWER_FORMATS: Final = ("json_schema", "tools", "json")


def _is_price(_instance: object, _attribute: Attribute[Any], value: Any) -> None:
    if value is None:
        return
    prompt, completion = (float(part) for part in value)
    if not (0 <= prompt < math.inf and 0 <= completion < math.inf):
        raise ValueError


@frozen
class OpenAISettings:
    """Settings of the provider "openai".

    `answer_format` says how the server is told the schema of the answer: "json_schema" (strict
    structured outputs, the default), "tools" (a function call) or "json" (JSON mode, the schema in
    the prompt) for servers that know no better. The answer is held against the schema in any case.
    """

    base_url: str = field(default="", validator=validators.instance_of(str))
    env_key_var: str = field(default="OPENAI_API_KEY", validator=validators.instance_of(str))
    answer_format: str = field(default="json_schema", validator=validators.in_(ANSWER_FORMATS))
    price_usd_per_million: tuple[float, float] | None = field(default=None, validator=_is_price)

    @classmethod
    def of(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> OpenAISettings:
        """Take what is ours from `given`; what is empty there comes from the environment.

        Raises:
            ConfigError: a value that is not allowed.
        """
        values: dict[str, Any] = {
            "base_url": environ.get("OPENAI_BASE_URL", ""),
            "answer_format": environ.get("OPENAI_ANSWER_FORMAT", "") or "json_schema",
        }
        for name in (attribute.name for attribute in fields(cls)):
            if given.get(name) not in (None, ""):
                values[name] = given[name]
        try:
            settings = cls(**values)
        except (TypeError, ValueError):
            raise ConfigError(
                "a setting of the provider 'openai' has a wrong value",
                hint="base_url and env_key_var are texts, answer_format is one of "
                f"{', '.join(ANSWER_FORMATS)}, price_usd_per_million two numbers",
            ) from None
        if settings.base_url and not settings.base_url.startswith(("http://", "https://")):
            raise ConfigError(
                f"base_url is {settings.base_url!r}, which is no http or https address",
                hint="give, for example, http://localhost:8000/v1",
            )
        return settings

    @property
    def url(self) -> str:
        """The server's address."""
        return self.base_url or OFFICIAL_URL

    @property
    def official(self) -> bool:
        """Whether the server is OpenAI's own."""
        return self.url.rstrip("/") == OFFICIAL_URL


def find_key(settings: OpenAISettings, environ: Mapping[str, str]) -> str:
    """Return the key from the environment, or else from the system's keyring where that is installed.

    Another server than OpenAI's may need none; it is sent the word "none" then.

    Raises:
        ConfigError: there is no key, or it cannot be one. The message never shows it.
    """
    key = environ.get(settings.env_key_var, "").strip() or _from_keyring(settings.env_key_var)
    if not key:
        if not settings.official:
            return "none"
        raise ConfigError(
            f"there is no key for OpenAI: the environment variable {settings.env_key_var} is empty",
            hint=f"set {settings.env_key_var}, or choose --provider mock, which needs no key",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            f"the key in {settings.env_key_var} has characters that no key has",
            hint="copy it again, without quotes and spaces",
        )
    return key


def _from_keyring(name: str) -> str:
    try:
        keyring = import_module("keyring")
    except ImportError:
        return ""
    try:
        return str(keyring.get_password("dnr", name) or "").strip()
    except Exception:  # noqa: BLE001  a keyring that is locked or broken is one without the key
        return ""
