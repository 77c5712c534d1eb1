"""Room: comms. Stands for people by a keyed hash, whose key stays with the user.

The same person has the same pseudonym in every import made with the same key, and nobody
without the key can go back or try names out.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from dnr_core.errors import CommsError
from dnr_core.workspace import disk_errors

_KEY_BYTES: Final = 32
_SHOWN: Final = 16
# Letters only: an id in a text must not look like a number, which would be taken out.
_LETTERS: Final = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_HINT: Final = "give another --key-file, or delete this one (pseudonyms then change)"


def default_key_file() -> Path:
    """Where the key lies unless said otherwise: in the user's own data folder."""
    from platformdirs import user_data_path

    return user_data_path("dnr", appauthor=False) / "pseudonym.key"


def load_key(path: Path, out: Path) -> bytes:
    """Return the key in `path`, made there on first use and readable by its owner only.

    Raises:
        CommsError: the key would lie in the output folder, or the file holds no key.
        FolderError: the file cannot be written.
    """
    if path.resolve().is_relative_to(out.resolve()):
        raise CommsError(
            f"the pseudonym key {path} lies inside the output folder {out}",
            hint="keep the key apart from what it protects: give another --key-file",
        )
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _read_key(path)
        key = secrets.token_bytes(_KEY_BYTES)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
    return key


def _read_key(path: Path) -> bytes:
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError):
        key = b""
    if len(key) < _KEY_BYTES:
        raise CommsError(f"{path} holds no key of dnr ({_KEY_BYTES} bytes as hex)", hint=_HINT)
    return key


class Pseudonyms:
    """Gives ids that tell nothing. With no key, ids are the identities themselves."""

    def __init__(self, key: bytes | None) -> None:
        self._key = key
        self._known: dict[str, str] = {}

    def person(self, identity: str) -> str:
        """Return the id of a person; `identity` is an address where one is known.

        Addresses are the same in any case and with spaces around them.
        """
        person = identity.strip().casefold()
        known = self._known.get(person)
        # People come again and again; messages, of which there are many more, do not.
        if known is None:
            known = self._known[person] = self.of("u", person)
        return known

    def of(self, prefix: str, identity: str) -> str:
        """Return `prefix` and 16 letters (64 bits) of the identity's keyed hash."""
        if self._key is None:
            return identity
        text = f"{prefix}\x1f{identity}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._key, text, "sha256").hex()
        return prefix + digest[:_SHOWN].translate(_LETTERS)
