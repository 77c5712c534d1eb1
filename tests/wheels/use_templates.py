"""Write a plugin of each kind, install it beside the built wheels, and use it as its author would.

Called by `nox -s wheels` as `python use_templates.py DIST CONSTRAINTS`; any failure ends it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

KINDS = ("archetype", "provider", "scorer", "defect", "style", "check")
FLIGHTS = Path(__file__).parents[2] / "docs" / "examples" / "flights.yaml"


def call(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, text=True, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def used(dnr: Path, root: Path) -> None:
    """Each is useful before a line is changed."""
    data, talk = root / "data" / "own_archetype", root / "comms" / "own_archetype"
    made = ("--archetype", "own_archetype", "--scale", "tiny", "--quality", "own_defect")
    call(dnr, "-q", "gen-warehouse", *made, cwd=root)
    few = ("--slack", "60", "--email", "20", "--nlq", "30", "--style", "own_style")
    wrote = ("--archetype", "own_archetype", "--provider", "own_provider")
    call(dnr, "-q", "gen-comms", *wrote, *few, cwd=root)
    asked = ("--provider", "own_provider", "--scorer", "own_scorer")
    call(dnr, "-q", "run-report", "--warehouse", data, "--comms", talk, *asked, cwd=root)
    checked = call(dnr, "validate", "--warehouse", data, "--meta", "meta/own_archetype", cwd=root)
    if "ok   own_check" not in checked:
        sys.exit(f"own_check did not run:\n{checked}")


def main() -> None:
    dist, constraints = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = root / "venv"
        venv.create(home, with_pip=True)
        pip, dnr, python = (home / "bin" / name for name in ("pip", "dnr", "python"))
        install = (pip, "install", "-q", "--find-links", dist, "-c", constraints)
        call(*install, "dnr-core[testing]", cwd=root)
        for kind in KINDS:
            call(dnr, "plugins", "new", f"own_{kind}", "--kind", kind, cwd=root)
        company = ("--kind", "archetype", "--from", FLIGHTS)
        call(dnr, "plugins", "new", "own_flights", *company, cwd=root)
        names = [f"own_{kind}" for kind in KINDS] + ["own_flights"]
        folders = [root / f"dnr-{name.replace('_', '-')}" for name in names]
        call(*install, *(f"{folder}[test]" for folder in folders), cwd=root)
        for name, own in zip(names, folders, strict=True):
            call(python, "-m", "pytest", "-q", cwd=own)
            call(dnr, "plugins", "check", name, cwd=root)
            print(f"wheels: {name} installs, passes its tests and keeps the rules", flush=True)
        used(dnr, root)
        print("wheels: a company of the templates goes from its tables to its report", flush=True)


if __name__ == "__main__":
    main()
