"""Slack exports: threads, edits, deletions, blocks, people, and archives that mean harm."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dnr_core.comms import ImportedFolder, import_comms, read_comms
from dnr_core.errors import CommsError, ConfigError
from dnr_core.model import CommsTables

USERS = [
    {
        "id": "U1",
        "name": "ann",
        "profile": {"email": "Ann.Lee@corp.example", "real_name": "Ann Lee", "display_name": "al"},
    },
    {"id": "U2", "name": "bo", "profile": {"real_name": "Bo Karl"}},
    {"id": "U9", "name": "ci", "is_bot": True, "profile": {}},
]
CHANNELS = [{"id": "C1", "name": "data-eng"}, {"id": "C2", "name": "bi-dashboards"}]


def message(ts: str, text: str = "hello", user: str = "U1", **more: Any) -> dict[str, Any]:
    return {"type": "message", "ts": ts, "text": text, "user": user, **more}


Files = dict[str, Any]
Import = Callable[..., tuple[ImportedFolder, CommsTables]]


@pytest.fixture
def slack(tmp_path: Path) -> Import:
    """Import an export given as files; `zipped` packs it first."""

    def run(
        files: Files, *, zipped: bool = True, **options: Any
    ) -> tuple[ImportedFolder, CommsTables]:
        files = {"users.json": USERS, "channels.json": CHANNELS, **files}
        source = tmp_path / ("export.zip" if zipped else "export")
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in files.items()
            if value is not None
        }
        if zipped:
            with zipfile.ZipFile(source, "w") as archive:
                for name, text in texts.items():
                    archive.writestr(name, text)
        else:
            for name, text in texts.items():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_text(text)
        before = sorted(path.name for path in tmp_path.iterdir())
        folder = import_comms(
            slack=source, out=tmp_path / "out", key_file=tmp_path / "key", **options
        )
        assert {*before, "out", "key"} == {path.name for path in tmp_path.iterdir()}
        return folder, read_comms(folder.path)

    return run


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("prefix", ["", "my export/"])
def test_threads_are_put_together(slack: Import, zipped: bool, prefix: str) -> None:
    """Replies of later days join their root, from a zip or a folder, also when it is wrapped."""
    files = {
        "users.json": None,
        "channels.json": None,
        f"{prefix}users.json": USERS,
        f"{prefix}channels.json": CHANNELS,
        f"{prefix}data-eng/2024-01-01.json": [
            message("1704103200.000100", "fact_sale is late", thread_ts="1704103200.000100"),
            message("1704103300.000200", "alone", user="U2"),
        ],
        f"{prefix}data-eng/2024-01-02.json": [
            message("1704189600.000300", "still", user="U2", thread_ts="1704103200.000100"),
        ],
        f"{prefix}bi-dashboards/2024-01-02.json": [message("1704189601.000300", "the board")],
    }
    folder, tables = slack(files, zipped=zipped)
    rows = tables.slack.to_pylist()
    assert [row["text"] for row in rows] == ["the board", "fact_sale is late", "still", "alone"]
    board, root, reply, alone = rows
    assert reply["thread_id"] == root["thread_id"] != alone["thread_id"]
    assert reply["reply_to"] == root["message_id"] == "C1:1704103200.000100"
    assert (root["reply_count"], alone["reply_count"]) == (1, 0)
    assert (root["channel_cat"], board["channel_cat"]) == ("platform", "analytics")
    assert root["ts"].isoformat() == "2024-01-01T10:00:00.000100+00:00"
    assert folder.items["slack"] == 3
    assert not tables.synthetic


def test_edits_deletions_and_housekeeping(slack: Import) -> None:
    """The newest text counts; deleted ones go; a thread whose root is gone keeps its replies."""
    day = [
        message("1704103200.000100", "before", edited={"ts": "1"}),
        message("1704103200.000100", "after", edited={"ts": "2"}),
        {"type": "message", "subtype": "message_changed", "ts": "1704103900.000100",
         "message": message("1704103201.000100", "changed", edited={"ts": "9"})},
        message("1704103201.000100", "unchanged"),
        message("1704103202.000100", "oops"),
        {"type": "message", "subtype": "message_deleted", "ts": "1704104000.000100",
         "deleted_ts": "1704103202.000100"},
        message("1704103203.000100", "This message was deleted.", user="USLACKBOT",
                subtype="tombstone", thread_ts="1704103203.000100"),
        message("1704103204.000100", "reply one", thread_ts="1704103203.000100"),
        message("1704103205.000100", "reply two", user="U2", thread_ts="1704103203.000100"),
        message("1704103206.000100", "to all", subtype="thread_broadcast", thread_ts="1704103203.000100"),
        message("1704103206.000100", "to all", thread_ts="1704103203.000100"),
        message("1704103207.000100", "<@U1> has joined", subtype="channel_join"),
        message("1704103208.000100", "left", subtype="channel_leave"),
    ]  # fmt: skip
    folder, tables = slack({"data-eng/2024-01-01.json": day})
    rows = tables.slack.to_pylist()
    assert [row["text"] for row in rows] == ["after", "changed", "reply one", "reply two", "to all"]
    replies = rows[2:]
    assert [row["reply_to"] for row in replies] == [None, *[replies[0]["message_id"]] * 2]
    assert replies[0]["reply_count"] == 2
    assert folder.left_out == {"deleted messages": 2, "housekeeping (joins, leaves, topics)": 2}
    assert folder.unread == 0


def test_markup_blocks_bots_and_files(slack: Import) -> None:
    """Mentions become pseudonyms, links keep their domain, blocks and attachments are read."""
    blocks = [
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": [
                    {"type": "text", "text": "see "},
                    {"type": "link", "url": "https://wiki.corp.example/a?token=1", "text": "the wiki"},
                    {"type": "user", "user_id": "U2"},
                ]},
                {"type": "rich_text_list", "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]}]},
                {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1"}]},
            ],
        }
    ]  # fmt: skip
    day = [
        message("1704103200.000100", "<@U1> &lt;see&gt; <https://a.example/x|this> <#C2|bi> <!here>"),
        message("1704103201.000100", "", blocks=blocks),
        {"type": "message", "subtype": "bot_message", "ts": "1704103202.000100", "bot_id": "B7",
         "text": "", "attachments": [{"title": "test failed", "text": "fact_sale unique", "fallback": "no"}]},
        message("1704103203.000100", "", files=[{"name": "rows.csv", "mode": "hosted"},
                                                 {"id": "F", "mode": "tombstone"}]),
        message("1704103204.000100", "q", files=[{"name": "q.sql", "mode": "snippet"}]),
        message("1704103205.000100", ""),
    ]  # fmt: skip
    _, tables = slack({"data-eng/2024-01-01.json": day})
    text, rich, bot, file, snippet = tables.slack.to_pylist()
    ann = text["user_id"]
    assert text["text"] == f"@{ann} <see> this (https://a.example/x) #bi @here"
    assert text["link_domains"] == ["a.example"]
    assert rich["text"].startswith("see the wiki (https://wiki.corp.example/a)@u")
    assert "token" not in rich["text"]
    assert "- one" in rich["text"]
    assert rich["link_domains"] == ["wiki.corp.example"]
    assert rich["has_code"]
    assert bot["text"] == "test failed\nfact_sale unique"
    assert file["attachment_names"] == ["rows.csv"]
    assert snippet["has_code"]
    roles = {row["user_id"]: row["role"] for row in tables.users.to_pylist()}
    assert roles[bot["user_id"]] == "bot"
    assert roles[ann] == "other"


def test_people_are_pseudonyms_and_names_go(slack: Import, tmp_path: Path) -> None:
    """No id, handle, address or full name of the export is in the output; roles may be given."""
    roles = tmp_path / "roles.csv"
    roles.write_text("person,role\nann.lee@corp.example,exec\nU2,data_eng\n")
    day = [
        message(
            "1704103200.000100", "Ann Lee said: mail ann.lee@corp.example or call 415-555-2671"
        ),
        message("1704103201.000100", "ok", user="U2"),
        message("1704103202.000100", "ci says", user="U9"),
    ]
    folder, tables = slack({"data-eng/2024-01-01.json": day}, roles=roles)
    assert tables.slack.column("text")[0].as_py() == "[name] said: mail [address] or call [phone]"
    roles_found = [row["role"] for row in tables.users.to_pylist()]
    assert sorted(roles_found) == ["bot", "data_eng", "exec"]
    for path in folder.path.iterdir():
        content = path.read_bytes()
        for secret in (b"U1", b"Ann", b"ann.lee", b"corp.example"):
            assert secret not in content, path.name


def test_direct_messages_only_when_asked(slack: Import) -> None:
    """Direct conversations, listed or only named like ones, are left out unless asked for."""
    files = {
        "dms.json": [{"id": "D024BE91L", "members": ["U1", "U2"]}],
        "mpims.json": [{"id": "G9", "name": "mpdm-ann--bo-1"}],
        "D024BE91L/2024-01-01.json": [message("1704103200.000100", "private")],
        "mpdm-ann--bo-1/2024-01-01.json": [message("1704103201.000100", "also private")],
        "D0UNLISTED/2024-01-01.json": [message("1704103202.000100", "hidden")],
        "data-eng/2024-01-01.json": [message("1704103203.000100", "public")],
    }
    folder, tables = slack(files)
    assert tables.slack.column("text").to_pylist() == ["public"]
    assert folder.left_out == {"direct conversations": 3}
    _, everything = slack(files, include_dms=True)
    assert everything.slack.num_rows == 4


def test_a_given_map_of_channels_wins(slack: Import) -> None:
    """Whole names and words can be mapped to buckets; a bucket that does not exist is refused."""
    day = [message("1704103200.000100")]
    files = {"data-eng/2024-01-01.json": day, "squad-falcon/2024-01-01.json": day}
    _, tables = slack(files, channels={"#data-eng": "domain", "falcon": "analytics"})
    found = {row["channel_id"]: row["channel_cat"] for row in tables.slack.to_pylist()}
    assert found == {"C1": "domain", "squad-falcon": "analytics"}
    with pytest.raises(ConfigError, match="no bucket"):
        slack(files, channels={"data-eng": "kitchen"})


def test_malformed_parts_are_listed_and_the_rest_is_read(slack: Import) -> None:
    """Broken JSON, wrong shapes and times that are none are counted and named, nothing else lost."""
    files = {
        "users.json": "[{",
        "data-eng/2024-01-01.json": [message("1704103200.000100", "good"), 7, None,
                                     message("soon"), message("1704103201.000100", "good too", user=None)],
        "data-eng/2024-01-02.json": "not json",
        "data-eng/2024-01-03.json": {"messages": []},
        "data-eng/2024-01-04.json": "[" * 100_000,
    }  # fmt: skip
    folder, tables = slack(files)
    assert tables.slack.column("text").to_pylist() == ["good", "good too"]
    assert folder.unread == len(tables.unread) == 8
    where = {entry["where"] for entry in tables.unread}
    assert "data-eng/2024-01-02.json" in where
    assert "data-eng/2024-01-01.json[3]" in where


def test_any_script_and_broken_characters_survive(slack: Import) -> None:
    """Text in any script is kept; lone surrogates, controls and direction marks cannot break files."""
    said = ["数据晚了 fact_sale", "البيانات متأخرة", "emoji 🚀 ok", "a\ud800b\u0000c\u202ed"]
    day = [message(f"170410320{n}.000100", text) for n, text in enumerate(said)]
    _, tables = slack({"data-eng/2024-01-01.json": day})
    assert tables.slack.column("text").to_pylist() == [*said[:3], "a\ufffdbcd"]


def test_huge_messages_are_cut(slack: Import) -> None:
    """A megabyte in one message is read in reasonable time, and cut."""
    day = [message("1704103200.000100", "a@b.example 4111 1111 " * 50_000)]
    _, tables = slack({"data-eng/2024-01-01.json": day})
    assert len(tables.slack.column("text")[0].as_py()) <= 20_000


def test_archives_that_mean_harm(tmp_path: Path) -> None:
    """Paths that lead out, links, and members that swell are not read, and nothing is written."""
    source = tmp_path / "evil.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("channels.json", json.dumps(CHANNELS))
        archive.writestr("data-eng/2024-01-01.json", json.dumps([message("1704103200.000100")]))
        archive.writestr("../../outside/2024-01-01.json", "[]")
        archive.writestr("/etc/2024-01-01.json", "[]")
        link = zipfile.ZipInfo("data-eng/2024-01-02.json")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("data-eng/2024-01-03.json", b" " * (64 * 1024 * 1024))
    folder = import_comms(slack=source, out=tmp_path / "out", key_file=tmp_path / "key")
    assert folder.items["slack"] == 1
    tables = read_comms(folder.path)
    assert {entry["why"].split(" ")[0] for entry in tables.unread} >= {"its", "it", "unpacks"}
    assert folder.unread == 5  # users.json is missing, too
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.zip", "key", "out"]


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    """A day file that is a symbolic link to elsewhere is left unread."""
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps([message("1704103200.000100", "secret")]))
    export = tmp_path / "export"
    (export / "data-eng").mkdir(parents=True)
    (export / "channels.json").write_text(json.dumps(CHANNELS))
    (export / "data-eng" / "2024-01-01.json").symlink_to(secret)
    (export / "data-eng" / "2024-01-02.json").write_text(json.dumps([message("1704189600.000100")]))
    folder = import_comms(slack=export, out=tmp_path / "out", key_file=tmp_path / "key")
    assert read_comms(folder.path).slack.column("text").to_pylist() == ["hello"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"hello"])
def test_what_is_no_export_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no zip, an empty folder, and a path to nothing each get a clear error."""
    source = tmp_path / "export.zip"
    source.write_bytes(content)
    with pytest.raises(CommsError, match="neither a folder nor a zip"):
        import_comms(slack=source, out=tmp_path / "out", key_file=tmp_path / "key")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommsError, match="is no Slack export"):
        import_comms(slack=tmp_path / "empty", out=tmp_path / "out", key_file=tmp_path / "key")
    with pytest.raises(CommsError, match="there is no"):
        import_comms(slack=tmp_path / "none", out=tmp_path / "out", key_file=tmp_path / "key")
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(ConfigError, match="nothing to import"):
        import_comms(out=tmp_path / "out")


def test_a_truncated_member_is_listed(tmp_path: Path) -> None:
    """A zip whose member is damaged is read as far as it is sound."""
    source = tmp_path / "export.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("channels.json", json.dumps(CHANNELS))
        archive.writestr("data-eng/2024-01-01.json", json.dumps([message("1704103200.000100")]))
        archive.writestr(
            "data-eng/2024-01-02.json", json.dumps([message("1704189600.000100", "x" * 99)])
        )
    content = source.read_bytes()
    place = content.index(b"x" * 99)
    source.write_bytes(content[:place] + b"y" * 9 + content[place + 9 :])
    folder = import_comms(slack=source, out=tmp_path / "out", key_file=tmp_path / "key")
    assert folder.items["slack"] == 1
    assert any("damaged" in entry["why"] for entry in read_comms(folder.path).unread)
