"""Sessions: `nox -s quickstart` runs the main job, `nox -s tests` the tests; `nox -l` lists all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["tests", "lint", "types"]

CONSTRAINTS = ("-c", "constraints.txt")
PLUGINS = ("neobank", "marketplace", "llm_openai", "llm_mock")
EDITABLE = (
    "-e",
    ".[testing,postgres]",
    *(part for name in PLUGINS for part in ("-e", f"plugins/{name}")),
)
# Engines besides DuckDB and SQLite on which health is measured; no service and no Java.
ENGINES = ("polars", "datafusion")
PYTHONS = ("3.11", "3.12", "3.13")


def install_all(session: nox.Session, *more: str) -> None:
    """Install the five distributions from the checkout, with the versions that are tested."""
    session.install(*CONSTRAINTS, *EDITABLE, *more)


def install_missing(session: nox.Session, **packages: bool) -> None:
    """Install Debian packages whose programs are not here; `packages` says which are, by name."""
    names = [name.replace("_", "-") for name, is_here in packages.items() if not is_here]
    if names:
        session.run("apt-get", "update", "-qq", external=True)
        session.run("apt-get", "install", "-y", "-qq", *names, external=True)


def has_postgres() -> bool:
    """Tell whether PostgreSQL's server is here; Debian keeps its programs off the path."""
    return bool(shutil.which("pg_ctl") or list(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))


def has_java() -> bool:
    """Tell whether Java is here, on which Spark runs."""
    return shutil.which("java") is not None


@nox.session
def quickstart(session: nox.Session) -> None:
    """Make both synthetic companies and their reports: no key, no service, no network."""
    install_all(session)
    session.run("dnr", "quickstart", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests that need nothing but Python."""
    install_all(session, "pytest-xdist", "scikit-learn", "jsonschema", *ENGINES)
    session.run("pytest", "-n", "2", "--dist", "loadgroup", *session.posargs)


@nox.session(python=PYTHONS)
def pythons(session: nox.Session) -> None:
    """Run the tests on every Python that is promised and installed here."""
    install_all(session, "pytest-xdist", "scikit-learn", "jsonschema", *ENGINES)
    session.run("pytest", "-n", "2", "--dist", "loadgroup", "-q", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest version that each declared dependency may have."""
    session.install("uv")
    more = ("pytest-xdist>=3.6", "scikit-learn>=1.5", "polars>=1.30", "datafusion>=50,<51")
    session.run("uv", "pip", "install", "--resolution", "lowest-direct", *EDITABLE, *more)
    # Old versions warn of each other.
    options = ("-o", "filterwarnings=default", "--disable-warnings")
    session.run("pytest", "-n", "2", "--dist", "loadgroup", "-q", *options, *session.posargs)


@nox.session
def newest(session: nox.Session) -> None:
    """Run the tests with the newest version that each declared dependency may have."""
    session.install(*EDITABLE, "pytest-xdist", "scikit-learn", *ENGINES)
    session.run("pytest", "-n", "2", "--dist", "loadgroup", "-q", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, and who may import whom."""
    install_all(session, "ruff", "import-linter")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of what ships, strictly, and of the examples of the public API."""
    install_all(session, "mypy", "types-PyYAML")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, where a warning is an error; look for links that lead nowhere, and
    run the notebook, whose cells must print what it shows."""
    install_all(session, "sphinx", "myst-parser", "furo")
    session.run("sphinx-build", "-W", "-b", "html", "docs", "docs/_build/html")
    session.run("python", "docs/tools/links.py", "docs/_build/html")
    session.run("python", "docs/tools/notebook.py", "docs/tutorials/in-a-notebook.ipynb")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build the five wheels, and use them as a stranger would: pipx, core alone, quickstart."""
    session.install(*CONSTRAINTS, "build", "pipx", "hatchling", "twine")
    dist, again = (Path(session.create_tmp()) / name for name in ("dist", "again"))
    for folder in (dist, again):
        shutil.rmtree(folder, ignore_errors=True)
    for project in (".", *(f"plugins/{name}" for name in PLUGINS)):
        session.run("python", "-m", "build", "--outdir", str(dist), project, silent=True)
        session.run("python", "-m", "build", "-w", "--outdir", str(again), project, silent=True)
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    folders = (str(dist), str(again))
    session.run("python", "tests/wheels/use_wheels.py", *folders, "constraints.txt")
    session.run("python", "tests/wheels/use_templates.py", str(dist), "constraints.txt")


@nox.session
def browser(session: nox.Session) -> None:
    """Open the report pages in a real Chromium (installed here where it is missing)."""
    install_all(session, "playwright", "pypdf")
    install_missing(session, chromium=shutil.which("chromium") is not None)
    tools = Path(session.create_tmp()).resolve()
    if not (tools / "node_modules" / "axe-core").exists():
        session.run("npm", "install", "--silent", "--prefix", str(tools), "axe-core", external=True)
    axe = tools / "node_modules" / "axe-core" / "axe.min.js"
    session.run("pytest", "tests/browser", *session.posargs, env={"DNR_AXE": str(axe)})


@nox.session
def spark(session: nox.Session) -> None:
    """Make warehouses on Spark, and lose its workers (Java is installed here where it is missing)."""
    install_all(session, "pyspark>=4,<5")
    install_missing(session, openjdk_17_jre_headless=has_java())
    session.run("pytest", "tests/spark", *session.posargs, env={"DNR_SPARK": "1"})


@nox.session
def backends(session: nox.Session) -> None:
    """Measure health on every backend, among them a real PostgreSQL and Spark, started here."""
    install_all(session, "pyspark>=4,<5", *ENGINES)
    install_missing(session, openjdk_17_jre_headless=has_java(), postgresql=has_postgres())
    session.run("pytest", "tests/backends", *session.posargs, env={"DNR_BACKENDS": "1"})


@nox.session
def stores(session: nox.Session) -> None:
    """Make a warehouse in a real S3-compatible server, which runs here for the time."""
    install_all(session)
    # The server has an environment of its own: boto asks for older versions than those tested here.
    server = Path(session.create_tmp()).resolve() / "server"
    session.run("python", "-m", "venv", str(server))
    python = str(server / "bin" / "python")
    session.run(python, "-m", "pip", "install", "--quiet", "moto[server]>=5", external=True)
    session.run("pytest", "tests/stores", *session.posargs, env={"DNR_STORES": python})


@nox.session
def kit(session: nox.Session) -> None:
    """Hold all that ships, and the example, against the rules for authors of plugins."""
    install_all(session, "./docs/examples/dnr-clinic")
    for name in ("builtin", "neobank", "marketplace", "llm_mock", "llm_openai", "clinic"):
        session.run("dnr", "plugins", "check", name, "--strict", *session.posargs)


@nox.session
def calibration(session: nox.Session) -> None:
    """Look at both companies at three scales and with three profiles by a stranger's SQL, and at a
    hundred mixes of rates, kinds, sizes and chunkings."""
    install_all(session)
    session.run("pytest", "-q", "tests/warehouse/test_rates.py", env={"DNR_EXAMPLES": "100"})
    folder = Path(session.create_tmp()).resolve() / "calibration"
    for name, middle in (("neobank", "0.25"), ("marketplace", "0.6")):
        for scale in ("tiny", middle, "evaluation"):
            for profile in ("clean", "typical", "severe"):
                data, meta = str(folder / "data"), str(folder / "meta")
                asked = ("--archetype", name, "--scale", scale, "--quality", profile)
                session.run("dnr", "-q", "gen-warehouse", *asked, "--out", data, "--meta", meta)
                session.run("python", "tests/warehouse/strangers_sql.py", data, meta, profile)
                shutil.rmtree(folder)


@nox.session
def real(session: nox.Session) -> None:
    """Try dnr on data that nobody here made; the folder is given in DNR_REAL_DATA.

    PostgreSQL, which one of the databases needs, is installed where it is missing.
    """
    folder = os.environ.get("DNR_REAL_DATA")
    if not folder:
        session.skip("not given: DNR_REAL_DATA")
    install_all(session)
    install_missing(session, postgresql=has_postgres())
    session.run("pytest", "tests/real", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, starve and crowd every command that writes: the whole result or none, and on again.

    Long: `-- --kills 4 --commands init,repair --jobs 1` asks for less. Prints the
    table of docs/explanation/faults.md.
    """
    install_all(session)
    faketime = any(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    locales = Path("/usr/share/i18n/locales/tr_TR").exists()
    install_missing(session, libfaketime=faketime, locales=locales)
    session.run("python", "tests/faults/matrix.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Feed damaged and hostile files to every reader: a message, never a traceback, hang or flood.

    `-- --seconds 60 --seed 2 --readers slack,mail` asks for more, or for less.
    """
    install_all(session)
    session.run("python", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks; each prints ratios to a baseline of the same run.

    With a name first, that one, and what follows are its options: `nox -s bench -- demand --usage`.
    `--check` runs those of benchmarks/recorded.json again (or the named ones) and fails where a ratio
    is 20 % worse than recorded or memory is over what is stated; `--record NAME OPTIONS` keeps anew.
    """
    install_all(session, "tpchgen-cli", "bpe-openai")
    name, *options = session.posargs or ("*",)
    if name in {"--check", "--record"}:
        session.run("python", "benchmarks/recorded.py", name.removeprefix("--"), *options)
        return
    for script in sorted(Path("benchmarks").glob(f"{name}.py")):
        if script.stem != "recorded":
            session.run("python", str(script), *options)
