"""Use the built wheels as a stranger would: the core alone, each plugin alone, all by pipx.

Called by `nox -s wheels` as `python use_wheels.py DIST AGAIN CONSTRAINTS`; any failure ends it.
AGAIN holds the same wheels, built a second time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path, PurePosixPath

PLUGINS = {
    "dnr-neobank": "neobank",
    "dnr-marketplace": "marketplace",
    "dnr-llm-openai": "llm_openai",
    "dnr-llm-mock": "llm_mock",
}
REQUIRED_METADATA = (
    "Name",
    "Version",
    "Summary",
    "Requires-Python",
    "License-Expression",
    "Project-URL",
    "Description-Content-Type",
)

SUFFIXES = frozenset(
    ".py .typed .txt .json .jsonl .csv .bin .yaml .md .j2 .html .css .js".split()  # noqa: SIM905
)
LARGEST_BYTES = 400_000


def say(text: str) -> None:
    print(f"wheels: {text}", flush=True)


def call(*command: str | Path, cwd: Path, code: int = 0, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, **(env or {})},
    )
    if done.returncode != code:
        sys.exit(
            f"{command} ended with {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout + done.stderr


def expect(part: str, text: str) -> None:
    if part not in text:
        sys.exit(f"expected {part!r} in:\n{text}")


def check_metadata(dist: Path) -> None:
    wheels = sorted(dist.glob("*.whl"))
    if len(wheels) != 1 + len(PLUGINS):
        sys.exit(f"expected five wheels, found {[w.name for w in wheels]}")
    for wheel in wheels:
        with tempfile.TemporaryDirectory() as folder:
            shutil.unpack_archive(wheel, folder, "zip")
            (found,) = metadata.distributions(path=[folder])
            missing = [key for key in REQUIRED_METADATA if not found.metadata.get(key)]
            if missing:
                sys.exit(f"{wheel.name} lacks {missing}")
            if not [e for e in found.entry_points if e.group == "dnr"]:
                sys.exit(f"{wheel.name} has no entry point in the group dnr")
            if not list(Path(folder).rglob("py.typed")):
                sys.exit(f"{wheel.name} has no py.typed")
            strangers = [p for p in Path(folder).iterdir() if not p.name.startswith("dnr_")]
            if strangers:
                sys.exit(f"{wheel.name} holds {strangers}")
    say("metadata of five wheels is complete")


def check_contents(dist: Path, again: Path) -> None:
    """Wheels hold source, its data and metadata, nothing large, and are the same when built again."""
    for wheel in sorted(dist.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                path = PurePosixPath(info.filename)
                apart = path.parts[0].endswith(".dist-info")
                test = path.name.startswith("test_") and path.suffix == ".py"
                if test or path.name.startswith(".") or "__pycache__" in path.parts:
                    sys.exit(f"{wheel.name} holds {path}")
                if not apart and path.suffix not in SUFFIXES:
                    sys.exit(f"{wheel.name} holds {path}, which is of no kind that ships")
                if info.file_size > LARGEST_BYTES:
                    sys.exit(f"{wheel.name} holds {path} of {info.file_size:,} bytes")
        first, second = (
            hashlib.sha256((folder / wheel.name).read_bytes()).hexdigest()
            for folder in (dist, again)
        )
        if first != second:
            sys.exit(f"{wheel.name} differs when it is built again")
    say("five wheels hold what ships, and are the same when built again")


def use_apart(dist: Path, constraints: Path, root: Path) -> None:
    """The core alone says what to install; each plugin alone with the core brings its objects."""
    home = root / "apart"
    venv.create(home, with_pip=True)
    pip, dnr = home / "bin" / "pip", home / "bin" / "dnr"
    install = (pip, "install", "-q", "--find-links", dist, "-c", constraints)
    call(*install, "dnr-core", cwd=root)
    expect("dnr 0.1.0", call(dnr, "--version", cwd=root))
    told = call(dnr, "quickstart", cwd=root, code=2)
    expect("no archetype is installed", told)
    expect("dnr-core[all]", told)
    expect("builtin", call(dnr, "plugins", cwd=root))
    say("the core alone works and says what to install")
    for distribution, name in PLUGINS.items():
        call(*install, distribution, cwd=root)
        listed = json.loads(call(dnr, "plugins", "--json", cwd=root))
        if listed["problems"] or name not in {plugin["name"] for plugin in listed["plugins"]}:
            sys.exit(f"{distribution} alone: {listed}")
        if name in {"neobank", "marketplace"}:
            call(dnr, "quickstart", "--fast", "--no-llm", cwd=root)
        call(pip, "uninstall", "-q", "-y", distribution, cwd=root)
        say(f"{distribution} alone with the core works")


def use_all(dist: Path, constraints: Path, root: Path) -> None:
    """pipx installs `dnr-core[all]` from the wheels; the quickstart makes two pages."""
    env = {
        "PIPX_HOME": str(root / "pipx"),
        "PIPX_BIN_DIR": str(root / "bin"),
        "PIP_FIND_LINKS": str(dist),
        "PIP_CONSTRAINT": str(constraints),
    }
    call("pipx", "install", "dnr-core[all]", cwd=root, env=env)
    dnr, work = root / "bin" / "dnr", root / "quick start"
    work.mkdir()
    expect("dnr 0.1.0", call(dnr, "--version", cwd=work))
    call(dnr, "quickstart", "--fast", cwd=work)
    for page in ("index.html", "neobank/report.html", "marketplace/report.html"):
        if (work / "reports" / page).stat().st_size < 5_000:
            sys.exit(f"{page} is no page")
    say("pipx install dnr-core[all] and dnr quickstart --fast work")


def main() -> None:
    dist, again, constraints = (Path(name).resolve() for name in sys.argv[1:])
    check_metadata(dist)
    check_contents(dist, again)
    with tempfile.TemporaryDirectory() as folder:
        use_apart(dist, constraints, Path(folder))
        use_all(dist, constraints, Path(folder))


if __name__ == "__main__":
    main()
