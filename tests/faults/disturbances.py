"""What is done to a running command, and what a person would find wrong afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen
from companies import Command
from running import (
    DNR,
    Ended,
    State,
    differences,
    ended,
    fresh,
    leftovers,
    run,
    start,
    state,
    whole_or_none,
)

KILLED, INTERRUPTED, TERMINATED = -signal.SIGKILL, 130, 143
INPUT, USAGE = 3, 2
CHAIN = 4
"""So many kills one after the other, before the command may finish."""

PAGE_BYTES = 4096


class NotHereError(Exception):
    """This machine cannot do that; the message says why."""


@frozen
class Trial:
    """A command with the results that it has when nothing disturbs it."""

    command: Command
    base: Path
    place: Path
    env: Mapping[str, str]
    undisturbed: State
    older: State
    older_folder: Path | None
    start_seconds: float
    seconds: float
    chance: random.Random
    kills: int

    @property
    def line(self) -> list[str]:
        return [*DNR, "-q", *self.command.line]

    def fresh(self, name: str = "") -> Path:
        return fresh(self.base, self.place.with_name(f"{self.place.name}{name}"))

    def half(self, folder: Path, *, older: bool = False) -> str:
        """Say what is neither whole nor absent."""
        known = [self.undisturbed, *([self.older] if older else [])]
        return whole_or_none(state(folder), known)

    def again(self, folder: Path, env: Mapping[str, str] | None = None) -> str:
        """Run the command once more, undisturbed, and say what is wrong with its result."""
        if self.command.once and not self.compared(folder):
            return ""
        done = run(self.line, folder, env or self.env)
        return done.complaint(0) or self.compared(folder)

    def compared(self, folder: Path) -> str:
        wrong = differences(state(folder), self.undisturbed)
        left = leftovers(folder)
        return wrong or (f"left behind: {left[0]}" if left else "")

    def moment(self) -> float:
        """A random moment of the time in which the command works, after Python has begun."""
        return self.chance.uniform(self.start_seconds, max(self.seconds, self.start_seconds * 1.2))


def _disturbed_by(trial: Trial, folder: Path, number: int) -> Ended:
    process = start(trial.line, folder, trial.env)
    try:
        process.wait(timeout=trial.moment())
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    return ended(process, folder)


def kill(trial: Trial) -> str:
    """SIGKILL at random moments, four runs in a row; every second row over an older result."""
    for row in range(-(-trial.kills // CHAIN)):
        folder = trial.fresh()
        over_older = bool(trial.older_folder and row % 2)
        if over_older and trial.older_folder:
            shutil.copytree(trial.older_folder, folder, dirs_exist_ok=True)
        for _ in range(min(CHAIN, trial.kills - row * CHAIN)):
            done = _disturbed_by(trial, folder, signal.SIGKILL)
            wrong = done.complaint(0, KILLED) or trial.half(folder, older=over_older)
            if wrong:
                return wrong
        wrong = trial.again(folder)
        if wrong:
            return wrong
    return ""


def _stopped(number: int, code: int) -> Callable[[Trial], str]:
    def stop(trial: Trial) -> str:
        for _ in range(2):
            folder = trial.fresh()
            done = _disturbed_by(trial, folder, number)
            # A signal of the moment in which Python itself comes or goes ends it without a word.
            idle = not state(folder) or not trial.compared(folder)
            wrong = (
                done.complaint(0, code, *([-number] if idle else []))
                or trial.half(folder)
                or trial.again(folder)
            )
            if wrong:
                return wrong
        return ""

    return stop


def _bytes_of(folder: Path) -> int:
    sizes = [p.stat().st_size if p.is_file() else PAGE_BYTES for p in folder.rglob("*")]
    return sum(-(-size // PAGE_BYTES) * PAGE_BYTES for size in sizes)


@contextmanager
def _disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of its own in memory, of `size` bytes."""
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if shutil.which("mount") is None or _call(*command):
        raise NotHereError("no file system can be mounted")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def _call(*command: str) -> int:
    return subprocess.run(command, check=False, capture_output=True).returncode


def _remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def full(trial: Trial) -> str:
    """A disk of its own with room for a tenth, a half and nine tenths of the result; then more room."""
    whole = trial.fresh()
    inputs = _bytes_of(whole)
    trial.again(whole)
    result = _bytes_of(whole) - inputs
    disk = trial.place.with_name(f"{trial.place.name}-disk")
    for share in (0.1, 0.5, 0.9):
        with _disk(disk, inputs + int(share * result) + PAGE_BYTES):
            shutil.copytree(trial.base, disk, dirs_exist_ok=True)
            done = run(trial.line, disk, trial.env)
            wrong = done.complaint(0, INPUT) or trial.half(disk)
            if not wrong:
                _remount(disk, f"size={512 << 20}")
                wrong = trial.again(disk)
        if wrong:
            return f"{share:.0%}: {wrong}"
    return ""


def limited(trial: Trial) -> str:
    """No file may grow over a quarter of the result's largest, as with a quota."""
    folder = trial.fresh()
    trial.again(folder)
    largest = max((p.stat().st_size for p in folder.rglob("*") if p.is_file()), default=0)
    folder = trial.fresh()
    done = run(
        ["prlimit", f"--fsize={max(largest // 4, 64)}", "--", *trial.line], folder, trial.env
    )
    return done.complaint(0, INPUT) or trial.half(folder) or trial.again(folder)


def read_only(trial: Trial) -> str:
    """A file system that is mounted read-only."""
    disk = trial.place.with_name(f"{trial.place.name}-disk")
    with _disk(disk, 512 << 20):
        shutil.copytree(trial.base, disk, dirs_exist_ok=True)
        _remount(disk, "ro")
        done = run(trial.line, disk, trial.env)
        wrong = done.complaint(INPUT) or trial.half(disk)
        _remount(disk, "rw")
        return wrong or trial.again(disk)


def two(trial: Trial) -> str:
    """Two at once in one folder: one at least gives the result, the other does too or is refused."""
    folder = trial.fresh()
    beside = folder.with_name(f"{folder.name}-second")
    first = start(trial.line, folder, trial.env)
    with beside.with_suffix(".err").open("wb") as said:
        second = subprocess.Popen(
            trial.line, cwd=folder, env=trial.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
    one = ended(first, folder)
    second.wait()
    other = Ended(second.returncode, beside.with_suffix(".err").read_text("utf-8", "replace"))
    wrong = one.complaint(0, INPUT, USAGE) or other.complaint(0, INPUT, USAGE)
    if not wrong and one.code and other.code:
        wrong = f"both refused: {one.message()}"
    # Where both may finish, the second may have found the result of the first and refused it.
    return wrong or trial.compared(folder) or trial.again(folder)


FAKETIME = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime")


def clock(trial: Trial) -> str:
    """Killed half-way, and run again with the clock two years back."""
    library = next((Path(f) / "libfaketime.so.1" for f in FAKETIME if Path(f).exists()), None)
    if library is None:
        raise NotHereError("libfaketime is not installed")
    folder = trial.fresh()
    process = start(trial.line, folder, trial.env)
    try:
        process.wait(timeout=(trial.start_seconds + trial.seconds) / 2)
    except subprocess.TimeoutExpired:
        process.kill()
    ended(process, folder)
    back = {
        "LD_PRELOAD": os.fspath(library),
        "FAKETIME": "-730d",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return trial.again(folder, {**trial.env, **back})


def turkish(trial: Trial) -> str:
    """The Turkish locale, where i has a dot when it is large (made here by localedef)."""
    folder = trial.place.with_name(f"{trial.place.name}-locale")
    folder.mkdir(exist_ok=True)
    made = folder / "tr_TR.UTF-8"
    if shutil.which("localedef") is None:
        raise NotHereError("localedef is not installed")
    # It ends with 1 for mere warnings.
    _call("localedef", "-c", "-i", "tr_TR", "-f", "UTF-8", str(made))
    if not made.exists():
        raise NotHereError("the sources of locales are not installed")
    return surrounded(LC_ALL="tr_TR.UTF-8", LOCPATH=os.fspath(folder))(trial)


def surrounded(**changes: str | None) -> Callable[[Trial], str]:
    """Other variables of the environment; None unsets one."""

    def around(trial: Trial) -> str:
        env = {name: value for name, value in {**trial.env, **changes}.items() if value is not None}
        return trial.again(trial.fresh(), env)

    return around


def paths(trial: Trial) -> str:
    """A folder whose name has spaces, quotes and letters of other scripts."""
    return trial.again(trial.fresh(" Ünï 'quoted' 数据 "))


def no_terminal(trial: Trial) -> str:
    """A session of its own, and no standard input, as a service has it."""
    folder = trial.fresh()
    closed = ["setsid", "sh", "-c", 'exec "$@" <&-', "sh", *trial.line]
    done = run(closed, folder, {k: v for k, v in trial.env.items() if k != "TERM"})
    return done.complaint(0) or trial.compared(folder)


def handles(trial: Trial) -> str:
    """At most 256 open files."""
    folder = trial.fresh()
    done = run(["prlimit", "--nofile=256", "--", *trial.line], folder, trial.env)
    return done.complaint(0) or trial.compared(folder)


def memory(trial: Trial) -> str:
    """Address space of 2.5, 1.5 and 0.8 GB, threads and libraries included."""
    for megabytes in (2500, 1500, 800):
        folder = trial.fresh()
        done = run(["prlimit", f"--as={megabytes << 20}", "--", *trial.line], folder, trial.env)
        wrong = done.complaint(0, INPUT) or trial.half(folder) or trial.again(folder)
        if wrong:
            return f"{megabytes} MB: {wrong}"
    return ""


FAULTS: Mapping[str, Callable[[Trial], str]] = {
    "kill": kill,
    "interrupt": _stopped(signal.SIGINT, INTERRUPTED),
    "terminate": _stopped(signal.SIGTERM, TERMINATED),
    "full": full,
    "limit": limited,
    "read-only": read_only,
    "two": two,
    "clock": clock,
    "C": surrounded(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"),
    "Turkish": turkish,
    "zone": surrounded(TZ="Pacific/Chatham"),
    "paths": paths,
    "no home": surrounded(HOME=None),
    "no terminal": no_terminal,
    "handles": handles,
    "memory": memory,
}


def measured(line: list[str], folder: Path, env: Mapping[str, str]) -> float:
    """Run a command that has to succeed, and return its seconds."""
    begun = time.monotonic()
    done = run(line, folder, env)
    if done.code:
        raise SystemExit(f"{' '.join(line)} ended with {done.code}\n{done.err}")
    return time.monotonic() - begun
