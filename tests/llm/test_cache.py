"""Replies on disk."""

from __future__ import annotations

import hashlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from attrs import evolve

from dnr_core.errors import FolderError
from dnr_core.llm import Budget, Cache, Keys, complete_all, request_key
from dnr_core.model import Reply, Request, Usage
from dnr_core.testing import Answer, ScriptedProvider

GOOD = Answer({"theme": "late", "confidence": 0.5})
KEY = b"k" * 32


def run(requests: Any, provider: Any, cache: Cache) -> Any:
    return complete_all(requests, provider, budget=Budget(1.0, provider.price), cache=cache)


def test_a_reply_comes_back_as_it_went_in(tmp_path: Path) -> None:
    """Raw text, usage and model, also after the file was closed."""
    reply = Reply('{"a": "\\u00e9 é\u0000"}', Usage(12, 3), "m-1")
    with Cache.open(tmp_path) as cache:
        assert cache.get(KEY) is None
        cache.put(KEY, reply)
    with Cache.open(tmp_path) as cache:
        assert cache.get(KEY) == reply
        cache.put(KEY, evolve(reply, usage=None))
        assert cache.get(KEY) == evolve(reply, usage=None)
        assert len(cache) == 1
    assert (tmp_path / "replies.sqlite").exists()


def test_the_key_is_the_request_and_the_model(requests_for: Any) -> None:
    """Every part of a request changes the key, the order of the schema's keys does not."""
    [request] = requests_for(["a"])
    others = [
        evolve(request, purpose="entities"),
        evolve(request, instructions="Other."),
        evolve(request, item="b"),
        evolve(request, max_tokens=65),
        evolve(request, temperature=0.5),
        evolve(request, schema={**request.schema, "required": ["theme"]}),
    ]
    keys = {request_key(each, "m") for each in [request, *others]} | {request_key(request, "n")}
    assert len(keys) == 8
    turned = evolve(request, schema=dict(reversed(request.schema.items())))
    assert request_key(turned, "m") == request_key(request, "m")
    assert request_key(evolve(request, item="\ud800"), "m")


def test_nothing_is_asked_twice(tmp_path: Path, requests_for: Any) -> None:
    """Neither in a second run nor for equal requests of one run; the second costs nothing."""
    requests = requests_for(["a", "b", "a", "c", "a"])
    provider = ScriptedProvider(then=GOOD)
    with Cache.open(tmp_path) as cache:
        first = run(requests, provider, cache)
        second = run(requests, provider, cache)
    assert len(provider.calls) == 3
    assert [o.cached for o in first.outcomes] == [False, False, True, False, True]
    assert [o.cost_usd > 0 for o in first.outcomes] == [True, True, False, True, False]
    assert second.cached == 5
    assert second.spent_usd == 0
    assert [o.value for o in second.outcomes] == [o.value for o in first.outcomes]
    assert first.spent_usd == pytest.approx(provider.billed_usd)


def test_only_good_answers_are_kept(tmp_path: Path, requests_for: Any) -> None:
    """Refusals, cut-off answers, parse errors and failures are asked again by the next run."""
    from dnr_core.testing import Fault

    bad = [Answer("", finish="refusal"), Answer("{", finish="length"), Fault.rejected()]
    script = [*bad, Answer("no"), Answer("no")]
    requests = requests_for(["a", "b", "c", "d"])
    with Cache.open(tmp_path) as cache:
        provider = ScriptedProvider(script)
        first = complete_all(
            requests, provider, budget=Budget(1.0, provider.price), cache=cache, concurrency=1
        )
        assert [o.status for o in first.outcomes] == ["refused", "refused", "failed", "parse_error"]
        assert len(cache) == 0
        again = run(requests, ScriptedProvider(then=GOOD), cache)
    assert again.count("ok") == 4
    assert again.cached == 0


def test_a_cached_reply_is_validated_again(tmp_path: Path, requests_for: Any) -> None:
    """What does not fit the schema is asked anew, even with a right checksum."""
    [request] = requests_for(["a"])
    provider = ScriptedProvider(then=GOOD)
    with Cache.open(tmp_path) as cache:
        key = request_key(request, provider.model)
        cache.put(key, Reply('{"theme": "owned", "confidence": 1}', Usage(1, 1), "m"))
        done = run([request], provider, cache)
        assert done.outcomes[0].value == GOOD.value
        assert not done.outcomes[0].cached
        assert run([request], provider, cache).outcomes[0].cached


def test_a_reply_that_was_tampered_with_is_not_believed(tmp_path: Path, requests_for: Any) -> None:
    """A valid but changed row fails its checksum and is asked anew."""
    [request] = requests_for(["a"])
    with Cache.open(tmp_path) as cache:
        run([request], ScriptedProvider(then=GOOD), cache)
    base = sqlite3.connect(tmp_path / "replies.sqlite")
    base.execute("""UPDATE replies SET raw = '{"theme": "wrong", "confidence": 1}'""")
    base.commit()
    base.close()
    with Cache.open(tmp_path) as cache:
        done = run([request], ScriptedProvider(then=GOOD), cache)
    assert done.outcomes[0].value == GOOD.value
    assert done.calls == 1


def test_damaged_text_is_asked_anew_and_never_quoted(tmp_path: Path, requests_for: Any) -> None:
    """A reply that is no text any more is no error of the whole cache: those beside it are used."""
    requests = requests_for(["a", "b", "c"])
    with Cache.open(tmp_path) as cache:
        run(requests, ScriptedProvider(then=GOOD), cache)
    base = sqlite3.connect(tmp_path / "replies.sqlite")
    key = request_key(requests[1], "scripted")
    base.execute("UPDATE replies SET raw = CAST(x'ff' || raw AS TEXT) WHERE key = ?", (key,))
    base.commit()
    base.close()
    with Cache.open(tmp_path) as cache:
        done = run(requests, ScriptedProvider(then=GOOD), cache)
    assert [o.cached for o in done.outcomes] == [True, False, True]
    assert done.count("ok") == 3


def test_a_broken_page_hides_its_own_replies_alone(tmp_path: Path) -> None:
    """Pages that break while the file is open: replies on others are still found, none is wrong."""
    keys = [bytes([n]) * 32 for n in range(60)]
    reply = Reply("x" * 60_000, None, "m")
    with Cache.open(tmp_path) as cache:
        for key in keys:
            cache.put(key, reply)
    file = tmp_path / "replies.sqlite"
    with Cache.open(tmp_path) as cache:
        # Some of these places lie in what SQLite has in memory, and are not read again.
        with file.open("r+b") as handle:
            for part in range(1, 8):
                handle.seek(file.stat().st_size * part // 8)
                handle.write(b"\xaa" * 8192)
        found = cache.get_many(keys)
    assert 60 - 14 <= len(found) < 60
    assert set(found.values()) == {reply}


@pytest.mark.parametrize("damage", ["noise", "cut", "pages"])
def test_a_damaged_file_is_set_aside(tmp_path: Path, requests_for: Any, damage: str) -> None:
    """The run goes on with a new cache, and the old file is still there to look at."""
    requests = requests_for([f"item {n} " * 40 for n in range(200)])
    file = tmp_path / "replies.sqlite"
    with Cache.open(tmp_path) as cache:
        run(requests, ScriptedProvider(then=GOOD), cache)
    content = file.read_bytes()
    damaged = {
        "noise": b"this is no database at all" * 100,
        "cut": content[: len(content) // 2],
        "pages": content[:4096] + b"\xaa" * (len(content) - 4096),
    }[damage]
    file.write_bytes(damaged)
    with Cache.open(tmp_path) as cache:
        done = run(requests, ScriptedProvider(then=GOOD), cache)
    assert done.count("ok") == 200
    assert (tmp_path / "replies.sqlite.damaged-1").read_bytes() == damaged


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    """A file that is somebody else's is neither changed nor moved."""
    file = tmp_path / "replies.sqlite"
    base = sqlite3.connect(file)
    base.execute("CREATE TABLE theirs (x)")
    base.close()
    before = file.read_bytes()
    with pytest.raises(FolderError, match="something else") as caught:
        Cache.open(tmp_path)
    assert "cache.dir" in caught.value.hint
    assert file.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file in the way is a folder error with its path."""
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(FolderError):
        Cache.open(tmp_path / "cache")


def test_a_full_disk_stops_the_run_instead_of_paying_for_nothing(
    tmp_path: Path, requests_for: Any
) -> None:
    """When a paid reply cannot be kept, no further call is started."""
    provider = ScriptedProvider(then=GOOD)
    requests = requests_for([f"item {n}" for n in range(5000)])
    with Cache.open(tmp_path) as cache:
        # SQLite's own limit of pages stands for the disk: it raises the same "full" error.
        cache._connection.execute("PRAGMA max_page_count = 12")
        with pytest.raises(FolderError, match="full"):
            run(requests, provider, cache)
        kept = len(cache)
    assert kept >= 10
    assert len(provider.calls) <= kept + 5


def test_several_open_one_new_file_at_once(tmp_path: Path) -> None:
    """Six that begin the same file in the same moment all write, and all replies are there."""

    def fill(folder: Path, start: Barrier, name: bytes) -> None:
        start.wait()
        with Cache.open(folder) as cache:
            for n in range(20):
                cache.put(name * 30 + b"%2d" % n, Reply("{}", Usage(1, 1), "m"))

    names = [b"a", b"b", b"c", b"d", b"e", b"f"]
    for turn in range(10):
        folder, start = tmp_path / str(turn), Barrier(len(names))
        with ThreadPoolExecutor(len(names)) as pool:
            for done in [pool.submit(fill, folder, start, name) for name in names]:
                done.result()
        with Cache.open(folder) as cache:
            assert len(cache) == 20 * len(names)


def test_a_path_that_names_a_file_is_that_file(tmp_path: Path) -> None:
    """`.sqlite` and `.db` are files, anything else is a folder."""
    with Cache.open(tmp_path / "mine.sqlite") as cache:
        assert cache.path == tmp_path / "mine.sqlite"
    with Cache.open(tmp_path / "deep" / "folder") as cache:
        assert cache.path == tmp_path / "deep" / "folder" / "replies.sqlite"


def test_local_providers_are_not_cached(tmp_path: Path, requests_for: Any) -> None:
    """They cost nothing, so they are asked each time."""
    with Cache.open(tmp_path) as cache:
        run(requests_for(["a", "a"]), ScriptedProvider(then=GOOD, local=True), cache)
        assert len(cache) == 0


def test_equal_requests_share_a_failure(tmp_path: Path, requests_for: Any) -> None:
    """The twin of an item that was refused is refused as well, without a call of its own."""
    provider = ScriptedProvider([Answer("", finish="refusal")], then=GOOD)
    with Cache.open(tmp_path) as cache:
        done = complete_all(
            requests_for(["a", "a", "b"]),
            provider,
            budget=Budget(1.0, provider.price),
            cache=cache,
            concurrency=1,
        )
    assert [o.status for o in done.outcomes] == ["refused", "refused", "ok"]
    assert len(provider.calls) == 2


def test_a_key_is_that_of_the_request_alone(requests_for: Any) -> None:
    """Whatever was asked before it, and the same as ever: old caches stay of use."""
    first, second = requests_for(["a", "\u00fc \ud800"])
    every = [
        first,
        second,
        evolve(second, purpose="write"),
        evolve(second, instructions="other"),
        evolve(second, max_tokens=9),
        evolve(second, temperature=1),
        evolve(second, schema={"type": "object"}),
        first,
    ]
    keys = Keys("m")
    assert [keys.of(each) for each in every] == [request_key(each, "m") for each in every]
    known = Request("classify", "Name it.", "late", {"type": "object"}, 64)
    plain = '["m","classify","Name it.","late",{"type":"object"},64,0.0]'
    assert request_key(known, "m") == hashlib.sha256(plain.encode()).digest()


def test_requests_of_mapping_schemas_have_keys() -> None:
    """A schema may be any mapping, not only a dict."""
    from types import MappingProxyType

    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    frozen = MappingProxyType(
        {"type": "object", "properties": MappingProxyType(plain["properties"])}
    )
    one = Request("classify", "i", "x", plain, 64)
    two = Request("classify", "i", "x", frozen, 64)
    assert request_key(one, "m") == request_key(two, "m")
