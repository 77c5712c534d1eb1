"""Room: comms. Opens the members of a zip or a folder without unpacking, and trusts none of them.

Nothing is written to the disk, so a path in an archive can lead nowhere. Symbolic links, encrypted
members, members that unpack to more than `MAX_MEMBER_BYTES` and ones that swell
suspiciously are not read, and are said to be unread.
"""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol

from attrs import field, frozen

from dnr_core.errors import CommsError

MAX_MEMBER_BYTES: Final = 512 * 1024 * 1024
_MAX_SWELL: Final = 500
_SWELL_FROM_BYTES: Final = 16 * 1024 * 1024
_ENCRYPTED: Final = 0x1
_MAX_TOLD: Final = 1000


class Unread:
    """What an importer could not read (`entries`, at most 1,000) and what it left out on purpose.

    `incomplete` counts what is kept although it lacks something, such as a date.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.total = 0
        self.left_out: dict[str, int] = {}
        self.incomplete: dict[str, int] = {}

    def note(self, where: str, why: str) -> None:
        """Remember something that should have been readable."""
        self.total += 1
        if len(self.entries) < _MAX_TOLD:
            self.entries.append({"where": where, "why": why})

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count something that is left out on purpose."""
        self.left_out[what] = self.left_out.get(what, 0) + count

    def miss(self, what: str, count: int = 1) -> None:
        """Count something that is kept, and lacks something."""
        self.incomplete[what] = self.incomplete.get(what, 0) + count

    def as_json(self) -> dict[str, Any]:
        """Return what `unread.json` says."""
        return {
            "incomplete": dict(sorted(self.incomplete.items())),
            "left_out": dict(sorted(self.left_out.items())),
            "total": self.total,
            "unread": self.entries,
        }


class Members(Protocol):
    """Files of an export, by POSIX path below its root."""

    @property
    def names(self) -> tuple[str, ...]:
        """All members, in order."""
        ...

    def read(self, name: str) -> bytes:
        """Return the bytes of a member.

        Raises:
            UnreadableMemberError: it cannot be read, or is too large.
        """
        ...


class UnreadableMemberError(Exception):
    """One member that cannot be read; the message says why."""


@frozen
class FolderMembers:
    """Files below a folder; links are not followed."""

    root: Path
    names: tuple[str, ...]

    def read(self, name: str) -> bytes:
        """Return the bytes of a file, see `Members`."""
        path = self.root / name
        try:
            if path.stat().st_size > MAX_MEMBER_BYTES:
                raise UnreadableMemberError(f"larger than {MAX_MEMBER_BYTES} bytes")
            return path.read_bytes()
        except OSError as error:
            raise UnreadableMemberError(error.strerror or "cannot be read") from None


@frozen
class ZipMembers:
    """Files in a zip archive."""

    archive: zipfile.ZipFile
    names: tuple[str, ...]
    infos: dict[str, zipfile.ZipInfo] = field(repr=False)

    def read(self, name: str) -> bytes:
        """Return the bytes of a member, see `Members`."""
        info = self.infos[name]
        if info.flag_bits & _ENCRYPTED:
            raise UnreadableMemberError("encrypted")
        swollen = info.file_size > _SWELL_FROM_BYTES
        if info.file_size > MAX_MEMBER_BYTES or (
            swollen and info.file_size > _MAX_SWELL * max(1, info.compress_size)
        ):
            raise UnreadableMemberError(f"unpacks to {info.file_size} bytes, which is too much")
        try:
            with self.archive.open(info) as handle:
                # The size in the directory may lie, so no more than the limit is ever unpacked.
                content = handle.read(MAX_MEMBER_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
            raise UnreadableMemberError(f"damaged: {error}") from None
        except RuntimeError:
            raise UnreadableMemberError("encrypted, or packed in an unknown way") from None
        if len(content) > MAX_MEMBER_BYTES:
            raise UnreadableMemberError(f"unpacks to more than {MAX_MEMBER_BYTES} bytes")
        return content


@contextmanager
def open_export(path: Path, unread: Unread) -> Iterator[Members]:
    """Open a folder or a zip archive for reading its members in place.

    Raises:
        CommsError: there is nothing at `path`, or it is neither.
    """
    if path.is_dir():
        yield FolderMembers(path, tuple(walk(path, unread)))
        return
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError:
        raise CommsError(f"there is no {path}", hint="check the path") from None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CommsError(
            f"{path} is neither a folder nor a zip archive that can be read: {error}",
            hint="give the export as it was downloaded, or the folder it was unpacked to",
        ) from None
    with archive:
        infos = dict(_safe_infos(archive, unread))
        yield ZipMembers(archive, tuple(sorted(infos)), infos)


def _safe_infos(archive: zipfile.ZipFile, unread: Unread) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    for info in archive.infolist():
        name = PurePosixPath(info.filename.replace("\\", "/"))
        if info.is_dir() or "__MACOSX" in name.parts or name.name.startswith("."):
            continue
        if name.is_absolute() or ".." in name.parts:
            unread.note(_shown(info.filename), "its path leads out of the archive")
        elif stat.S_ISLNK(info.external_attr >> 16):
            unread.note(_shown(info.filename), "it is a symbolic link")
        else:
            yield name.as_posix(), info


def walk(root: Path, unread: Unread) -> Iterator[str]:
    """Yield the files below a folder as POSIX paths, in order; hidden ones and links left out."""
    for folder, folders, files in os.walk(root, followlinks=False):
        folders.sort()
        # The folders of a Maildir have names that begin with a dot.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") or (Path(folder) / name / "cur").is_dir()
        ]
        for name in sorted(files):
            path = Path(folder) / name
            relative = path.relative_to(root).as_posix()
            if name.startswith("."):
                continue
            if path.is_symlink() or not path.is_file():
                unread.note(_shown(relative), "it is a link or no plain file")
            else:
                yield relative


def read_json(members: Members, name: str, unread: Unread) -> Any:
    """Return the JSON of a member, or None where it cannot be read, which is then noted."""
    try:
        return json.loads(members.read(name).decode("utf-8-sig"))
    except UnreadableMemberError as error:
        unread.note(_shown(name), str(error))
    except (ValueError, RecursionError) as error:
        why = "too deeply nested" if isinstance(error, RecursionError) else "no valid JSON"
        unread.note(_shown(name), why)
    return None


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:200]
