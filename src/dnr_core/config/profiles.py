"""Room: config. Defect profiles as people write them: YAML files, and what a manifest keeps of one.

A quality is the name of an installed profile, or the path of a file that ends in `.yaml`. What a
file says of kinds is read here; whether its tables and columns are there, and whether its mix can
hold, is seen when a company is planned, where errors name the file's lines too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from attrs import evolve, frozen

from dnr_core.config.yaml_file import Lines, parse_lines, read_text
from dnr_core.errors import ConfigError, DnrError
from dnr_core.model import (
    Breaks,
    DefectKind,
    DefectProfile,
    DefectRate,
    IncidentRate,
    LagProfile,
)
from dnr_core.suggestions import did_you_mean

if TYPE_CHECKING:
    from dnr_core.catalogue import Catalogue

ENDINGS: Final = (".yaml", ".yml")

_TOP: Final = ("name", "title", "extends", "lag", "rates", "incidents")
_BOTH: Final = ("kind", "tables", "columns", "where", "from", "until", "options")
_RATE: Final = (*_BOTH, "share")
_INCIDENT: Final = (
    *_BOTH,
    "per_quarter",
    "total",
    "size",
    "row_share",
    "days",
    "hours",
    "from_hour",
    "within_rate",
    "breaks",
)
_LAG: Final = ("usual_minutes", "slow_minutes", "slow_share")


def is_file(quality: str) -> bool:
    """Return whether a quality is meant as a file, not as the name of an installed profile."""
    return quality.lower().endswith(ENDINGS)


def find_profile(quality: str, catalogue: Catalogue) -> DefectProfile:
    """Return the profile that a quality means: an installed one by name, or a file's.

    Raises:
        UnknownNameError: no installed profile has that name.
        ConfigError: the file cannot be read, or says what is not allowed.
    """
    return (
        read_profile(Path(quality), catalogue) if is_file(quality) else catalogue.profile(quality)
    )


def read_profile(file: Path, catalogue: Catalogue) -> DefectProfile:
    """Read a defect profile from a YAML file.

    Raises:
        ConfigError: it cannot be read, or says what is not allowed; the message names the line.
    """
    if not file.is_file():
        raise ConfigError(
            f"there is no defect profile {file}",
            hint="give the path of a YAML file, or the name of an installed profile: "
            + ", ".join(sorted(catalogue.profiles)),
        )
    content, lines = parse_lines(read_text(file), str(file))
    reader = _Reader(catalogue, lines, file.name)
    profile = reader.profile(content, file.stem)
    if profile.name in catalogue.profiles:
        raise reader.wrong(
            ("name",),
            f"the profile's name {profile.name!r} is that of an installed one",
            "give it another `name`",
        )
    return profile


def profile_from(content: Mapping[str, Any], catalogue: Catalogue) -> DefectProfile:
    """Return the profile that `profile_as_dict` told.

    Raises:
        ConfigError: it is no such content, or a kind of defect is not installed.
    """
    return _Reader(catalogue, {}, "the manifest's profile").profile(content, "")


def profile_as_dict(profile: DefectProfile) -> dict[str, Any]:
    """Return a profile as plain values, in the form of a profile file."""
    told: dict[str, Any] = {"name": profile.name, "title": profile.title}
    if profile.lag is not None:
        told["lag"] = {
            "usual_minutes": list(profile.lag.usual_minutes),
            "slow_minutes": list(profile.lag.slow_minutes),
            "slow_share": profile.lag.slow_share,
        }
    told["rates"] = [{**_common(rate), "share": rate.share} for rate in profile.rates]
    told["incidents"] = [
        {
            **_common(rate),
            **({"per_quarter": rate.per_quarter} if rate.total is None else {"total": rate.total}),
            "size": rate.size,
            "row_share": rate.row_share,
            "days": rate.days,
            "hours": rate.hours,
            "from_hour": rate.from_hour,
            "within_rate": rate.within_rate,
            "breaks": rate.breaks,
        }
        for rate in profile.incidents
    ]
    return told


def _common(rate: DefectRate | IncidentRate) -> dict[str, Any]:
    own = {k: v for k, v in rate.options.items() if k not in {"where", "from", "until"}}
    told: dict[str, Any] = {
        "kind": rate.kind,
        "tables": list(rate.tables),
        "columns": list(rate.columns),
        "options": {name: _plain(value) for name, value in own.items()},
    }
    told |= {
        name: _plain(rate.options[name])
        for name in ("where", "from", "until")
        if name in rate.options
    }
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        text = (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        return text.replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    # A plugin's kind may take anything as an option; what JSON has no form for is told as text.
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


Path_ = tuple[str | int, ...]


@frozen
class _Reader:
    """Reads one profile; every fault names its line."""

    catalogue: Catalogue
    lines: Lines
    title: str

    def place(self, path: Path_) -> str:
        """Return the file and line of a value, or of what it stands in."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.title} line {self.lines[path]}" if path in self.lines else self.title

    def wrong(self, path: Path_, fault: str, hint: str = "") -> ConfigError:
        """Return the error for a value."""
        return ConfigError(f"{self.place(path)}: {fault}", hint=hint)

    def profile(self, content: Any, stem: str) -> DefectProfile:
        """Return the profile of a whole file."""
        said = self.mapping((), content, _TOP)
        base = DefectProfile("", "")
        if said.get("extends") is not None:
            try:
                base = self.catalogue.profile(str(said["extends"]))
            except DnrError as error:
                raise self.wrong(("extends",), str(error), error.hint) from None
        rates = self.items("rates", said.get("rates"), self.rate)
        incidents = self.items("incidents", said.get("incidents"), self.incident)
        named = {rate.kind for rate in (*rates, *incidents)}
        lag = self.lag(said["lag"]) if "lag" in said else base.lag
        return evolve(
            base,
            name=self.text(("name",), said.get("name", stem)),
            title=self.text(("title",), said.get("title", base.title or stem)),
            rates=(*(rate for rate in base.rates if rate.kind not in named), *rates),
            incidents=(*(rate for rate in base.incidents if rate.kind not in named), *incidents),
            lag=lag,
        )

    def mapping(self, path: Path_, content: Any, allowed: Sequence[str]) -> dict[str, Any]:
        """Return a mapping whose keys are all allowed."""
        if not isinstance(content, Mapping):
            raise self.wrong(
                path,
                f"expected a mapping with {', '.join(allowed)}, got {content!r}",
                "a profile has `rates` and `incidents`, each a list",
            )
        for key in content:
            if key not in allowed:
                raise self.wrong(
                    (*path, str(key)),
                    f"there is no key {key!r} here",
                    did_you_mean(str(key), allowed) or f"known here: {', '.join(allowed)}",
                )
        return dict(content)

    def items(self, name: str, content: Any, read: Callable[[Path_, Any], Any]) -> tuple[Any, ...]:
        """Return what a list holds, one by one."""
        if content is None:
            return ()
        if not isinstance(content, list | tuple):
            raise self.wrong((name,), f"{name} is {content!r}, but must be a list")
        return tuple(read((name, place), entry) for place, entry in enumerate(content))

    def kind(self, path: Path_, said: Mapping[str, Any], *, dated: bool) -> DefectKind:
        """Return the kind of a rate, where it stands in the right list."""
        if not isinstance(said.get("kind"), str):
            raise self.wrong(path, "it does not say which kind of defect", "give `kind`")
        try:
            kind = self.catalogue.defect_kind(said["kind"])
        except DnrError as error:
            raise self.wrong((*path, "kind"), str(error), error.hint) from None
        if kind.dated != dated:
            fits = "incidents" if kind.dated else "rates"
            sort = "is dated" if kind.dated else "is not dated"
            raise self.wrong((*path, "kind"), f"{kind.name} {sort} and belongs under {fits}")
        return kind

    def rate(self, path: Path_, content: Any) -> DefectRate:
        """Return a rate."""
        said = self.mapping(path, content, _RATE)
        kind = self.kind(path, said, dated=False)
        if "share" not in said:
            raise self.wrong(path, f"{kind.name} has no share", "give `share`: 0.02 is 2 %")
        share = self.number((*path, "share"), said["share"])
        return DefectRate(kind.name, share, **self.common(path, said))

    def incident(self, path: Path_, content: Any) -> IncidentRate:
        """Return an incident rate; what a file leaves out is as the kind says."""
        said = {
            key: value
            for key, value in self.mapping(path, content, _INCIDENT).items()
            if value is not None
        }
        kind = self.kind(path, said, dated=True)
        if ("per_quarter" in said) == ("total" in said):
            raise self.wrong(
                path,
                f"it is not clear how many {kind.name} there are",
                "give either `total`, over the whole history, or `per_quarter`",
            )
        hours = self.whole(path, said, "hours")
        size = said.get("size", kind.size.default if kind.size else None)
        if kind.size is not None and kind.size.name == "hours":
            hours = hours if hours is not None else int(kind.size.default)
            size = said.get("size", hours)
        if size is None:
            raise self.wrong(path, f"{kind.name} has no size", "give `size`")
        row_share = said.get("row_share", kind.row_share)
        within = said.get("within_rate", False)
        if not isinstance(within, bool):
            raise self.wrong(
                (*path, "within_rate"), f"within_rate is {within!r}, not true or false"
            )
        breaks = said.get("breaks", kind.breaks)
        if breaks not in get_args(Breaks):
            raise self.wrong(
                (*path, "breaks"),
                f"breaks is {breaks!r}",
                f"it is one of {', '.join(get_args(Breaks))}",
            )
        return IncidentRate(
            kind.name,
            self.number((*path, "per_quarter"), said.get("per_quarter", 0.0)),
            self.number((*path, "size"), size),
            breaks=breaks,
            row_share=None if row_share is None else self.number((*path, "row_share"), row_share),
            total=self.whole(path, said, "total"),
            hours=hours,
            days=self.whole(path, said, "days") or 1,
            from_hour=self.whole(path, said, "from_hour"),
            within_rate=within,
            **self.common(path, said),
        )

    def common(self, path: Path_, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return what rates and incidents say alike."""
        own = said.get("options") or {}
        if not isinstance(own, Mapping):
            raise self.wrong((*path, "options"), f"options is {own!r}, but must be a mapping")
        options: dict[str, Any] = {str(name): value for name, value in own.items()}
        for name in ("where", "from", "until"):
            if name in options:
                raise self.wrong(
                    (*path, "options", name),
                    f"{name} stands under options",
                    "move it beside `kind`",
                )
            if said.get(name) is not None:
                value = said[name]
                options[name] = value if name == "where" else self.moment((*path, name), value)
        where = options.get("where", {})
        if not isinstance(where, Mapping):
            raise self.wrong(
                (*path, "where"), f"where is {where!r}", "write it as `where: {channel: [web]}`"
            )
        if where:
            options["where"] = {
                str(name): list(wanted) if isinstance(wanted, list | tuple) else [wanted]
                for name, wanted in where.items()
            }
        return {
            "tables": self.names((*path, "tables"), said.get("tables")),
            "columns": self.names((*path, "columns"), said.get("columns")),
            "options": options,
            "source": self.place(path) if self.lines else "",
        }

    def lag(self, content: Any) -> LagProfile | None:
        """Return the base lag; none where it is said to be none."""
        if content is None:
            return None
        said = self.mapping(("lag",), content, _LAG)
        for name in _LAG:
            if name not in said:
                raise self.wrong(("lag",), f"lag has no {name}", f"give {', '.join(_LAG)}")
        ranges = []
        for name in ("usual_minutes", "slow_minutes"):
            ends = said[name]
            good = isinstance(ends, list | tuple) and len(ends) == 2
            if (
                not good
                or not all(isinstance(n, int) and n >= 0 for n in ends)
                or ends[0] > ends[1]
            ):
                raise self.wrong(
                    ("lag", name), f"{name} is {ends!r}", "give two whole numbers: [30, 180]"
                )
            ranges.append((ends[0], ends[1]))
        share = self.number(("lag", "slow_share"), said["slow_share"])
        if not 0 <= share <= 1:
            raise self.wrong(("lag", "slow_share"), f"slow_share is {share:g}, not from 0 to 1")
        return LagProfile(ranges[0], ranges[1], share)

    def text(self, path: Path_, value: Any) -> str:
        """Return a text that is not empty."""
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(path, f"{path[-1]} is {value!r}, but must be text")
        return value

    def names(self, path: Path_, value: Any) -> tuple[str, ...]:
        """Return names: a list, or one alone."""
        listed = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(listed, list | tuple) or not all(isinstance(n, str) for n in listed):
            raise self.wrong(path, f"{path[-1]} is {value!r}, but must be a list of names")
        return tuple(listed)

    def number(self, path: Path_, value: Any) -> float:
        """Return a finite number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e15:
            hint = "2 % is written 0.02" if isinstance(value, str) and "%" in value else ""
            raise self.wrong(path, f"{path[-1]} is {value!r}, but must be a number", hint)
        if value != value:  # noqa: PLR0124 - NaN alone is not itself
            raise self.wrong(path, f"{path[-1]} is not a number")
        return float(value)

    def whole(self, path: Path_, said: Mapping[str, Any], name: str) -> int | None:
        """Return a whole number, or None where it is not said."""
        value = said.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise self.wrong((*path, name), f"{name} is {value!r}, but must be a whole number")
        return value

    def moment(self, path: Path_, value: Any) -> date:
        """Return a day or an instant."""
        if isinstance(value, str):
            with suppress(ValueError):
                day = len(value) == len("2025-03-01")
                value = date.fromisoformat(value) if day else datetime.fromisoformat(value)
        if not isinstance(value, date):
            raise self.wrong(
                path, f"{path[-1]} is {value!r}, which is no day", "write it as 2025-03-01"
            )
        return value
