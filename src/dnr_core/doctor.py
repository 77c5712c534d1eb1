"""Room: doctor. What is installed, what works on this machine, and what to do about what does not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from attrs import frozen

from dnr_core.catalogue import KIND_TITLES, Catalogue
from dnr_core.config.settings import Paths, Settings

State = Literal["works", "absent", "broken"]

LIBRARIES: Final = ("ibis-framework", "duckdb", "pyarrow", "numpy", "matplotlib", "sqlglot")
LEAST_FREE_BYTES: Final = 2 * 1024**3
"""Both companies at the scale `evaluation`, with room for what is in the making."""

LEAST_MEMORY_BYTES: Final = 1024**3
LEAST_FILES: Final = 256
OLDEST_JAVA: Final = 17
_WAIT_SECONDS: Final = 20
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "firefox", "xdg-open", "open")
_SIGNS: Final[dict[State, str]] = {"works": "ok", "absent": "-", "broken": "FAIL"}


@frozen
class Finding:
    """One thing that was looked at. `absent` things are optional; `mend` says what to do."""

    area: str
    name: str
    state: State
    what: str
    mend: str = ""


@frozen
class Diagnosis:
    """What is installed and what works here."""

    findings: tuple[Finding, ...]

    @property
    def broken(self) -> tuple[str, ...]:
        """Names of the things that dnr needs and that do not work."""
        return tuple(finding.name for finding in self.findings if finding.state == "broken")

    def as_dict(self) -> dict[str, Any]:
        """Return the diagnosis as plain values."""
        areas: dict[str, list[dict[str, str]]] = {}
        for finding in self.findings:
            told = {"name": finding.name, "state": finding.state, "what": finding.what}
            areas.setdefault(finding.area, []).append({**told, "mend": finding.mend})
        return {"format": 1, "sound": not self.broken, "areas": areas}

    def __str__(self) -> str:
        lines: list[str] = []
        area = ""
        for finding in self.findings:
            if finding.area != area:
                area = finding.area
                lines += ["", area] if lines else [area]
            lines.append(f"  {_SIGNS[finding.state]:<5}{finding.name}: {finding.what}")
            if finding.mend:
                lines.append(f"         {finding.mend}")
        told = f"does not work: {', '.join(self.broken)}" if self.broken else "dnr can work here"
        return "\n".join([*lines, "", told])

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def examine(
    catalogue: Catalogue, settings: Settings, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield what is found, area by area. Nothing is written but a file that goes at once."""
    yield from _versions()
    yield from _plugins(catalogue)
    yield from _backends()
    yield from _programs(environ)
    yield from _providers(catalogue, settings, environ)
    yield from _machine(settings.paths, settings.cache.dir)
    yield from _data(settings.warehouse.tz)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[Finding]:
    area = "versions"
    told = ".".join(str(part) for part in sys.version_info[:3])
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    mend = "" if fits else "use Python 3.11, 3.12 or 3.13"
    yield Finding(area, "Python", "works" if fits else "broken", f"{told}, {sys.platform}", mend)
    yield Finding(area, "dnr-core", "works", _version("dnr-core") or "from a checkout")
    ranges = _ranges()
    for name in LIBRARIES:
        version = _version(name)
        allowed = ranges.get(name)
        if version is None:
            yield Finding(area, name, "broken", "is not installed", "pip install dnr-core again")
        elif allowed is not None and not allowed(version):
            what = f"{version}, with which dnr does not work"
            yield Finding(area, name, "broken", what, "pip install -U dnr-core")
        else:
            yield Finding(area, name, "works", version)


def _ranges() -> dict[str, Callable[[str], bool]]:
    """Return what dnr-core's own metadata allows, by distribution; none where nobody can read it."""
    try:
        requirements = import_module("packaging.requirements")
        needed = metadata.requires("dnr-core") or []
    except (ImportError, metadata.PackageNotFoundError):
        return {}
    found: dict[str, Callable[[str], bool]] = {}
    for text in needed:
        requirement = requirements.Requirement(text)
        if requirement.marker is None:
            found[requirement.name] = requirement.specifier.contains
    return found


def _plugins(catalogue: Catalogue) -> Iterator[Finding]:
    area = "plugins"
    for plugin in catalogue.plugins:
        parts = [
            f"{len(names)} {KIND_TITLES[kind]}{'s' if len(names) > 1 else ''}"
            for kind, names in plugin.brings.items()
        ]
        what = f"{plugin.distribution} {plugin.version}: {', '.join(parts) or 'nothing'}"
        yield Finding(area, plugin.name, "works", what)
    for problem in catalogue.problems:
        what = f"{problem.distribution} {problem.version}: {problem.fault}"
        mend = f"mend or update it, or leave it out with --no-plugin {problem.plugin}"
        yield Finding(area, problem.plugin, "broken", what, mend)
    if not catalogue.archetypes:
        mend = "pip install 'dnr-core[all]'"
        yield Finding(area, "archetypes", "absent", "no company can be made by name", mend)


def _backends() -> Iterator[Finding]:
    area = "warehouses"
    for name, module, probe, mend in (
        ("DuckDB and Parquet", "duckdb", _ask_duckdb, "pip install dnr-core again"),
        ("SQLite", "sqlite3", _ask_sqlite, "use a Python with SQLite"),
        ("Polars", "polars", _ask("polars"), "pip install 'dnr-core[polars]'"),
        ("DataFusion", "datafusion", _ask("datafusion"), "pip install 'dnr-core[datafusion]'"),
        ("PostgreSQL", "psycopg", _driver("psycopg"), "pip install 'dnr-core[postgres]'"),
        ("Spark", "pyspark", _driver("pyspark"), "pip install 'dnr-core[spark]', and Java"),
    ):
        needed = module in {"duckdb", "sqlite3"}
        if find_spec(module) is None:
            yield Finding(area, name, "broken" if needed else "absent", "is not installed", mend)
            continue
        try:
            with warnings.catch_warnings():
                # What libraries deprecate of one another is nothing that its reader can mend.
                warnings.simplefilter("ignore")
                told = probe()
            yield Finding(area, name, "works", told)
        except Exception as error:  # noqa: BLE001 - a library that is broken may raise anything
            what = f"does not answer: {type(error).__name__}: {_first_line(error)}"
            yield Finding(area, name, "broken", what, mend)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def _ask_duckdb() -> str:
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("SELECT 1").fetchall()
    return f"answers, {duckdb.__version__}"


def _ask_sqlite() -> str:
    import sqlite3

    with sqlite3.connect(":memory:") as connection:
        connection.execute("SELECT 1").fetchall()
    return f"answers, {sqlite3.sqlite_version}"


def _ask(name: str) -> Callable[[], str]:
    def asked() -> str:
        import ibis

        backend = getattr(ibis, name).connect()
        backend.execute(ibis.memtable({"n": [1, 2]}).count())
        return f"answers, {_version(name)}"

    return asked


def _driver(name: str) -> Callable[[], str]:
    def imported() -> str:
        import_module(name)
        return f"its driver is here, {_version(name)}; no server was asked"

    return imported


def _programs(environ: Mapping[str, str]) -> Iterator[Finding]:
    area = "programs"
    java = environ.get("JAVA_HOME")
    program = str(Path(java) / "bin" / "java") if java else shutil.which("java")
    if program is None or not Path(program).exists():
        mend = "for Spark install Java 17 or newer, such as openjdk-17-jre-headless"
        yield Finding(area, "Java", "absent", "is not here", mend)
    else:
        yield _java(area, program)
    browser = next((name for name in _BROWSERS if shutil.which(name)), None)
    if browser is None:
        mend = "reports are files: open report.html in a browser on another machine"
        yield Finding(area, "browser", "absent", "none is here", mend)
    else:
        yield Finding(area, "browser", "works", f"{browser} can open reports")


def _java(area: str, program: str) -> Finding:
    mend = f"for Spark install Java {OLDEST_JAVA} or newer"
    try:
        done = subprocess.run(  # noqa: S603 - the program that Spark would run
            [program, "-version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_WAIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(area, "Java", "absent", f"does not start: {type(error).__name__}", mend)
    found = re.search(r'version "(?:1\.)?(\d+)([^"]*)"', done.stderr + done.stdout)
    if found is None:
        return Finding(area, "Java", "absent", "does not say its version", mend)
    if int(found[1]) < OLDEST_JAVA:
        return Finding(area, "Java", "absent", f"is version {found[1]}, too old for Spark", mend)
    return Finding(area, "Java", "works", f"version {found[1]}{found[2]}")


def _providers(
    catalogue: Catalogue, settings: Settings, environ: Mapping[str, str]
) -> Iterator[Finding]:
    area = "language models"
    chosen = dict.fromkeys(
        (settings.classification.provider, settings.entities.provider, settings.comms.provider)
    )
    for name in chosen:
        spec = catalogue.providers.get(name)
        if spec is None:
            mend = "pip install 'dnr-core[all]', choose another --provider, or use --no-llm"
            yield Finding(area, name, "absent", "the settings choose it, no plugin brings it", mend)
            continue
        needs = "needs a key" if spec.needs_key else "needs no key"
        yield Finding(area, name, "works", f"the settings choose it; it {needs}")
    variable = settings.classification.env_key_var
    # Whether, never what: not even its length is told.
    if environ.get(variable, "").strip():
        yield Finding(area, "key", "works", f"there is one in {variable}")
    else:
        needing = [spec.name for spec in catalogue.providers.values() if spec.needs_key]
        mend = f"set {variable} to use {' or '.join(needing)}" if needing else ""
        yield Finding(area, "key", "absent", f"there is none in {variable}", mend)


def _machine(paths: Paths, cache: Path) -> Iterator[Finding]:
    area = "machine"
    for name, folder in (
        ("data folder", paths.data),
        ("messages folder", paths.comms),
        ("truth folder", paths.meta),
        ("reports folder", paths.reports),
        ("cache folder", cache),
    ):
        yield _folder(area, name, folder)
    free = shutil.disk_usage(_existing(paths.data)).free
    told = f"{free / 1024**3:.1f} GB free for {paths.data}"
    mend = "" if free >= LEAST_FREE_BYTES else "free some space, or make companies at --scale tiny"
    yield Finding(area, "disk", "absent" if mend else "works", told, mend)
    memory = _memory_bytes()
    if memory is not None:
        small = memory < LEAST_MEMORY_BYTES
        mend = "use a smaller --scale and --workers 1" if small else ""
        told = f"{memory / 1024**3:.1f} GB, {os.cpu_count()} cores"
        yield Finding(area, "memory", "absent" if small else "works", told, mend)
    files = _open_files()
    if files is not None:
        few = files < LEAST_FILES
        mend = f"ulimit -n {LEAST_FILES} or more" if few else ""
        yield Finding(area, "open files", "absent" if few else "works", f"{files} allowed", mend)
    encoding = sys.getfilesystemencoding()
    sound = encoding.lower().replace("-", "") == "utf8"
    mend = "" if sound else "set PYTHONUTF8=1"
    yield Finding(area, "file names", "works" if sound else "absent", f"are {encoding}", mend)


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def _folder(area: str, name: str, folder: Path) -> Finding:
    place = _existing(folder)
    if not place.is_dir():
        return Finding(
            area, name, "broken", f"{place} is a file", "move it, or set paths in dnr.yaml"
        )
    try:
        # Permissions, quotas and read-only mounts are told by nothing but a try.
        with tempfile.TemporaryFile(dir=place) as probe:
            probe.write(b"dnr")
    except OSError as error:
        what = f"{folder} cannot be written: {error.strerror or type(error).__name__}"
        return Finding(
            area, name, "broken", what, "change its permissions, or set paths in dnr.yaml"
        )
    return Finding(area, name, "works", f"{folder} can be written")


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _open_files() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _data(tz: str) -> Iterator[Finding]:
    area = "data that comes along"
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(tz)
        what = f"{len(available_timezones())} zones, {tz} among them"
        yield Finding(area, "time zones", "works", what)
    except Exception as error:  # noqa: BLE001 - damaged data raises many kinds
        what = f"{tz} cannot be read: {type(error).__name__}"
        yield Finding(area, "time zones", "broken", what, "pip install -U tzdata")
    try:
        from matplotlib import font_manager

        path = font_manager.findfont("DejaVu Sans", fallback_to_default=False)
        yield Finding(area, "fonts", "works", f"figures are set in {Path(path).stem}")
    except Exception as error:  # noqa: BLE001 - damaged data raises many kinds
        what = f"DejaVu Sans cannot be found: {type(error).__name__}"
        yield Finding(area, "fonts", "broken", what, "pip install --force-reinstall matplotlib")
