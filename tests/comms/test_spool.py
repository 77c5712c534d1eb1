"""Room: tests. Mails wait on disk: memory holds numbers of them, and their threads are as told."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.comms.importers.spool import Mail, Spool


def mail(key: str, at_us: int | None = 0, **known: Any) -> Mail:
    return Mail(
        **{
            "key": key, "at_us": at_us, "parents": (), "base": "", "is_reply": False, "subject": "s",
            "sender": "a@b", "to": (), "cc": (), "lists": (), "files": (), "body": "words", **known,
        }
    )  # fmt: skip


def given_by(
    mails: list[Mail], folder: Path | None = None
) -> tuple[int, list[tuple[str, str, Any]]]:
    with Spool(folder) as spool:
        for each in mails:
            spool.add(each)
        twice, found = spool.in_order()
        return twice, list(found)


def test_a_mail_takes_few_bytes_of_memory(tmp_path: Path) -> None:
    """Five thousand mails of two kilobytes each: under 130 bytes a mail stay in memory."""
    draw = random.Random(1)
    body = "".join(chr(draw.randrange(97, 123)) for _ in range(2000))
    with Spool(tmp_path) as spool:
        tracemalloc.start()
        try:
            for n in range(5_000):
                parents = (f"<{n - 1}@a.example>", f"<{n - n % 9}@a.example>")
                spool.add(mail(f"<{n}@a.example>", n, parents=parents, body=f"{n}{body}"))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held / 5_000 < 130
        assert not list(tmp_path.iterdir())
        assert sum(1 for _ in spool.in_order()[1]) == 5_000


def test_what_a_mail_says_comes_back_whole() -> None:
    """Every field, also lone surrogates and no time, comes back as it was given."""
    odd = mail(
        "\ud800<a>", None, subject="\udfff\x00\u202e", to=("x@y", "z"), files=("f",), body="数\n'\""
    )
    _, [(key, thread, known)] = given_by([odd])
    assert (key, thread) == (odd.key, odd.key)
    assert known == [None, odd.subject, "a@b", ["x@y", "z"], [], [], ["f"], odd.body]


def _slow_threads(mails: list[Mail]) -> dict[str, str]:
    """The rule as it is told: mails that name one another, and replies by subject, hang together."""
    ordered = sorted(mails, key=lambda m: (m.at_us is None, m.at_us or 0, m.key))
    groups = [{m.key} for m in mails]

    def join(a: str, b: str) -> None:
        touched = [g for g in groups if a in g or b in g]
        groups[:] = [g for g in groups if g not in touched] + [{a, b}.union(*touched)]

    last: dict[str, str] = {}
    for each in ordered:
        for parent in each.parents:
            join(each.key, parent)
        if each.is_reply and each.base in last and not each.parents:
            join(each.key, last[each.base])
        if each.base:
            last[each.base] = each.key
    return {
        m.key: next(o.key for o in ordered if any({o.key, m.key} <= g for g in groups))
        for m in mails
    }


NAMES = st.sampled_from([f"k{n}" for n in range(12)])
MAILS = st.lists(
    st.builds(
        mail,
        NAMES,
        st.none() | st.integers(0, 5),
        parents=st.lists(NAMES, max_size=2, unique=True).map(tuple),
        base=st.sampled_from(["", "x", "y"]),
        is_reply=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda m: m.key,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(MAILS)
def test_threads_are_those_of_the_rule(mails: list[Mail]) -> None:
    """Any mails, in any order: threads, oldest mail and order in time as by the slow rule."""
    twice, found = given_by(mails)
    assert twice == 0
    assert {key: thread for key, thread, _ in found} == _slow_threads(mails)
    times = [(known[0] is None, known[0] or 0, key) for key, _, known in found]
    assert times == sorted(times)


@pytest.mark.parametrize("order", [1, -1])
def test_mails_that_share_an_id_are_told_apart_by_what_they_say(order: int) -> None:
    """The same mail thrice counts once; others with its id are kept under ids of their own."""
    same = [mail("k", 1)] * 3
    others = [mail("k", 2, body="other"), mail("k", 3, body="third"), mail("k", 2, body="other")]
    twice, found = given_by([*same, *others][::order])
    assert (twice, len(found)) == (3, 3)
    assert len({key for key, _, _ in found}) == 3
    assert sum(key == "k" for key, _, _ in found) == 1
    assert sorted(known[-1] for _, _, known in found) == ["other", "third", "words"]
