"""Room: cli. The command group: commands found by name, global options, errors into exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any, Final

import click

from dnr_core.cli.options import CallOptions, GlobalOptions
from dnr_core.errors import DnrError, TerminatedError, let_through

COMMANDS: Final[dict[str, str]] = {
    "quickstart": "Make both companies and their reports, with no key and no network.",
    "init": "Write settings and folders, or the schema file of a real warehouse.",
    "gen-warehouse": "Make a synthetic company's warehouse, with defects and their ledger.",
    "gen-comms": "Make a synthetic company's messages.",
    "import-comms": "Read a Slack export, mailboxes and query logs.",
    "run-report": "Rank the data problems of a company on one page.",
    "validate": "Check that a made company is what it was asked to be.",
    "eval-labels": "Score predictions against the true labels.",
    "eval-health": "Score detected incidents against the truth of many made companies.",
    "eval-ranking": "Score reports against the true ranking, over many companies.",
    "export-benchmark": "Write a frozen set of companies for anyone's tool.",
    "score": "Score predictions against a frozen set.",
    "describe": "Show what a made warehouse holds.",
    "explain": "Show the SQL behind a figure.",
    "repair": "Give back the clean company from a broken one and its ledger.",
    "config": "Show each setting and where it came from.",
    "plugins": "Show what is installed, and what each plugin brings; check one, begin one.",
    "doctor": "Show what works here, and what to do about what does not.",
}
"""Names and one line of help; a command's module is imported only when it is called."""

GARBAGE_AFTER: Final = 50_000
"""New objects after which Python looks for garbage while a command runs."""


READERS: Final = {"run-report", "quickstart", "explain"}
"""Commands that build tables from lists, for which pyarrow would import pandas."""

ARROW_POOL: Final = "system"
"""Where Arrow takes memory from while a command runs, unless the environment says otherwise."""


class _Commands(click.Group):
    """Imports a command's module by name, so that help and start stay fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"dnr_core.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from dnr_core.suggestions import did_you_mean

        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            hint = did_you_mean(name, COMMANDS)
            raise click.UsageError(f"there is no command {name!r}. {hint}".strip(), ctx)
        return super().resolve_command(ctx, args)


_EPILOG = """\b
Examples:
  dnr quickstart --fast
  dnr gen-warehouse --archetype neobank --scale tiny
  dnr run-report --warehouse data/neobank --comms comms/neobank

\b
Exit codes: 0 fine, 1 a gate failed under --strict, 2 usage or settings,
3 input data, 4 internal, 130 interrupted."""


@click.group(
    cls=_Commands,
    params=GlobalOptions.parameters(),
    epilog=_EPILOG,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="dnr-core", prog_name="dnr", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, /, **given: Any) -> None:
    """Which three data problems should we fix first, and why?

    dnr joins what the warehouse shows, what people say and what it costs into one ranked page.
    """
    ctx.obj = CallOptions.of(given)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command and exit with its code."""
    # A command ends soon, and what it imported never becomes garbage: to look for garbage after
    # every 700 new objects costs a fifteenth of a report's time.
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 20)
    # Arrow's own allocators keep more of what threads have freed (`benchmarks/generation.py`);
    # which one it takes can only be said before it is imported.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", ARROW_POOL)
    if READERS & set(sys.argv[1:] if arguments is None else arguments):
        from dnr_core.cli.light import without_pandas

        without_pandas()
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code; messages for a person go to stderr."""
    options = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in options
    signal.signal(signal.SIGTERM, _terminated)
    try:
        outcome = _outcome(arguments)
    except click.exceptions.Exit as error:
        return int(error.exit_code)
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo(f"dnr: interrupted; {_KEPT}", err=True)
        return 130
    except TerminatedError:
        click.echo(f"dnr: terminated; {_KEPT}", err=True)
        return 143
    except DnrError as error:
        if debug:
            raise
        _say(error)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output went away (`dnr plugins | head`), which is no fault of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if _is_for_want_of_memory(error):
            click.echo("dnr: not enough memory; try a smaller --scale or fewer --workers", err=True)
            return 3
        # Whatever is left is a fault of ours; people get one line, and --debug the rest.
        if debug:
            raise
        click.echo(f"dnr: internal error: {type(error).__name__}: {_first_line(error)}", err=True)
        click.echo(
            "     this is a fault of dnr; run the command again with --debug to see where", err=True
        )
        return 4
    return outcome if isinstance(outcome, int) else 0


def _is_for_want_of_memory(error: Exception) -> bool:
    # DuckDB has an exception of its own; where it is not imported, it has raised none.
    own = getattr(sys.modules.get("duckdb"), "OutOfMemoryException", MemoryError)
    return isinstance(error, MemoryError | own)


def _outcome(arguments: list[str] | None) -> Any:
    try:
        return root.main(arguments, prog_name="dnr", standalone_mode=False)
    except Exception as error:
        let_through(error)
        raise


_KEPT: Final = "what was finished is kept, run the command again to go on"


def _terminated(_signal: int, _frame: object) -> None:
    # As an exception, so that locks are released and temporary files removed. No SystemExit: that
    # of a plugin is a fault of the plugin, and the run goes on without it.
    raise TerminatedError


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _say(error: DnrError) -> None:
    from dnr_core.config.visible import visible

    click.echo(visible(f"dnr: {error}"), err=True)
    if error.hint:
        click.echo(visible(f"     {error.hint}"), err=True)
