"""Feed every reader files that are damaged, and some that mean harm, and say what a person would see.

Called by `nox -s fuzz`: `python tests/fuzz/fuzz.py [--seconds 30] [--seed 1] [--readers a,b]`. Each
reader has a process of its own with a limit of memory; each case a limit of time. Anything but an
answer or a `DnrError` is a fault, and ends the script with 1. A case is told by seed and number:
`--readers slack --seed 1 --only 17` does it again, with its traceback.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "faults"))

CASE_SECONDS = 20
MEMORY_BYTES = 6 << 30
FLOOD_KB = 600 << 10
"""So much more memory than before a case may be held at its height."""


class TooLongError(BaseException):
    """A case took longer than it may; no Exception, so that nobody goes on after it."""


def _alarm(*_: object) -> None:
    raise TooLongError


def peak_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def child(name: str, base: Path, options: argparse.Namespace) -> None:
    """Do cases of one reader until its time is over; tell each fault on a line of its own."""
    from readers import READERS, disturb, restore

    from dnr_core.errors import DnrError, InternalError

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, _alarm)
    reader = READERS[name]
    place = base.with_name(f"case-{name.replace(' ', '-')}")
    shutil.copytree(base, place)
    end, number, refused = time.monotonic() + options.seconds, 0, 0
    numbers = range(options.only, options.only + 1) if options.only is not None else range(10**9)
    for number in numbers:
        if time.monotonic() > end and number:
            break
        restore(reader, base, place)
        disturb(reader, place, random.Random(f"{options.seed} {name} {number}"))
        print(f"at {number}", flush=True)
        before, fault = peak_kb(), ""
        signal.alarm(CASE_SECONDS)
        try:
            reader.read(place)
        except InternalError as error:
            fault = f"internal error: {error}"
        except DnrError:
            refused += 1
        except TooLongError:
            fault = f"took more than {CASE_SECONDS} s"
        except BaseException as error:  # noqa: BLE001 - any of them is what is looked for
            if options.only is not None:
                traceback.print_exc()
            last = traceback.extract_tb(error.__traceback__)[-1]
            said = str(error).partition("\n")[0][:120]
            fault = f"{type(error).__name__}: {said} ({Path(last.filename).name}:{last.lineno})"
        finally:
            signal.alarm(0)
        if peak_kb() - before > FLOOD_KB:
            fault = fault or f"{(peak_kb() - before) >> 10} MB of memory"
        if fault:
            print(f"fault {number}\t{fault}", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    print(f"done {number}\t{refused}", flush=True)


def fuzzed(name: str, base: Path, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Run the child of one reader; return a row of the table, and what was wrong."""
    command = [sys.executable, __file__, "--child", name, "--base", str(base)]
    command += ["--seed", str(options.seed), "--seconds", str(options.seconds)]
    if options.only is not None:
        command += ["--only", str(options.only)]
    log = base.with_name(f"log-{name}")
    with log.open("w") as told:
        patience = options.seconds + 3 * CASE_SECONDS + 30
        try:
            code = subprocess.run(
                command, stdout=told, stderr=None, timeout=patience, check=False, cwd=base
            ).returncode
        except subprocess.TimeoutExpired:
            code = -1
    lines = log.read_text().splitlines()
    faults = [line.removeprefix("fault ") for line in lines if line.startswith("fault ")]
    done = next((line.split()[1:] for line in lines if line.startswith("done ")), None)
    if done is None:
        at = next((line for line in reversed(lines) if line.startswith("at ")), "at nothing")
        faults.append(f"{at.removeprefix('at ')}\tthe process hung or died ({code})")
        done = ["?", "?"]
    return f"| {name} | {done[0]} | {done[1]} | {len(faults) or 'none'} |", faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="for each reader")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", type=lambda text: text.split(","), default=[])
    parser.add_argument("--only", type=int, help="number of the one case to do again")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.base, options)
        return 0
    import companies
    import hostile
    import readers
    from running import lasting

    found = 0
    with tempfile.TemporaryDirectory(prefix="dnr-fuzz-") as folder:
        root = Path(folder)
        env = {**lasting(os.environ, root / "home"), **companies.SMALL}
        base = companies.prepare(root, env)
        readers.prepare(base)
        print("| reader | damaged files | refused | faults |\n| --- | ---: | ---: | --- |")
        notes = []
        for name in options.readers or readers.READERS:
            row, faults = fuzzed(name, base, options)
            print(row, flush=True)
            notes += [f"{name}, seed {options.seed}, case {fault}" for fault in faults]
        if options.only is None and not options.readers:
            for name, fault in hostile.run(root, base):
                print(f"| {name} | 1 | | {fault or 'none'} |", flush=True)
                notes += [f"{name}: {fault}"] if fault else []
        for note in notes:
            print(f"\n{note}", file=sys.stderr)
        found = len(notes)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
