"""Room: cli. Structured logs with a run id: readable on stderr, JSON lines in a file."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dnr_core.errors import FolderError
from dnr_core.workspace import new_run_id

if TYPE_CHECKING:
    from dnr_core.cli.options import CallOptions

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _JsonLines(logging.Formatter):
    """One JSON object a line; fields given as `extra={"data": {...}}` stand beside the message."""

    def __init__(self, run_id: str, command: str) -> None:
        super().__init__()
        self.fixed = {"run_id": run_id, "command": command}

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {"time": f"{stamp}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        fields |= self.fixed | {"logger": record.name, "message": record.getMessage()}
        return json.dumps(fields | getattr(record, "data", {}), ensure_ascii=False, default=str)


@contextmanager
def logging_to(options: CallOptions, command: str) -> Iterator[None]:
    """Send what dnr logs to stderr and, where asked, to a file, while the command runs."""
    run_id = new_run_id()
    logger = logging.getLogger("dnr_core")
    handlers: list[logging.Handler] = []
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.ERROR if options.quiet else _LEVELS[min(options.verbose, 2)])
    console.setFormatter(logging.Formatter(f"%(levelname).1s {run_id} %(name)s: %(message)s"))
    handlers.append(console)
    if options.log_file is not None:
        try:
            options.log_file.parent.mkdir(parents=True, exist_ok=True)
            to_file = logging.FileHandler(options.log_file, encoding="utf-8")
        except OSError as error:
            raise FolderError(
                f"cannot write the log {options.log_file}: {error.strerror}"
            ) from None
        to_file.setFormatter(_JsonLines(run_id, command))
        handlers.append(to_file)
    level = logger.level
    logger.setLevel(logging.DEBUG)
    for handler in handlers:
        logger.addHandler(handler)
    logger.info("started")
    try:
        yield
    except BaseException as error:
        # The kind only: a message may hold what must not be logged.
        logger.info("ended by %s", type(error).__name__)
        raise
    else:
        logger.info("done")
    finally:
        logger.setLevel(level)
        for handler in handlers:
            logger.removeHandler(handler)
            handler.close()
