"""Room: cli. Options that every command takes, before or after its name, and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

if TYPE_CHECKING:
    from dnr_core.api.context import Context
    from dnr_core.progress import Progress


@frozen
class CallOptions:
    """The global options of one call."""

    config: Path | None = None
    seed: int | None = None
    as_json: bool = False
    verbose: int = 0
    quiet: bool = False
    debug: bool = False
    without: tuple[str, ...] = ()
    log_file: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> CallOptions:
        """Return the options that were given."""
        return cls(**{name: value for name, value in given.items() if value is not None})

    def over(self, given: Mapping[str, Any]) -> CallOptions:
        """Return these options with those that were given after the command's name."""
        return evolve(self, **{name: value for name, value in given.items() if value})

    def context(self, flags: Mapping[str, Any] | None = None) -> Context:
        """Load plugins and settings; a plugin that cannot be used is named on stderr."""
        from dnr_core.api.context import open_context

        given = dict(flags or {})
        if self.seed is not None:
            given.setdefault("warehouse.seed", self.seed)
        context = open_context(self.config, flags=given, without=self.without)
        if not self.quiet:
            for problem in context.catalogue.problems:
                click.echo(f"dnr: warning: {problem}", err=True)
        return context

    def progress(self) -> Progress:
        """Return bars on a terminal, lines in a pipe, nothing with `--quiet`."""
        from dnr_core.cli.bars import Bars, Lines
        from dnr_core.progress import Silent

        if self.quiet:
            return Silent()
        return Bars() if sys.stderr.isatty() else Lines()


class GlobalOptions:
    """The parameters behind `CallOptions`, made anew for each command."""

    @staticmethod
    def parameters(*, hidden: bool = False) -> list[click.Parameter]:
        """Return the options; `hidden` ones work and are not repeated in a command's help."""
        path = click.Path(path_type=Path, dir_okay=False)
        option = click.Option
        return [
            option(
                ["--config"],
                type=path,
                help="Settings file (default: dnr.yaml where it exists).",
                hidden=hidden,
            ),
            option(
                ["--seed"], type=click.IntRange(min=0), help="Seed of what is made.", hidden=hidden
            ),
            option(
                ["--json", "as_json"], is_flag=True, help="Print the result as JSON.", hidden=hidden
            ),
            option(
                ["-v", "--verbose"],
                count=True,
                help="Say more on stderr (-vv: everything).",
                hidden=hidden,
            ),
            option(
                ["-q", "--quiet"],
                is_flag=True,
                help="Print results and errors only.",
                hidden=hidden,
            ),
            option(
                ["--debug"], is_flag=True, help="Show the traceback of an error.", hidden=hidden
            ),
            option(
                ["--no-plugin", "without"],
                multiple=True,
                metavar="NAME",
                help="Leave a plugin out.",
                hidden=hidden,
            ),
            option(
                ["--log-file"],
                type=path,
                help="Write the log there, a JSON object a line.",
                hidden=hidden,
            ),
        ]


class Command(click.Command):
    """A command that takes the global options after its name too, and hands on a `CallOptions`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        own = {name for parameter in self.params for name in parameter.opts}
        self.shared = [p for p in GlobalOptions.parameters(hidden=True) if not own & set(p.opts)]
        self.params += self.shared

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with its log, and the options of both places in one value."""
        given = {p.name: ctx.params.pop(p.name) for p in self.shared if p.name in ctx.params}
        ctx.obj = (ctx.obj or CallOptions()).over(given)
        from dnr_core.cli.logs import logging_to

        with logging_to(ctx.obj, self.name or ""):
            return super().invoke(ctx)


class CommandGroup(Command, click.Group):
    """A command with commands of its own; without the name of one its own function runs.

    `GROUP NAME` is in the module `GROUP_NAME`, which is imported when it is called.
    """

    lines: Mapping[str, str] = {}
    """Names of the commands, and one line of help for each."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in order."""
        return list(self.lines)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of that name."""
        if cmd_name not in self.lines:
            return None
        found: click.Command = import_module(f"dnr_core.cli.{self.name}_{cmd_name}").command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the lines, importing none of the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self.lines.items()))


def group(
    *, name: str, examples: str, lines: Mapping[str, str]
) -> Callable[[Callable[..., None]], CommandGroup]:
    """Decorate a function into a command that has the commands `lines` below it."""
    told = "\n".join(f"  {line}" for line in examples.strip().splitlines())

    def made(function: Callable[..., None]) -> CommandGroup:
        found = click.group(
            name=name,
            cls=CommandGroup,
            invoke_without_command=True,
            epilog=f"\b\nExamples:\n{told}",
            context_settings={"max_content_width": 100},
        )(function)
        found.lines = lines
        return found

    return made


def command(*, examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """Decorate a function into a command whose help ends with `examples`."""
    lines = "\n".join(f"  {line}" for line in examples.strip().splitlines())
    return click.command(
        cls=Command, epilog=f"\b\nExamples:\n{lines}", context_settings={"max_content_width": 100}
    )


def _price(
    _ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[float, float] | None:
    if value is None:
        return None
    try:
        prompt, completion = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not PROMPT,COMPLETION in US dollars a million tokens"
        ) from None
    return prompt, completion


price_option = click.option(
    "--price",
    callback=_price,
    metavar="PROMPT,COMPLETION",
    help="US dollars a million tokens, for a model without a known price.",
)
"""`--price`, for every command that may call a model that costs money."""


def listed(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """Read an option's values separated by commas; a callback."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
