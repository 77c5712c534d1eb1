"""Mailboxes: every kind of box, charset, quotation and thread; what is broken is listed."""

from __future__ import annotations

import gzip
import mailbox
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from dnr_core.comms import ImportedFolder, import_comms, read_comms
from dnr_core.comms.importers.quotes import html_text, own_words
from dnr_core.errors import CommsError

Import = Callable[[Path], tuple[ImportedFolder, list[dict[str, Any]]]]


@pytest.fixture
def read(tmp_path: Path) -> Import:
    def run(source: Path) -> tuple[ImportedFolder, list[dict[str, Any]]]:
        folder = import_comms(mail=source, out=tmp_path / "out", key_file=tmp_path / "key")
        return folder, read_comms(folder.path).email.to_pylist()

    return run


def mail(
    subject: str = "late loads",
    body: str = "fact_sale is late",
    *,
    number: int = 1,
    answers: int | None = None,
    **headers: str,
) -> EmailMessage:
    found = EmailMessage(policy=SMTP)
    found["From"] = headers.pop("sender", "Ann Lee <ann@corp.example>")
    found["To"] = headers.pop("to", "data-eng@corp.example, bo@corp.example")
    found["Date"] = headers.pop("date", f"Mon, 01 Jan 2024 1{number}:00:00 -0800")
    found["Subject"] = subject
    found["Message-ID"] = f"<{number}@corp.example>"
    if answers is not None:
        found["In-Reply-To"] = f"<{answers}@corp.example>"
    for name, value in headers.items():
        found[name.replace("_", "-")] = value
    found.set_content(body)
    return found


def eml(folder: Path, *mails: EmailMessage | bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for place, found in enumerate(mails):
        content = found if isinstance(found, bytes) else found.as_bytes()
        (folder / f"{place:03d}.eml").write_bytes(content)
    return folder


def test_mbox_maildir_and_eml_say_the_same(read: Import, tmp_path: Path) -> None:
    """The same mails in an mbox, a Maildir and a folder of files give the same rows."""
    mails = [mail(number=1), mail("Re: late loads", "same here", number=2, answers=1)]
    box = mailbox.mbox(tmp_path / "box")
    maildir = mailbox.Maildir(tmp_path / "maildir")
    for found in mails:
        box.add(found)
        maildir.add(found)
    box.close()
    sources = (tmp_path / "box", tmp_path / "maildir", eml(tmp_path / "eml", *mails))
    results = [read(source)[1] for source in sources]
    assert results[0] == results[1] == results[2]
    root, reply = results[0]
    assert root["thread_id"] == reply["thread_id"]
    assert root["body_text"] == "fact_sale is late"
    assert root["list_cat"] == "platform"
    assert root["ts"].isoformat() == "2024-01-01T19:00:00+00:00"
    assert len(root["to_ids"]) == 2


def test_threads_by_references_and_by_subject(read: Import, tmp_path: Path) -> None:
    """References join also over a mail that is missing; subjects join replies that lack them."""
    source = eml(
        tmp_path / "m",
        mail("a", number=1),
        mail("AW: a", number=3, References="<1@corp.example> <2@corp.example>"),
        mail("other", number=4, References="<2@corp.example>"),
        mail("b", number=5),
        mail("Re: Fwd: b", number=6),
        mail("b", number=7),
    )
    rows = read(source)[1]
    threads = [row["thread_id"] for row in rows]
    assert threads[0] == threads[1] == threads[2]
    assert threads[3] == threads[4]
    assert len({threads[0], threads[3], threads[5]}) == 3


def test_nothing_personal_is_left(read: Import, tmp_path: Path) -> None:
    """Addresses, names of the headers, and ids of mails are nowhere in the output."""
    source = eml(
        tmp_path / "m",
        mail(
            "for Ann Lee", "Ann Lee, call +49 30 901820 or write bo@corp.example", Cc="cy@x.example"
        ),
    )
    folder, (row,) = read(source)
    assert row["body_text"] == "[name], call [phone] or write [address]"
    for path in folder.path.iterdir():
        content = path.read_bytes()
        for secret in (b"corp.example", b"Ann", b"cy@"):
            assert secret not in content


def test_charsets_and_encodings(read: Import, tmp_path: Path) -> None:
    """Latin, Cyrillic, Korean, a charset that lies and one that does not exist are all text."""

    def raw(charset: str, content: bytes, subject: str = "x", number: int = 1) -> bytes:
        head = (
            f"From: a@x.example\r\nDate: Mon, 01 Jan 2024 1{number}:00:00 +0000\r\n"
            f"Subject: {subject}\r\nContent-Type: text/plain; charset={charset}\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n"
        )
        return head.encode() + content

    source = eml(
        tmp_path / "m",
        raw("iso-8859-1", "später".encode("latin-1"), "=?iso-8859-1?q?sp=E4ter?=", 1),
        raw("koi8-r", "данные".encode("koi8-r"), "=?koi8-r?B?xMHOztnF?=", 2),
        raw("ks_c_5601-1987", "늦다".encode("euc-kr"), "x", 3),
        raw("us-ascii", "naïve café".encode(), "x", 4),
        raw("no-such-charset", b"caf\xe9", "=?no-such?q?x?=", 5),
        raw('"utf-8', "数据".encode(), "x", 6),
    )
    folder, rows = read(source)
    bodies = [row["body_text"] for row in rows]
    assert bodies == ["später", "данные", "늦다", "naïve café", "café", "数据"]
    assert [row["subject"] for row in rows][:2] == ["später", "данные"]
    assert folder.unread == 0


def test_parts_attachments_and_html(read: Import, tmp_path: Path) -> None:
    """Plain text wins over HTML, HTML stands in alone, attachments are named and not read."""
    both = mail(number=1, body="the plain text")
    both.add_alternative("<p>the <b>html</b></p>", subtype="html")
    both.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="größe.csv")
    html = mail(number=2)
    html.set_content(
        "<style>p{}</style><p>late&nbsp;loads</p><script>x()</script><ul><li>one</li></ul>"
        "<blockquote>quoted</blockquote>",
        subtype="html",
    )
    forwarded = mail(number=3, body="see below")
    forwarded.add_attachment(mail(number=9, body="inner secret"))
    _, rows = read(eml(tmp_path / "m", both, html, forwarded))
    assert rows[0]["body_text"] == "the plain text"
    assert rows[0]["attachment_names"] == ["größe.csv"]
    assert rows[1]["body_text"] == "late loads\n\none"
    assert rows[2]["body_text"] == "see below"
    assert rows[2]["attachment_names"] == ["attachment"]


def test_mails_that_are_there_twice_count_once(read: Import, tmp_path: Path) -> None:
    """A copy is left out; another mail that claims the same id is not."""
    folder, rows = read(eml(tmp_path / "m", mail(), mail(), mail(body="something else")))
    assert len(rows) == 2
    assert folder.left_out == {"mails that are there twice": 1}


def test_broken_mails_are_listed_and_the_rest_is_read(read: Import, tmp_path: Path) -> None:
    """Empty files, files without headers, and undated mails: each is counted in its place."""
    undated = mail(number=2)
    del undated["Date"]
    odd = b"From: =?utf-8?q?broken <a@x.example\r\nTo: <<>>, \r\nDate: Mon, 32 Foo 2024\r\n\r\nhi"
    source = eml(tmp_path / "m", mail(), b"", b"no headers here\n", undated, odd)
    (source / "old.eml").write_bytes(
        b"From  : Ann <a@x.example>\r\nDate   : Fri, 21 Nov 1997 09:55:06 -0600\r\n\r\nhello\r\n"
    )
    folder, rows = read(source)
    assert rows.pop(0)["body_text"] == "hello"
    assert len(rows) == 3
    assert folder.unread == 2
    assert folder.incomplete == {"mails without a date": 2}
    assert [row["ts"] is None for row in rows] == [False, True, True]


def test_dates_of_other_headers_stand_in(read: Import, tmp_path: Path) -> None:
    """When a mail was received, or what the mbox says, is its time where it has no date."""
    received = mail(number=1)
    del received["Date"]
    received["Received"] = "from a by b; Tue, 02 Jan 2024 03:04:05 +0000 (UTC)"
    bare = mail(number=2)
    del bare["Date"]
    box = tmp_path / "box"
    box.write_bytes(
        b"From a@x.example Mon Jan  1 10:00:00 2024\n"
        + received.as_bytes().replace(b"\r\n", b"\n")
        + b"\nFrom a@x.example Wed Jan  3 10:00:00 2024\n"
        + bare.as_bytes().replace(b"\r\n", b"\n")
    )
    rows = read(box)[1]
    assert [row["ts"].day for row in rows] == [2, 3]


def test_archives_of_lists_are_read(read: Import, tmp_path: Path) -> None:
    """A packed mbox with spoken addresses, and files without endings, are mails as well."""
    folder = tmp_path / "archive"
    (folder / "inbox").mkdir(parents=True)
    text = (
        "From ann at corp.example  Mon Jan  1 10:00:00 2024\nFrom: ann at corp.example (Ann Lee)\n"
        "Date: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: [data] late\nMessage-ID: <a@x.example>\n\n"
        "From here on it is late.\n\nFrom the start, too.\n>From quoted\n\n"
        "From bo at corp.example  Mon Jan  1 11:00:00 2024\nFrom: bo at corp.example (Bo)\n"
        "Date: Mon, 1 Jan 2024 11:00:00 +0000\nSubject: Re: [data] late\n\nok\n"
    )
    with gzip.open(folder / "2024-January.txt.gz", "wt") as handle:
        handle.write(text)
    (folder / "inbox" / "7.").write_bytes(mail(number=3).as_bytes())
    (folder / "notes.txt").write_text("not a mail: at all\n")
    imported, rows = read(folder)
    assert len(rows) == 3
    assert imported.unread == 0
    assert rows[0]["body_text"] == "From here on it is late.\n\nFrom the start, too.\nFrom quoted"
    assert rows[0]["from_id"] != rows[1]["from_id"]
    assert rows[0]["thread_id"] == rows[1]["thread_id"]


def test_a_cut_archive_is_read_as_far_as_it_goes(read: Import, tmp_path: Path) -> None:
    """Of a gzip file that is cut, the whole mails are kept and the rest is listed."""
    whole = gzip.compress(
        b"".join(
            b"From a Mon Jan  1 10:00:00 2024\nFrom: a@x.example\n"
            b"Date: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: s%d\n\n%s\n\n"
            % (n, bytes(range(97, 120)) * (n + 1))
            for n in range(300)
        )
    )
    (tmp_path / "box.gz").write_bytes(whole[: len(whole) // 2])
    folder, rows = read(tmp_path / "box.gz")
    assert 0 < len(rows) < 300
    assert folder.unread == 1


def test_what_is_no_mailbox_is_refused(read: Import, tmp_path: Path) -> None:
    """A path to nothing, an empty folder and a file of noise each get a clear error."""
    with pytest.raises(CommsError, match="there is no mailbox"):
        read(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommsError, match="holds no mail"):
        read(tmp_path / "empty")
    (tmp_path / "noise.eml").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(CommsError, match="nothing in"):
        read(tmp_path / "noise.eml")


QUOTES = {
    "attribution above": "Hello\n\nOn Mon, Apr 2, 2012 at 6:26 PM, Megan <m@x.example> wrote:\n\n> Hi\n",
    "bottom posting": "On 04/02/2012 06:26 PM, Megan One wrote:\n> Hi\n> there\nHello",
    "over two lines": 'Hello\n02.04.2012 14:20 пользователь "b@x.example" <\nb@x.example> написал:\n\n> Hi',
    "no marks": "Hello\n\nOn Tuesday, 3 April 2012, bob wrote:\n\nHi\nthere",
    "original message": "Hello\n\n-----Original Message-----\nFrom: b\nSent: now\n\nHi",
    "header block": "Hello\n\nFrom: b [mailto:b@x.example]\nSent: March-09-12 4:22 PM\nTo: D\nSubject: x\n\nHi",
    "german header block": "Hello\n\nVon: b\nGesendet: Montag\nAn: D\nBetreff: x\n\nHi",
    "rule above headers": "Hello\n\n________________________________\nFrom: b\nDate: x\nTo: D\nSubject: y\n\nHi",
    "quoted headers": "\nHello\n\n> Subject: Test\n> From: b@x.example\n> Date: Mon\n> \n> Hi\n",
    "signature": "Hello\n\n-- \nxxx\nSent with Sparrow (http://s.example/?sig)\n\n\nOn Tuesday, x wrote:\n\n> Hi",
    "phone": "Hello\n\nSent from my iPhone\n\nOn Apr 3, 2012, at 4:19 PM, bob <b@x.example> wrote:\n\n> Hi",
    "german": "Hello\n\nAm 02.04.2012 um 18:26 schrieb Megan:\n> Hi",
    "french": "Hello\n\nLe lun. 2 avr. 2012 à 18:26, Megan <m@x.example> a écrit :\n> Hi",
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTES)
def test_quotations_are_cut(name: str) -> None:
    """However a mail program quotes, what is left is what the writer says."""
    assert own_words(QUOTES[name]) == "Hello"


@pytest.mark.parametrize(
    "text",
    [
        "These tables are late:\n- fact_sale\n- fact_visit",
        "The query wrote: nothing",
        "From: the load we know\nthat it is late",
        "Two points -- one late, one gone",
        "She said:\nplease fix it",
        "a\n\n___\n\nb",
    ],
)
def test_what_only_looks_like_a_quotation_stays(text: str) -> None:
    """Lists, colons, rules and words of headers in a text are kept."""
    assert own_words(text) == text


def test_answers_between_quotations_are_kept() -> None:
    """Who answers point by point is heard in every point."""
    body = "On Mon, 1 Jan 2024, Bo <b@x.example> wrote:\n> one?\nyes\n> two?\nno\n"
    assert own_words(body) == "yes\nno"


def test_html_quotations_are_cut() -> None:
    """Gmail's, Outlook's and Apple's marks of quoted HTML hide what they quote, at any depth."""
    html = (
        "<div>Hello<br></div><div class='gmail_quote'>On x wrote<div>a<div>b</div></div></div>"
        "<blockquote type='cite'>q<blockquote>r</blockquote>s</blockquote><p>Bye</p>"
    )
    assert html_text(html) == "Hello\n\nBye"


def test_pythons_own_awkward_mails(read: Import, tmp_path: Path) -> None:
    """All mails of Python's test suite are read or listed, and none ends the import."""
    data = pytest.importorskip("test.test_email")
    samples = sorted((Path(data.__file__).parent / "data").glob("msg_*.txt"))
    if not samples:
        pytest.skip("this Python comes without its test data")
    source = eml(tmp_path / "m", *(path.read_bytes() for path in samples))
    folder, rows = read(source)
    twice = folder.left_out.get("mails that are there twice", 0)
    assert len(rows) + folder.unread + twice == len(samples)
    assert folder.unread <= 2
    assert sum(bool(row["body_text"]) for row in rows) > len(rows) / 2
