"""Room: comms. Who writes in an export: one pseudonym a person, a role where the user gave one."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dnr_core.comms.pseudonyms import Pseudonyms
from dnr_core.comms.tables import ROLES
from dnr_core.errors import CommsError, ConfigError

UNKNOWN_ROLE: Final = "other"
BOT_ROLE: Final = "bot"
"""Programs that write; only real talk has them, and nobody has to answer to them."""
_HINT: Final = "it is a CSV of two columns, person and role, or a JSON object of the same"


class People:
    """Gives ids to identities, and remembers who was seen in which source.

    `roles` maps an address, a Slack id or a handle to a role.
    """

    def __init__(self, pseudonyms: Pseudonyms, roles: Mapping[str, str] | None = None) -> None:
        self.pseudonyms = pseudonyms
        self._roles = {name.strip().casefold(): role for name, role in (roles or {}).items()}
        for name, role in self._roles.items():
            if role not in ROLES:
                raise ConfigError(
                    f"the role {role!r} is no role that dnr knows",
                    hint=f"roles are {', '.join(ROLES)}",
                )
            if not name:
                raise ConfigError("a role is given to nobody", hint=_HINT)
        self._seen: dict[tuple[str, str], str] = {}

    def id_of(self, source: str, identity: str, *also: str, bot: bool = False) -> str:
        """Return the id of a person (or a bot), who may also have other names in the roles."""
        user_id = self.pseudonyms.person(identity)
        if (source, user_id) not in self._seen:
            known = (self._roles.get(name.strip().casefold()) for name in (identity, *also) if name)
            self._seen[source, user_id] = next(
                filter(None, known), BOT_ROLE if bot else UNKNOWN_ROLE
            )
        return user_id

    def rows(self) -> list[tuple[str, str, str]]:
        """Return `comms_users`, in order of source and id."""
        return [(source, user, role) for (source, user), role in sorted(self._seen.items())]


def read_roles(path: Path) -> dict[str, str]:
    """Read who has which role.

    Raises:
        CommsError: the file cannot be read as such.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            content = json.loads(text)
            if not isinstance(content, dict):
                raise CommsError(f"{path} is no JSON object", hint=_HINT)
            return {str(name): str(role) for name, role in content.items()}
        rows = [row for row in csv.reader(text.splitlines()) if any(row)]
    except (OSError, ValueError, csv.Error) as error:
        raise CommsError(f"cannot read {path}: {error}", hint=_HINT) from None
    bad = [place for place, row in enumerate(rows, start=1) if len(row) < 2]
    if bad:
        raise CommsError(f"{path}, line {bad[0]}: there is no role", hint=_HINT)
    if rows and rows[0][1].strip().casefold() == "role":
        rows = rows[1:]
    return {row[0].strip(): row[1].strip() for row in rows}
