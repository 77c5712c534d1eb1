"""Room: workspace. Where files lie: whole-or-nothing writes, a lock a folder, manifests, run ids."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from attrs import field, frozen

from dnr_core.errors import FolderError, FolderHeldError, InputError, UnfinishedError

MANIFEST: Final = "manifest.json"
LOCK: Final = ".dnr.lock"
STAGING: Final = ".partial"
PUBLISHING: Final = ".publishing"
MANIFEST_FORMAT: Final = 1


def new_run_id() -> str:
    """Return an id for logs. It is random, so it never goes into a file that must repeat."""
    return secrets.token_hex(6)


@frozen
class Manifest:
    """What a finished folder says of itself. `kind` is "warehouse", "comms", "meta" or "report".

    `files` maps relative POSIX paths to SHA-256. Nothing in it depends on time, host or path.
    """

    kind: str
    version: str
    settings: Mapping[str, Any]
    files: Mapping[str, str]
    archetype: str = ""
    seed: int | None = None
    plugins: Mapping[str, str] = field(factory=dict)
    extra: Mapping[str, Any] = field(factory=dict)


def _folder_error(folder: Path, error: OSError) -> FolderError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return FolderError(
            f"the disk is full: could not write {error.filename or folder}",
            hint="free some space and run the same command again; finished parts are kept",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return FolderError(
            f"cannot write to {folder}: {error.strerror}",
            hint="choose another --out folder or change its permissions",
        )
    return FolderError(f"cannot write to {folder}: {error.strerror or error}")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn operating-system errors of writing below `folder` into `FolderError`."""
    try:
        yield
    except OSError as error:
        # Reading faults and our own errors keep their kind; pyarrow raises plain OSError for both.
        raise _folder_error(folder, error) from error


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for writing so that it appears whole or not at all (temp file, fsync, rename).

    Raises:
        FolderError: the folder is read-only, missing, or its disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(3)}.tmp")
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> str:
    """Write a whole file and return its SHA-256 in hexadecimal."""
    with whole_file(path) as handle:
        handle.write(content)
    return hashlib.sha256(content).hexdigest()


def write_text(path: Path, text: str) -> str:
    """Write a whole UTF-8 file and return its SHA-256 in hexadecimal."""
    return write_bytes(path, text.encode("utf-8"))


def dump_json(value: Any) -> str:
    """Return JSON as every file of dnr has it: sorted keys, two spaces, a newline at the end."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> str:
    """Write a whole JSON file and return its SHA-256 in hexadecimal."""
    return write_text(path, dump_json(value))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Hold `folder` for this run, made if it does not exist. The lock goes with the process.

    Raises:
        FolderHeldError: another run holds it.
        FolderError: it cannot be written.
    """
    from filelock import FileLock, Timeout

    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise FolderHeldError(
                f"another run is writing to {folder}",
                hint="wait for it to finish, or choose another --out folder",
            ) from None
    try:
        yield folder
    finally:
        lock.release()


def claim(folder: Path, kind: str, *, beside: Collection[str] = ()) -> None:
    """Refuse a folder that holds something else than an earlier `kind` of ours.

    `beside` are names of folders that other commands of ours put there.

    Raises:
        FolderError: it has files and no manifest or staging of that kind.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise FolderError(f"{folder} is a file, not a folder", hint="choose another --out folder")
    if (folder / MANIFEST).exists():
        found = read_manifest(folder).kind
        if found != kind:
            raise FolderError(
                f"{folder} holds a {found}, not a {kind}", hint="choose another --out folder"
            )
        return
    if (folder / STAGING).exists():
        return
    ours = {LOCK, STAGING, PUBLISHING, *beside}
    strangers = sorted(
        p.name for p in folder.iterdir() if p.name not in ours and not p.name.endswith(".tmp")
    )
    if strangers:
        raise FolderError(
            f"{folder} has files that dnr did not write ({', '.join(strangers[:3])})",
            hint="choose another --out folder, or empty this one yourself",
        )


def staging(folder: Path) -> Path:
    """Return the folder in which an unfinished result is built. It outlives a killed run."""
    path = folder / STAGING
    with disk_errors(folder):
        path.mkdir(parents=True, exist_ok=True)
    return path


def publish(folder: Path, manifest: Manifest) -> None:
    """Move everything from the staging folder into `folder`, and write the manifest last.

    What an earlier run published and this one does not have is removed; what others put there
    stays. A run that is killed in between leaves a folder without manifest, which every reader
    refuses; running again finishes it.
    """
    stage, wanted = folder / STAGING, set(manifest.files)
    with disk_errors(folder):
        published = _published(folder)
        # Written before the old manifest goes, so that a killed run's files are known to the next.
        write_json(folder / PUBLISHING, sorted(published | wanted))
        (folder / MANIFEST).unlink(missing_ok=True)
        for relative in sorted(published - wanted):
            (folder / relative).unlink(missing_ok=True)
            _remove_empty(folder / relative, folder)
        for relative in sorted(wanted):
            source, target = stage / relative, folder / relative
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        write_manifest(folder, manifest)
        (folder / PUBLISHING).unlink(missing_ok=True)
        shutil.rmtree(stage, ignore_errors=True)


def _published(folder: Path) -> set[str]:
    """Return the relative paths that earlier runs published, finished or killed."""
    found: set[str] = set()
    if (folder / MANIFEST).exists():
        found |= set(read_manifest(folder).files)
    if (folder / PUBLISHING).exists():
        with suppress(ValueError):
            listed = json.loads((folder / PUBLISHING).read_text(encoding="utf-8"))
            found |= {str(name) for name in listed if is_inside(str(name))}
    return found


def _remove_empty(path: Path, root: Path) -> None:
    for parent in path.parents:
        if parent == root or not parent.is_dir() or any(parent.iterdir()):
            return
        parent.rmdir()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, which makes the folder finished."""
    from attrs import asdict

    write_json(folder / MANIFEST, {"format": MANIFEST_FORMAT, **asdict(manifest)})


def read_manifest(folder: Path) -> Manifest:
    """Read a finished folder's manifest.

    Raises:
        InputError: the folder does not exist, or its manifest is no manifest of this version.
        UnfinishedError: it has none.
    """
    if not folder.is_dir():
        raise InputError(
            f"there is no folder {folder}", hint="check the path, or generate it first"
        )
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnfinishedError(
            f"{folder} has no {MANIFEST}: what made it did not finish, or it is not a folder of dnr",
            hint="run the command that makes it again; it goes on from where it stopped",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict) or content.get("format") != MANIFEST_FORMAT:
        raise InputError(
            f"{path} is no manifest of format {MANIFEST_FORMAT}",
            hint="it was written by another version of dnr, or by something else",
        )
    content.pop("format")
    try:
        manifest = Manifest(**content)
    except TypeError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(manifest.files, dict) or not all(map(is_inside, manifest.files)):
        raise InputError(f"the manifest {path} names files outside of its folder")
    return manifest


def is_inside(relative: str) -> bool:
    """Return whether a relative path stays inside its folder: a manifest may come from anywhere."""
    parts = PurePosixPath(relative)
    return bool(relative) and not parts.is_absolute() and ".." not in parts.parts
