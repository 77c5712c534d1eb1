"""Every command that writes, under every fault: either the whole result or none, and on when run again.

Called by `nox -s faults`: `python tests/faults/matrix.py [--kills 20] [--commands A,B] [--faults A,B]`.
Prints a Markdown table for docs/explanation/faults.md, and ends with 1 where anything is wrong.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from companies import COMMANDS, SMALL, Command, prepare
from disturbances import FAULTS, NotHereError, Trial, measured
from running import DNR, fresh, lasting, state


def undisturbed(command: Command, root: Path, base: Path, env: Mapping[str, str], options) -> Trial:
    """Run the command and its older relative alone, so that their results are known."""
    name = command.name.replace(" ", "-")
    place = root / name
    older_folder, older = None, {}
    if command.older:
        older_folder = fresh(base, root / f"{name}-older")
        measured([*DNR, "-q", *command.older], older_folder, env)
        older = state(older_folder)
        shutil.rmtree(older_folder / "in")
    folder = fresh(base, place)
    starting = measured([*DNR, "--version"], folder, env)
    line = [*DNR, "-q", *command.line]
    measured(line, folder, env)
    result = state(folder)
    if not result:
        raise SystemExit(f"{command.name} wrote nothing")
    seconds = measured(line, fresh(base, folder), env)
    chance = random.Random(f"{options.seed} {command.name}")
    return Trial(command, base, place, env, result, older, older_folder, starting, seconds, chance,
                 options.kills)  # fmt: skip


def row(command: Command, root: Path, base: Path, env: Mapping[str, str], options) -> list[str]:
    """Put one command under each fault; one cell each."""
    trial = undisturbed(command, root, base, env, options)
    cells = []
    for name, fault in FAULTS.items():
        if options.faults and name not in options.faults:
            cells.append("")
            continue
        begun = time.monotonic()
        try:
            wrong = fault(trial) or "ok"
        except NotHereError as error:
            wrong = f"not run: {error}"
        cells.append(wrong)
        print(f"{command.name}, {name}: {wrong} ({time.monotonic() - begun:.0f} s)",
              file=sys.stderr, flush=True)  # fmt: skip
    return cells


def asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="SIGKILLs for each command")
    parser.add_argument("--jobs", type=int, default=2, help="commands that are tried at once")
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    parser.add_argument("--commands", type=lambda text: text.split(","), default=[])
    parser.add_argument("--faults", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    unknown = {*options.faults} - {*FAULTS} | {*options.commands} - {c.name for c in COMMANDS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def main() -> int:
    options = asked()
    chosen = [c for c in COMMANDS if not options.commands or c.name in options.commands]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dnr-faults-") as folder:
        root = Path(folder)
        env = {**lasting(os.environ, root / "home"), **SMALL}
        base = prepare(root, env)
        with ThreadPoolExecutor(options.jobs) as pool:
            rows = list(pool.map(lambda c: row(c, root, base, env, options), chosen))
    names = [name for name in FAULTS if not options.faults or name in options.faults]
    print("| command | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    notes: list[str] = []
    for command, cells in zip(chosen, rows, strict=True):
        shown = []
        for cell in filter(None, cells):
            if cell != "ok" and cell not in notes:
                notes.append(cell)
            shown.append(cell if cell == "ok" else f"[{notes.index(cell) + 1}]")
        print(f"| `{command.name}` | " + " | ".join(shown) + " |")
    for number, note in enumerate(notes, 1):
        print(f"\n[{number}] {note}")
    minutes = (time.monotonic() - begun) / 60
    print(f"\n{options.kills} kills, seed {options.seed}, {minutes:.0f} minutes", file=sys.stderr)
    return 1 if any(not note.startswith("not run") for note in notes) else 0


if __name__ == "__main__":
    sys.exit(main())
