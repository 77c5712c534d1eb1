"""Room: comms. Reads a Slack export, zip or folder, in place.

Edits: the newest text counts. Deleted messages and tombstones are left out; the oldest reply
that is left then starts the thread. Joins, leaves and other housekeeping are left out and counted,
direct messages unless they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
from attrs import field, frozen

from dnr_core.comms.features import features_of
from dnr_core.comms.importers.archive import Members, Unread, open_export, read_json
from dnr_core.comms.importers.buckets import Bucketing
from dnr_core.comms.importers.people import People
from dnr_core.comms.importers.slack_text import has_preformatted, link_targets, message_text
from dnr_core.comms.redact import Names, redact
from dnr_core.comms.rows import table_of
from dnr_core.comms.tables import SLACK_MESSAGES
from dnr_core.errors import CommsError

_DAY_FILE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
_LISTS: Final = {"channels.json": False, "groups.json": False, "mpims.json": True, "dms.json": True}
"""Lists of conversations, and whether they are direct ones."""
_DIRECT_NAME: Final = re.compile(r"D[A-Z0-9]{8,}|mpdm-.*")
_DELETED: Final = {"message_deleted", "tombstone"}
_TALK: Final = {"", "bot_message", "me_message", "file_share", "thread_broadcast", "file_comment",
                "file_mention", "reply_broadcast", "slackbot_response", "ekm_access_denied"}  # fmt: skip
_TS: Final = re.compile(r"(\d{9,11})(?:\.(\d{1,6})\d*)?")


@frozen
class _Channel:
    id: str
    name: str
    direct: bool


@frozen
class _Said:
    """What is kept of a message's content; `text` is redacted."""

    text: str = field(repr=False)
    domains: tuple[str, ...]
    files: tuple[str, ...]
    has_code: bool


@frozen
class _Message:
    """One message of a channel, before it is told which thread's root it belongs to."""

    ts: str
    at_us: int
    thread_ts: str
    user: str
    is_bot: bool
    said: _Said
    edited: str = ""


def read_slack(
    path: Path, people: People, buckets: Bucketing, unread: Unread, *, include_dms: bool = False
) -> Iterator[pa.Table]:
    """Yield `slack_messages` of an export: channels by name, in each threads in order of time.

    The messages of a thread are in order of time too.

    Raises:
        CommsError: `path` is no Slack export.
    """
    with open_export(path, unread) as members:
        root = _root(members)
        if root is None:
            raise CommsError(
                f"{path} is no Slack export: it has no channels.json and no day files "
                "(channel/2024-01-31.json)",
                hint="give the zip that Slack's export page gives, or the folder it was unpacked to",
            )
        directory = _Directory(members, root, people, unread)
        for channel, names in _channels(members, root, unread, include_dms=include_dms):
            messages = _messages(members, names, channel, directory, unread)
            yield table_of(_rows(channel, messages, directory, buckets), SLACK_MESSAGES)


def _root(members: Members) -> PurePosixPath | None:
    """Return the folder in which the export begins: some tools wrap it in another one."""
    found = [PurePosixPath(name) for name in members.names]
    lists = [path.parent for path in found if path.name in _LISTS]
    days = [path.parent.parent for path in found if _DAY_FILE.fullmatch(path.name)]
    return min(lists or days, key=lambda path: (len(path.parts), str(path)), default=None)


class _Directory:
    """The people of an export: by id, with what mentions of them become."""

    def __init__(
        self, members: Members, root: PurePosixPath, people: People, unread: Unread
    ) -> None:
        self._people = people
        users: list[Any] = []
        for name in ("users.json", "org_users.json"):
            path = (root / name).as_posix()
            found = read_json(members, path, unread) if path in members.names else None
            users += found if isinstance(found, list) else []
        if not users:
            unread.note("users.json", "missing or unreadable: people are told apart by id only")
        self._users: dict[str, tuple[str, ...]] = {}
        self._bots: set[str] = {"USLACKBOT"}
        full: list[str] = []
        for user in users:
            if not isinstance(user, dict) or not isinstance(user.get("id"), str):
                unread.note("users.json", "an entry that is no user")
                continue
            given = user.get("profile")
            if user.get("is_bot") is True:
                self._bots.add(user["id"])
            profile: dict[str, Any] = given if isinstance(given, dict) else {}
            mail = str(profile.get("email") or "")
            handles = [user.get("name"), profile.get("display_name")]
            self._users[user["id"]] = (
                mail or user["id"],
                user["id"],
                *(str(h) for h in handles if h),
            )
            full += [str(profile.get("real_name") or ""), str(user.get("real_name") or "")]
        self.names = Names(full)

    def user_id(self, user: str, *, is_bot: bool) -> str:
        """Return the id of whoever wrote a message, by their address where the export has it."""
        is_bot = is_bot or user in self._bots
        return self._people.id_of("slack", *self._users.get(user, (user,)), bot=is_bot)

    def mention(self, user: str) -> str:
        """Return what stands for a person in a text."""
        return self._people.pseudonyms.person(self._users.get(user, (user,))[0])


def _channels(
    members: Members, root: PurePosixPath, unread: Unread, *, include_dms: bool
) -> Iterator[tuple[_Channel, list[str]]]:
    known: dict[str, _Channel] = {}
    for name, direct in _LISTS.items():
        path = (root / name).as_posix()
        entries = read_json(members, path, unread) if path in members.names else []
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and isinstance(entry.get("id"), str):
                title = str(entry.get("name") or entry["id"])
                known[title] = known[entry["id"]] = _Channel(entry["id"], title, direct)
    days: dict[str, list[str]] = {}
    for member in members.names:
        file = PurePosixPath(member)
        if _DAY_FILE.fullmatch(file.name) and file.parent.parent == root != file.parent:
            days.setdefault(file.parent.name, []).append(member)
    for folder in sorted(days):
        guess = _Channel(folder, folder, bool(_DIRECT_NAME.fullmatch(folder)))
        channel = known.get(folder, guess)
        if channel.direct and not include_dms:
            unread.leave_out("direct conversations")
        else:
            yield channel, sorted(days[folder])


def _messages(
    members: Members,
    names: list[str],
    channel: _Channel,
    directory: _Directory,
    unread: Unread,
) -> dict[str, _Message]:
    """Return the messages of a channel by their `ts`, each in its newest form."""
    found: dict[str, _Message] = {}
    deleted: set[str] = set()
    for name in names:
        entries = read_json(members, name, unread)
        if entries is None:
            continue
        if not isinstance(entries, list):
            unread.note(name, "it is no list of messages")
            continue
        for place, entry in enumerate(entries):
            _take(entry, f"{name}[{place}]", channel, directory, found, deleted, unread)
    for ts in deleted:
        if found.pop(ts, None) is not None:
            unread.leave_out("deleted messages")
    return found


def _take(
    entry: Any,
    where: str,
    channel: _Channel,
    directory: _Directory,
    found: dict[str, _Message],
    deleted: set[str],
    unread: Unread,
) -> None:
    if not isinstance(entry, dict):
        unread.note(where, "it is no message")
        return
    if entry.get("subtype") == "message_changed" and isinstance(entry.get("message"), dict):
        entry = entry["message"]
    subtype = entry.get("subtype")
    kind = subtype if isinstance(subtype, str) else ""
    if kind == "message_deleted":
        deleted.add(str(entry.get("deleted_ts") or ""))
        return
    if kind in _DELETED or entry.get("hidden") is True:
        unread.leave_out("deleted messages")
        return
    if kind not in _TALK or entry.get("type") not in (None, "message"):
        unread.leave_out("housekeeping (joins, leaves, topics)")
        return
    at_us = parse_ts(entry.get("ts"))
    if at_us is None:
        unread.note(where, "it has no time that can be read")
        return
    ts = str(entry["ts"])
    thread_ts = str(entry.get("thread_ts") or ts)
    edited = entry.get("edited")
    stamp = str(edited.get("ts") or "") if isinstance(edited, dict) else ""
    message = _Message(
        ts=ts,
        at_us=at_us,
        thread_ts=thread_ts,
        user=_author(entry, channel),
        is_bot=kind == "bot_message" or (bool(entry.get("bot_id")) and not entry.get("user")),
        said=_said(entry, directory),
        edited=stamp,
    )
    other = found.get(ts)
    if other is None or other.edited <= stamp:
        found[ts] = message


def parse_ts(value: Any) -> int | None:
    """Return Slack's time, seconds with six decimals, as microseconds; None where it is none."""
    match = _TS.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if match is None or isinstance(value, bool):
        return None
    return int(match.group(1)) * 1_000_000 + int((match.group(2) or "0").ljust(6, "0"))


def _author(entry: Mapping[str, Any], channel: _Channel) -> str:
    comment = entry.get("comment")
    commented = comment.get("user") if isinstance(comment, dict) else None
    for value in (entry.get("user"), commented, entry.get("bot_id"), entry.get("username")):
        if isinstance(value, str) and value:
            return value
    return f"unknown:{channel.id}"


def _rows(
    channel: _Channel,
    messages: Mapping[str, _Message],
    directory: _Directory,
    buckets: Bucketing,
) -> list[tuple[Any, ...]]:
    """Return the rows of a channel, in order of their threads' and their own times."""
    threads: dict[str, list[_Message]] = {}
    for message in messages.values():
        threads.setdefault(message.thread_ts, []).append(message)
    bucket = buckets.of((channel.name,))
    ordered: list[tuple[int, str, list[_Message]]] = []
    for thread_ts, own in threads.items():
        kept = [m for m in own if m.said.text.strip() or m.said.files]
        if kept:
            kept.sort(key=lambda message: (message.at_us, message.ts))
            ordered.append((kept[0].at_us, thread_ts, kept))
    ordered.sort(key=lambda thread: thread[:2])
    rows: list[tuple[Any, ...]] = []
    for _, thread_ts, kept in ordered:
        root = kept[0]
        thread = _id(channel, thread_ts)
        for message in kept:
            said = message.said
            rows.append(
                (
                    _id(channel, message.ts),
                    thread,
                    channel.id,
                    bucket,
                    message.at_us,
                    directory.user_id(message.user, is_bot=message.is_bot),
                    said.text,
                    None if message is root else _id(channel, root.ts),
                    len(kept) - 1 if message is root else 0,
                    bool(said.domains),
                    list(said.domains),
                    bool(said.files),
                    list(said.files),
                    said.has_code,
                )
            )
    return rows


def _id(channel: _Channel, ts: str) -> str:
    """Return an id by which its owner finds the message again in Slack: channel and time."""
    return f"{channel.id}:{ts}"


def _said(raw: dict[str, Any], directory: _Directory) -> _Said:
    text = message_text(raw, directory.mention)
    comment = raw.get("comment")
    if isinstance(comment, dict) and not text:
        text = str(comment.get("comment") or "")
    found = features_of("\n".join([text, *link_targets(raw)]))
    return _Said(
        text=redact(text, directory.names),
        domains=found.link_domains,
        files=tuple(redact(name, directory.names) for name in _files(raw)),
        has_code=found.has_code or has_preformatted(raw) or _has_snippet(raw),
    )


def _files(raw: Mapping[str, Any]) -> Iterator[str]:
    for file in _listed(raw):
        if file.get("mode") not in {"tombstone", "hidden_by_limit"}:
            yield str(file.get("name") or file.get("title") or "file")


def _has_snippet(raw: Mapping[str, Any]) -> bool:
    return any(file.get("mode") == "snippet" for file in _listed(raw))


def _listed(raw: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    files = raw.get("files")
    listed = files if isinstance(files, list) else []
    yield from (file for file in (*listed, raw.get("file")) if isinstance(file, dict))
