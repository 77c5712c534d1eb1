"""Mailboxes as other programs and services give them: Takeout, list archives, Maildir++, odd parts."""

from __future__ import annotations

import binascii
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from dnr_core.comms import ImportedFolder, import_comms, read_comms
from dnr_core.comms.importers.packed import without_packed_files

Import = Callable[[Path], tuple[ImportedFolder, list[dict[str, Any]]]]
HEAD = (
    b"From: Ann <ann@corp.example>\nTo: data@corp.example\nDate: Mon, 1 Jan 2024 10:00:00 +0000\n"
)


@pytest.fixture
def read(tmp_path: Path) -> Import:
    def run(source: Path) -> tuple[ImportedFolder, list[dict[str, Any]]]:
        folder = import_comms(mail=source, out=tmp_path / "out", key_file=tmp_path / "key")
        return folder, read_comms(folder.path).email.to_pylist()

    return run


def test_a_takeout_of_gmail(read: Import, tmp_path: Path) -> None:
    """Separators with a zone before the year, labels, CRLF, and a line "From" that is quoted."""
    box = tmp_path / "All mail Including Spam and Trash.mbox"
    box.write_bytes(
        b"From 1788902345678901234@xxx Mon Jan 01 10:00:00 +0000 2024\r\n"
        b"X-GM-THRID: 1788902345678901234\r\nX-Gmail-Labels: =?UTF-8?Q?Posteingang,Wichtig?=\r\n"
        + HEAD.replace(b"\n", b"\r\n")
        + b"Message-ID: <1@mail.example>\r\nSubject: loads\r\n\r\nthe loads are late\r\n"
        b">From here on, nothing\r\n\r\n"
        b"From 1788902345678901299@xxx Mon Jan 01 11:00:00 +0000 2024\r\n"
        + HEAD.replace(b"\n", b"\r\n").replace(b"10:00", b"11:00")
        + b"In-Reply-To: <1@mail.example>\r\nMessage-ID: <2@mail.example>\r\n"
        b"Subject: Re: loads\r\n\r\nthanks\r\n\r\n"
    )
    folder, rows = read(box)
    assert [row["body_text"] for row in rows] == [
        "the loads are late\nFrom here on, nothing",
        "thanks",
    ]
    assert len({row["thread_id"] for row in rows}) == 1
    assert folder.unread == 0


def test_an_archive_of_a_list(read: Import, tmp_path: Path) -> None:
    """Bounce addresses as senders of the separator, a body that begins lines with "From "."""
    box = tmp_path / "201701.mbox"
    box.write_bytes(
        b"From dev-return-12345-apmail-dev-archive=corp.example@list.corp.example"
        b"  Sun Jan  1 00:12:34 2017\n"
        b"Return-Path: <dev-return-12345@list.corp.example>\nX-Original-To: apmail@corp.example\n"
        + HEAD
        + b"List-Id: <dev.list.corp.example>\nSubject: [VOTE] release\n\n"
        b"From my side +1.\n\n-- \nAnn\n\n"
        b"From dev-return-12346-x@list.corp.example  Sun Jan  1 01:12:34 2017\n"
        + HEAD.replace(b"10:00", b"11:00")
        + b"Subject: Re: [VOTE] release\n\n+1 (binding)\n\n> From my side +1.\n"
    )
    _, rows = read(box)
    assert [row["body_text"] for row in rows] == ["From my side +1.", "+1 (binding)"]
    assert rows[0]["thread_id"] == rows[1]["thread_id"]


def test_subfolders_of_a_maildir(read: Import, tmp_path: Path) -> None:
    """Folders whose names begin with a dot hold mails too; other hidden folders do not."""
    for place, name in enumerate(("", ".Sent", ".Archive.2024", ".git")):
        for part in ("cur", "new", "tmp") if name != ".git" else ("objects",):
            (tmp_path / "box" / name / part).mkdir(parents=True, exist_ok=True)
        target = tmp_path / "box" / name / ("cur" if name != ".git" else "objects")
        (target / f"170{place}.M1P1.host:2,S").write_bytes(
            HEAD + f"Message-ID: <{place}@x.example>\nSubject: s{place}\n\nhello {place}\n".encode()
        )
    _, rows = read(tmp_path / "box")
    assert {row["body_text"] for row in rows} == {"hello 0", "hello 1", "hello 2"}


def part(kind: str, content: bytes, name: str = "") -> EmailMessage:
    found = EmailMessage()
    main, sub = kind.split("/")
    found.set_content(content, main, sub, filename=name or None)
    return found


def test_parts_that_no_one_reads(read: Import, tmp_path: Path) -> None:
    """Signatures, Outlook's winmail.dat, a forwarded mail and empty parts: only own words count."""
    folder = tmp_path / "mails"
    folder.mkdir()
    forwarded = EmailMessage()
    forwarded["Subject"], forwarded["From"] = "inner", "bo@corp.example"
    forwarded.set_content("words of somebody else")
    for name, kind, content, more in (
        ("signed", "application/pkcs7-signature", b"\x30\x82" * 50, "smime.p7s"),
        ("outlook", "application/ms-tnef", b"\x78\x9f\x3e\x22" * 20, "winmail.dat"),
        ("pgp", "application/pgp-signature", b"-----BEGIN PGP SIGNATURE-----", "signature.asc"),
        ("calendar", "text/calendar", b"BEGIN:VCALENDAR", "invite.ics"),
    ):
        found = EmailMessage()
        found["From"], found["Subject"] = "ann@corp.example", name
        found["Date"], found["Message-ID"] = "Mon, 1 Jan 2024 10:00:00 +0000", f"<{name}@x.example>"
        found.set_content("my own words\n")
        main, sub = kind.split("/")
        found.add_attachment(content, main, sub, filename=more)
        (folder / f"{name}.eml").write_bytes(found.as_bytes())
    nested = EmailMessage()
    nested["From"], nested["Subject"] = "ann@corp.example", "nested"
    nested["Date"], nested["Message-ID"] = "Mon, 1 Jan 2024 10:00:00 +0000", "<nested@x.example>"
    nested.set_content("my own words\n")
    nested.add_attachment(forwarded)
    (folder / "nested.eml").write_bytes(nested.as_bytes())
    (folder / "empty.eml").write_bytes(
        HEAD + b"Subject: empty\nMessage-ID: <e@x.example>\nMIME-Version: 1.0\n"
        b'Content-Type: multipart/mixed; boundary="b"\n\n--b\n\n--b\nContent-Type: text/plain\n\n\n--b--\n'
    )
    imported, rows = read(folder)
    by_subject = {row["subject"]: row for row in rows}
    assert imported.unread == 0
    assert len(rows) == 6
    for name in ("signed", "outlook", "pgp", "calendar", "nested"):
        assert by_subject[name]["body_text"] == "my own words"
    assert by_subject["empty"]["body_text"] == ""
    assert by_subject["outlook"]["has_attachment"]


def test_an_encrypted_mail_has_no_words(read: Import, tmp_path: Path) -> None:
    """What only its receiver can open is a mail without text, and no noise in the tables."""
    (tmp_path / "m.eml").write_bytes(
        HEAD + b"Subject: secret\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n"
        b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\n\n'
        b"MIIB9gYJKoZIhvcNAQcDoIIB5zCCAeMCAQAxggFjMIIBXwIBADBHMDIxCzAJBgNVBAYTAkFU\n"
    )
    _, rows = read(tmp_path / "m.eml")
    assert [(row["subject"], row["body_text"]) for row in rows] == [("secret", "")]


def test_unknown_charsets_and_uuencoded_files(read: Import, tmp_path: Path) -> None:
    """A charset that nobody knows loses its letters and not the mail; packed files are no words."""
    lines = b"".join(binascii.b2a_uu(bytes(range(45))) for _ in range(30))
    folder = tmp_path / "mails"
    folder.mkdir()
    (folder / "a.eml").write_bytes(
        HEAD
        + b"Subject: charset\nMIME-Version: 1.0\nContent-Type: text/plain; charset=x-klingon\n\n"
        b"the loads are late \xe9\xff\n"
    )
    (folder / "b.eml").write_bytes(
        HEAD.replace(b"Mon, 1 Jan 2024 10:00:00 +0000", b"Thursday, 32 Brumaire 24:99 CEST")
        + b"Subject: uu\n\nsee the file\n\nbegin 644 rows.csv\n"
        + lines
        + b"`\nend\n\nbye\n"
    )
    imported, rows = read(folder)
    by_subject = {row["subject"]: row for row in rows}
    assert by_subject["charset"]["body_text"].startswith("the loads are late")
    assert by_subject["uu"]["body_text"].split() == ["see", "the", "file", "bye"]
    assert by_subject["uu"]["attachment_names"] == ["rows.csv"]
    assert imported.incomplete == {"mails without a date": 1}


@pytest.mark.parametrize(
    "text",
    [
        "begin 644 of the story\nwe load at noon\nend\n",
        "begin 644 x.csv\n",
        "we begin 644 rows late",
        "begin 644 x.csv\nend\n",
    ],
)
def test_what_only_looks_like_a_packed_file_stays(text: str) -> None:
    """Sentences about beginnings and ends are words."""
    assert without_packed_files(text)[1] == []
    assert without_packed_files(text)[0].strip() == text.strip()


def test_a_packed_file_that_is_cut_is_no_words() -> None:
    """Where the text ends within the file, the file ends with it."""
    line = binascii.b2a_uu(bytes(range(45))).decode()
    assert without_packed_files(f"a\nbegin 644 b.bin\n{line * 3}") == ("a", ["b.bin"])
