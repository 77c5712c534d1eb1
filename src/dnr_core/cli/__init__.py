"""Room: cli. The command `dnr`: one module a command, each a thin wrapper over the API."""

from dnr_core.cli.app import main

__all__ = ["main"]
