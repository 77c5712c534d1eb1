"""Room: config. Read YAML safely: no tags, no alias bombs, errors with line and column."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from dnr_core.errors import ConfigError

MAX_BYTES: Final = 1_000_000
"""Settings and schema files are small; a larger one is something else."""


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases (which can grow without bound) and without repeated keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it untyped
            raise yaml.composer.ComposerError(
                None, None, "aliases are not allowed", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:  # noqa: FBT001 - PyYAML's signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict) or key in seen:
                problem = (
                    f"the key {key!r} stands twice"
                    if not isinstance(key, list | dict)
                    else "a key must be text"
                )
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ConfigError: it cannot be read, is too large, or is no YAML.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file} has more than {MAX_BYTES:,} bytes and is no settings file")
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from None
    return parse_yaml(text, str(file))


def parse_yaml(text: str, where: str) -> Any:
    """Return the content of YAML text; `where` begins the message of a `ConfigError`."""
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - a SafeLoader with more refusals
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(
            f"{where}{place}: no valid YAML: {error.problem}",
            hint="check indentation and quotes there",
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(
            f"{where}: no valid YAML: {str(error).splitlines()[0] if str(error) else 'nested too deeply'}"
        ) from None
