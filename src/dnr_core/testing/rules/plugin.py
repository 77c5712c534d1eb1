"""Room: testing. Rules for a plugin as a whole: PLG001 and on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from dnr_core.testing.rule import NotTriedError, Problem, rule
from dnr_core.testing.trials import PluginTrial

HEAVY: Final = "ibis duckdb pyarrow numpy pandas matplotlib pydantic openai instructor scipy sklearn polars pyspark"
"""Libraries that take a good part of a second to import."""

CORE: Final = "dnr-core"
_LOAD: Final = """
import json, sys
from dnr_core.plugins import find_plugins, load_plugins
load_plugins(only=[sys.argv[1]])
print(json.dumps(sorted(name for name in sys.argv[2].split() if name in sys.modules)))
"""


@rule(
    "PLG001",
    "plugin",
    "must",
    "It loads without a fault",
    why="What is faulty is left out: people who ask for it are told that it is not there.",
    mend="mend what the message says; docs/reference/hooks.md has each hook's signature",
)
def loads(trial: PluginTrial) -> Iterator[Problem]:
    """Import, hooks, objects, names."""
    for problem in trial.problems:
        yield Problem(f"plugin {trial.name}", problem.fault)
    if not trial.problems and not any(trial.brings.values()):
        yield Problem(f"plugin {trial.name}", "it brings nothing")


@rule(
    "PLG002",
    "plugin",
    "must",
    "Loading it imports nothing heavy",
    why="Every command loads every plugin: one that imports Arrow or a client library slows down even `dnr --help`.",
    mend="name behaviour by dotted path ('package.module:attribute'), and import inside functions",
    after="PLG001",
)
def loads_lightly(trial: PluginTrial) -> Iterator[Problem]:
    """What a fresh interpreter has imported after the hooks were called."""
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, trial.name, HEAVY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise NotTriedError(f"another process could not load it: {lines[-1]}")
    for name in json.loads(done.stdout.splitlines()[-1]):
        yield Problem(f"plugin {trial.name}", f"loading it imports {name}")


@rule(
    "PLG003",
    "plugin",
    "should",
    "It says which versions of dnr it works with",
    why="The hooks may change with the next minor version before 1.0: pip then keeps a plugin that does not know it away.",
    mend="depend on a range, such as 'dnr-core>=0.1,<0.2'",
)
def pins_a_range(trial: PluginTrial) -> Iterator[Problem]:
    """A lower and an upper bound on dnr-core."""
    if trial.distribution == CORE:
        return
    try:
        needed = metadata.requires(trial.distribution) or []
    except metadata.PackageNotFoundError:
        raise NotTriedError("it is no installed distribution") from None
    own = [text for text in needed if re.match(r"dnr[-_.]core\b", text, re.I)]
    where = f"distribution {trial.distribution}"
    if not own:
        yield Problem(where, f"it does not depend on {CORE}")
    elif not any(re.search(r"[<~]|==", text) for text in own):
        yield Problem(where, f"{own[0]!r} has no upper bound")
    elif any(re.search(r"==\s*\d+(\.\d+)*\s*(;|$)", text) for text in own):
        yield Problem(where, f"{own[0]!r} allows one version only")
