"""Runs a command as a process of its own, and says what its folder holds afterwards."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

DNR = (sys.executable, "-m", "dnr_core")
LIMIT_SECONDS = 600

State = Mapping[str, str]
"""Hash of each file of a result, by its path."""

LEFTOVERS = (".partial", ".publishing")


@frozen
class Ended:
    """How a process ended; `code` is negative where a signal ended it."""

    code: int
    err: str

    def complaint(self, *allowed: int) -> str:
        """Say what a person would find wrong with this end; nothing where all is well."""
        if "Traceback" in self.err:
            return f"traceback: {self.message()}"
        if "internal error" in self.err:
            return self.line_with("internal error")
        if self.code not in allowed:
            return f"ended with {self.code}: {self.message()}"
        if self.code and self.code > 0 and not self.err.strip():
            return f"ended with {self.code} and said nothing"
        return ""

    def message(self) -> str:
        lines = [line for line in self.err.splitlines() if line.strip()] or ["nothing on stderr"]
        return next((line for line in lines if line.startswith("dnr:")), lines[-1])[:200]

    def line_with(self, words: str) -> str:
        return next(line for line in self.err.splitlines() if words in line)[:200]


def start(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command; what it says goes to a file beside its folder, which no pipe can stop."""
    with (folder.parent / f"{folder.name}.err").open("wb") as said:
        return subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip


def ended(process: subprocess.Popen[bytes], folder: Path) -> Ended:
    """Wait for a command, and read what it said."""
    try:
        code = process.wait(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return Ended(-999, f"still running after {LIMIT_SECONDS} s")
    said = (folder.parent / f"{folder.name}.err").read_bytes()
    return Ended(code, said.decode("utf-8", "replace"))


def run(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> Ended:
    return ended(start(command, folder, env), folder)


def finished(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
    """Run a command that has to succeed for anything else to make sense."""
    done = run(command, folder, env)
    if done.code:
        sys.exit(f"{' '.join(command)} ended with {done.code}\n{done.err}")


def fresh(base: Path, place: Path) -> Path:
    """Return `place`, emptied, with the inputs of the commands in it."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    return place


def state(folder: Path) -> State:
    """Return what a person finds in the folder: inputs, hidden files and companies in the making apart."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts) and parts[-1] != ".gitignore"
        if path.is_file() and parts[0] != "in" and not hidden and "work" not in parts:
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def leftovers(folder: Path) -> list[str]:
    """Return what a finished run should have taken away."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.name in LEFTOVERS or path.name.endswith(".tmp")
    )


def whole_or_none(found: State, known: Sequence[State]) -> str:
    """Say which file is half, or which finished folder is mixed, of one of the `known` results."""
    for path, digest in found.items():
        if not any(of.get(path) == digest for of in known):
            return f"half or strange: {path}"
    for path, digest in found.items():
        folder, _, name = path.rpartition("/")
        if name != "manifest.json":
            continue
        inside = f"{folder}/" if folder else ""
        mine = {p: d for p, d in found.items() if p.startswith(inside)}
        whole = [
            {p: d for p, d in of.items() if p.startswith(inside)}
            for of in known
            if of.get(path) == digest
        ]
        if not any(set(of.items()) <= set(mine.items()) for of in whole):
            return f"finished but not whole: {folder}"
    return ""


def differences(found: State, wanted: State) -> str:
    """Say how a result differs from that of an undisturbed run."""
    for what, paths in (
        ("is missing", set(wanted) - set(found)),
        ("is too many", set(found) - set(wanted)),
        ("differs", {p for p in found if p in wanted and found[p] != wanted[p]}),
    ):
        if paths:
            return f"run again: {sorted(paths)[0]} {what} ({len(paths)})"
    return ""


def lasting(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return the environment of every run: nothing of this machine but where its programs are."""
    kept = {name: environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in environ}
    home.mkdir(parents=True, exist_ok=True)
    return {**kept, "HOME": os.fspath(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
