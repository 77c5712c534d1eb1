"""Room: comms. Brings the talk of a real company into the same four tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from attrs import field, frozen

from dnr_core.comms.importers.archive import Unread
from dnr_core.comms.importers.buckets import Bucketing
from dnr_core.comms.importers.mailbox import read_mail
from dnr_core.comms.importers.nlq import read_nlq
from dnr_core.comms.importers.people import People, read_roles
from dnr_core.comms.importers.slack import read_slack
from dnr_core.comms.pseudonyms import Pseudonyms, default_key_file, load_key
from dnr_core.comms.read import KIND, UNREAD
from dnr_core.comms.rows import GrowingParquet, table_of
from dnr_core.comms.tables import COMMS_USERS, TABLES
from dnr_core.errors import CommsError, ConfigError
from dnr_core.progress import Progress, Silent
from dnr_core.workspace import Manifest, claim, held, publish, staging, write_json

_TASK: Final = "import"
_ITEMS: Final = {"slack": "thread_id", "email": "message_id", "nlq": "query_id"}


@frozen
class ImportedFolder:
    """A finished folder of real talk. `items` counts by source; `unread` is what was not read."""

    path: Path
    items: Mapping[str, int]
    messages: int
    unread: int
    left_out: Mapping[str, int] = field(factory=dict)
    incomplete: Mapping[str, int] = field(factory=dict)
    key_file: Path | None = None

    def __str__(self) -> str:
        counts = ", ".join(f"{count:,} {source}" for source, count in self.items.items())
        parts = [f"{self.path}: {counts} ({self.messages:,} Slack messages)"]
        if self.unread:
            parts.append(f"{self.unread:,} could not be read (listed in {UNREAD})")
        parts += [f"{count:,} {what} left out" for what, count in sorted(self.left_out.items())]
        parts += [f"{count:,} {what}" for what, count in sorted(self.incomplete.items())]
        return "; ".join(parts)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(str(self))}</p>"


def import_comms(
    *,
    slack: Path | None = None,
    mail: Path | None = None,
    nlq: Path | None = None,
    out: Path,
    include_dms: bool = False,
    channels: Mapping[str, str] | None = None,
    roles: Path | None = None,
    nlq_columns: Mapping[str, str] | None = None,
    pseudonymise: bool = True,
    key_file: Path | None = None,
    progress: Progress = Silent(),  # noqa: B008  it has no state
) -> ImportedFolder:
    """Read exports in place into a folder that `read_comms` reads; the exports are not changed.

    Texts lose what looks like an address, phone, card or account number, whatever the settings.

    Args:
        slack: a Slack export, zip or folder.
        mail: an mbox, a Maildir, a folder of `.eml` files, or one such file.
        nlq: a log of questions or queries.
        out: where the tables go.
        include_dms: read direct messages too.
        channels: buckets by name of a channel or list, or by a word in it.
        roles: a CSV or JSON file that says who has which role; everyone else is "other".
        nlq_columns: names of the log's columns by those of `nlq`.
        pseudonymise: replace people by keyed hashes; False keeps addresses and ids as they are.
        key_file: where the key of the hashes is; made on first use, by default in the user's data
            folder. It must lie outside `out`.
        progress: told of the task "import".

    Raises:
        CommsError: an export cannot be read, or nothing in it can.
        ConfigError: no export was given, or a map names something unknown.
        FolderError: `out` cannot be written or holds something else.
    """
    given = {"slack": slack, "email": mail, "nlq": nlq}
    if not any(given.values()):
        raise ConfigError(
            "there is nothing to import",
            hint="give a Slack export (--slack), a mailbox (--mail) or a log (--nlq)",
        )
    buckets = Bucketing(channels)
    role_map = read_roles(roles) if roles else {}
    key, used = None, None
    if pseudonymise:
        used = key_file or default_key_file()
        key = load_key(used, out)
    people = People(Pseudonyms(key), role_map)
    unread = Unread()
    counts = dict.fromkeys(_FILES, 0)
    progress.start(_TASK, sum(path is not None for path in given.values()), "source")
    scratch = _scratch(out)
    with ExitStack() as stack:
        files = {name: stack.enter_context(GrowingParquet(name, scratch)) for name in TABLES}
        for source, path in given.items():
            if path is None:
                continue
            before = len(unread.entries)
            parts: Iterable[pa.Table]
            if source == "slack":
                parts = read_slack(path, people, buckets, unread, include_dms=include_dms)
            elif source == "email":
                parts = read_mail(path, people, buckets, unread, scratch=scratch)
            else:
                parts = (read_nlq(path, people, unread, columns=nlq_columns),)
            file = files[_FILES[source]]
            for part in parts:
                file.add(part)
                counts[source] += pc.count_distinct(part[_ITEMS[source]]).as_py()
            if not file.rows and len(unread.entries) > before:
                first = unread.entries[before]
                raise CommsError(
                    f"nothing in {path} could be read; first: {first['where']}: {first['why']}",
                    hint="check that it is the export itself, and complete",
                )
            progress.advance(_TASK)
        files["comms_users"].add(table_of(people.rows(), COMMS_USERS))
        _publish(out, files, unread, given, pseudonymised=pseudonymise)
        folder = ImportedFolder(
            path=out,
            items=counts,
            messages=files["slack_messages"].rows,
            unread=unread.total,
            left_out=dict(unread.left_out),
            incomplete=dict(unread.incomplete),
            key_file=used,
        )
    progress.done(_TASK)
    return folder


_FILES: Final = {"slack": "slack_messages", "email": "email_messages", "nlq": "nlq"}


def _scratch(out: Path) -> Path:
    """Return the folder nearest to `out` that is there: what is read waits on the disk it goes to."""
    return next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())


def _publish(
    out: Path,
    written: Mapping[str, GrowingParquet],
    unread: Unread,
    given: Mapping[str, Any],
    *,
    pseudonymised: bool,
) -> None:
    with held(out):
        claim(out, KIND)
        stage = staging(out)
        files = {
            f"{name}.parquet": file.move_to(stage / f"{name}.parquet")
            for name, file in sorted(written.items())
        }
        files[UNREAD] = write_json(stage / UNREAD, unread.as_json())
        publish(
            out,
            Manifest(
                kind=KIND,
                version=metadata.version("dnr-core"),
                settings={},
                files=files,
                extra={
                    "synthetic": False,
                    "sources": sorted(source for source, path in given.items() if path),
                    "pseudonymised": pseudonymised,
                },
            ),
        )
