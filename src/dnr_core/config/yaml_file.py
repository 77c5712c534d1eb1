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


Lines = dict[tuple[str | int, ...], int]
"""The line (from 1) of each value by its path of keys and places."""


def read_text(file: Path) -> str:
    """Return the text of a settings file.

    Raises:
        ConfigError: it cannot be read, or is too large.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{file} has more than {MAX_BYTES:,} bytes and is no settings file")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}") from None


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file.

    Raises:
        ConfigError: it cannot be read, is too large, or is no YAML.
    """
    return parse_yaml(read_text(file), str(file))


def parse_yaml(text: str, where: str) -> Any:
    """Return the content of YAML text; `where` begins the message of a `ConfigError`."""
    return parse_lines(text, where)[0]


def parse_lines(text: str, where: str) -> tuple[Any, Lines]:
    """Return the content of YAML text and the line of each value.

    Raises:
        ConfigError: it is no YAML; the message begins with `where`.
    """
    lines: Lines = {}
    try:
        loader = _PlainLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None, lines
            _note_lines(node, (), lines)
            return loader.construct_document(node), lines
        finally:
            loader.dispose()
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


def _note_lines(node: Any, path: tuple[str | int, ...], lines: Lines) -> None:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            _note_lines(value, here, lines)
            # A mapping's own line is its first key's, which is a line below its name.
            lines[here] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            _note_lines(value, (*path, place), lines)
