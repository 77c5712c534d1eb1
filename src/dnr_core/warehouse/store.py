"""Room: warehouse. A finished warehouse in a store that pyarrow reaches, such as S3.

A warehouse is always built in a folder, where files can be renamed, locked and measured, and a
killed run goes on. A store gets the finished files from there, its manifest last.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar
from urllib.parse import unquote, urlsplit

from attrs import define, field

from dnr_core.errors import ConfigError, FolderError
from dnr_core.progress import Progress
from dnr_core.workspace import MANIFEST, PUBLISHING, Manifest, is_inside, read_manifest

T = TypeVar("T")

WAITS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Waits between attempts, for a store that fails for a while."""

_AT_ONCE: Final = 4
_HOPELESS: Final = (
    "ACCESS_DENIED",
    "NO_SUCH_BUCKET",
    "CREATE BUCKETS",
    "INVALID_ACCESS_KEY",
    "SIGNATURE",
)
"""Parts of messages of faults that do not pass by waiting."""


def located(out: Path | str) -> Path | str:
    """Return a folder for a path or a `file://` URI, and any other URI as it is."""
    text = str(out)
    if isinstance(out, Path) or "://" not in text:
        return Path(out)
    address = urlsplit(text)
    if address.scheme != "file":
        return text
    if address.netloc not in {"", "localhost"}:
        raise ConfigError(
            f"{text}: a file URI of another machine", hint="a path has three slashes: file:///data"
        )
    return Path(unquote(address.path))


def shown(uri: str) -> str:
    """Return a URI without keys and options, for messages and logs."""
    address = urlsplit(uri)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}"


@define
class Store:
    """A folder in a store."""

    uri: str
    """As `shown`."""
    mark: str
    """A short hash of the whole URI."""
    _files: Any
    _base: str
    _waits: tuple[float, ...]
    _lock: Lock = field(factory=Lock)

    @classmethod
    def of(cls, uri: str) -> Store:
        """Return the store that a URI names.

        Raises:
            ConfigError: pyarrow knows no such store, or the URI names no folder in it.
        """
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem

        mark = hashlib.sha256(uri.encode()).hexdigest()[:12]
        try:
            files, base = FileSystem.from_uri(uri)
        except (ArrowException, ValueError, OSError) as error:
            raise ConfigError(
                f"{shown(uri)} cannot be used: {_line(error, uri)}",
                hint="give a folder, or a URI such as s3://bucket/folder",
            ) from None
        if not base.strip("/"):
            raise ConfigError(f"{shown(uri)} names no bucket or folder")
        return cls(shown(uri), mark, files, base.rstrip("/"), WAITS_SECONDS)

    def manifest(self) -> Manifest | None:
        """Return the manifest of what is there; None where nothing finished is.

        Raises:
            InputError: it is no manifest of this version.
            FolderError: the store does not answer.
        """
        content = self._read(MANIFEST)
        if content is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / MANIFEST).write_bytes(content)
            return read_manifest(Path(folder))

    def claim(self, kind: str) -> None:
        """Refuse a place that holds something else than an earlier `kind` of ours.

        Raises:
            FolderError: it does, or the store does not answer.
        """
        found = self.manifest()
        if found is not None:
            if found.kind != kind:
                raise FolderError(f"{self.uri} holds a {found.kind}, not a {kind}")
            return
        names = [info.base_name for info in self._listed(recursive=False)]
        if names and PUBLISHING not in names:
            raise FolderError(
                f"{self.uri} has files that dnr did not write ({', '.join(sorted(names)[:3])})",
                hint="choose another place, or empty this one yourself",
            )

    def finished(self, fingerprint: str) -> Manifest | None:
        """Return the manifest of the plan with that fingerprint, where all its files are there."""
        found = self.manifest()
        if found is None or found.extra.get("fingerprint") != fingerprint:
            return None
        there = {self._relative(info) for info in self._listed(recursive=True)}
        return found if set(found.files) <= there else None

    def announce(self, files: Iterable[str] = ()) -> set[str]:
        """Write down which files may be there until a manifest says so, and return all of them.

        Done before anything is made, it also tells early that the place cannot be written.
        """
        earlier = self.manifest()
        known = set(earlier.files) if earlier else set()
        listed = self._read(PUBLISHING)
        if listed is not None:
            with suppress(ValueError):
                known |= {name for name in json.loads(listed) if is_inside(str(name))}
        self._write(PUBLISHING, json.dumps(sorted(known | set(files))).encode())
        return known

    def receive(self, folder: Path, manifest: Manifest, progress: Progress) -> None:
        """Take a finished folder's files, and its manifest last.

        What an earlier one had and this one has not is removed; what others put there stays. A
        run that ends in between leaves a place without manifest; the next one sends what is missing.

        Raises:
            FolderError: the store failed for longer than it is waited for.
        """
        known = self.announce(manifest.files)
        self._remove([MANIFEST])
        journal = folder.with_name(f"{folder.name}.sent")
        sizes = {self._relative(info): info.size for info in self._listed(recursive=True)}
        lines = journal.read_text("utf-8").splitlines() if journal.exists() else []
        # The last line of a file counts: a run of other settings may have sent its own since.
        sent = {name: digest for digest, _, name in (line.partition(" ") for line in lines)}
        task = f"{manifest.archetype} upload"
        progress.start(task, len(manifest.files), "files")

        def send(entry: tuple[str, str]) -> None:
            name, digest = entry
            source = folder / name
            if sent.get(name) != digest or sizes.get(name) != source.stat().st_size:
                self._send(source, name)
                with self._lock, journal.open("a", encoding="utf-8") as handle:
                    handle.write(f"{digest} {name}\n")
            progress.advance(task)

        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dnr-send") as pool:
            try:
                list(pool.map(send, sorted(manifest.files.items())))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        self._remove(sorted(known - set(manifest.files)))
        self._send(folder / MANIFEST, MANIFEST)
        self._remove([PUBLISHING])
        journal.unlink(missing_ok=True)
        progress.done(task, self.uri)

    def _listed(self, *, recursive: bool) -> list[Any]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(self._base, recursive=recursive, allow_not_found=True)
        return self._tried("list", lambda: list(self._files.get_file_info(selector)))

    def _relative(self, info: Any) -> str:
        return str(info.path).removeprefix(f"{self._base}/")

    def _read(self, name: str) -> bytes | None:
        def read() -> bytes | None:
            try:
                with self._files.open_input_stream(f"{self._base}/{name}") as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

        return self._tried(f"read {name} of", read)

    def _write(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "content"
            source.write_bytes(content)
            self._send(source, name)

    def _send(self, source: Path, name: str) -> None:
        target = f"{self._base}/{name}"
        size = source.stat().st_size

        def send() -> None:
            # Stores without folders take this as nothing, others need it.
            self._files.create_dir(target.rpartition("/")[0], recursive=True)
            with (
                source.open("rb") as content,
                self._files.open_output_stream(target, compression=None) as stream,
            ):
                while piece := content.read(1 << 22):
                    stream.write(piece)
            sent = self._files.get_file_info(target).size
            if sent != size:
                raise OSError(f"{sent} of {size} bytes arrived")

        self._tried(f"write {name} to", send)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._tried(f"remove {name} from", partial(self._remove_one, f"{self._base}/{name}"))

    def _remove_one(self, target: str) -> None:
        # Stores differ in what they raise for a file that is not there.
        if self._files.get_file_info(target).is_file:
            self._files.delete_file(target)

    def _tried(self, what: str, act: Callable[[], T]) -> T:
        """Act, and again after each wait where that may help."""
        waits = list(self._waits)
        while True:
            try:
                return act()
            except OSError as error:
                if not waits or any(word in str(error).upper() for word in _HOPELESS):
                    failed = len(self._waits) - len(waits) + 1
                    times = f" {failed} times" if failed > 1 else ""
                    raise FolderError(
                        f"could not {what} {self.uri}: it failed{times}: {_line(error, self.uri)}",
                        hint="what is made is kept; run the same command again to send the rest",
                    ) from error
            time.sleep(waits.pop(0))


def _line(error: BaseException, uri: str) -> str:
    """Return a fault's first line, without the keys that a URI may hold."""
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return text.replace(uri, shown(uri))
