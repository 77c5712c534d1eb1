"""Damages files: as a disk, a cut transfer, a careless editor or an attacker would."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

MOST_BYTES = 4 << 20
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
STRANGE = (
    b"1" + b"0" * 40, b"-1", b"0", b"1e999", b"NaN", b"-0.0", b"9223372036854775808", b"null", b"true",
    b"[]", b"{}", b'""', b'"\\ud800"', b"\x00", b"\xff\xfe", b"[" * 3000, b'{"a":' * 3000, b"&a [*a]",
    b"!!python/object:os.system x", b"../../etc/passwd", b"<<: *x", b"~", b"- ", b"\t", b"'", b'"',
    "\u202e\u0130\U0001f600".encode(), b"9999-12-31T23:59:59Z", b"0000-00-00", b"1e-320",
)  # fmt: skip


def flip(chance: random.Random, content: bytearray) -> None:
    """Turn some bits, most often near the beginning or the end, where formats keep their tables."""
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        edge = min(64, len(content))
        near = chance.choice((chance.randrange(len(content)), chance.randrange(edge), -edge))
        place = near if near >= 0 else len(content) - 1 - chance.randrange(edge)
        content[place] ^= 1 << chance.randrange(8)


def cut(chance: random.Random, content: bytearray) -> None:
    del content[chance.randrange(len(content)) :]


def drop(chance: random.Random, content: bytearray) -> None:
    place = chance.randrange(len(content))
    del content[place : place + chance.choice((1, 4, 100, 5000))]


def repeat(chance: random.Random, content: bytearray) -> None:
    place = chance.randrange(len(content))
    piece = content[place : place + chance.choice((1, 10, 1000))]
    content[place:place] = piece * min(chance.choice((1, 2, 50)), MOST_BYTES // len(piece))


def splice(chance: random.Random, content: bytearray) -> None:
    one, other = chance.randrange(len(content)), chance.randrange(len(content))
    size = chance.choice((1, 8, 200))
    content[one : one + size] = content[other : other + size]


def number(chance: random.Random, content: bytearray) -> None:
    found = list(NUMBER.finditer(content[: 1 << 16]))
    if found:
        place = chance.choice(found)
        content[place.start() : place.end()] = chance.choice(STRANGE)


def strange(chance: random.Random, content: bytearray) -> None:
    place = chance.randrange(len(content))
    content[place:place] = chance.choice(STRANGE)


def lines(chance: random.Random, content: bytearray) -> None:
    """Swap two lines, or put one in deeper."""
    parts = bytes(content).split(b"\n")
    one, other = chance.randrange(len(parts)), chance.randrange(len(parts))
    parts[one], parts[other] = parts[other], b" " * chance.choice((0, 2, 7)) + parts[one]
    content[:] = b"\n".join(parts)


DAMAGES: Sequence[Callable[[random.Random, bytearray], None]] = (
    flip, cut, drop, repeat, splice, number, strange, lines,
)  # fmt: skip


def damaged(chance: random.Random, content: bytes) -> bytes:
    """Return the bytes with one to three damages."""
    found = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3))):
        if not found:
            break
        chance.choice(DAMAGES)(chance, found)
    return bytes(found[:MOST_BYTES])


def damaged_zip(chance: random.Random, content: bytes) -> bytes:
    """Return a sound archive with one damaged member, or a damaged archive."""
    if chance.random() < 0.4:
        return damaged(chance, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(sorted(members))
    members[name] = damaged(chance, members[name])
    if chance.random() < 0.2:
        members[chance.choice(("../out.json", "/etc/passwd", "a/../../b.json", " "))] = members.pop(
            name
        )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return made.getvalue()


def damaged_parquet(chance: random.Random, content: bytes) -> bytes:
    """Return a sound file whose table is another, or a damaged file."""
    if chance.random() < 0.5:
        return damaged(chance, content)
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(content))
    place = chance.randrange(table.num_columns)
    name, rows = table.column_names[place], table.num_rows
    other: dict[str, Callable[[], Any]] = {
        "dropped": lambda: table.drop_columns([name]),
        "text": lambda: table.set_column(place, name, pa.array(["x"] * rows)),
        "number": lambda: table.set_column(place, name, pa.array([2**62] * rows)),
        "negative": lambda: table.set_column(place, name, pa.array([-1] * rows)),
        "nothing": lambda: table.set_column(place, name, pa.nulls(rows)),
        "nan": lambda: table.set_column(place, name, pa.array([float("nan")] * rows)),
        "list": lambda: table.set_column(place, name, pa.array([[1]] * rows)),
        "binary": lambda: table.set_column(place, name, pa.array([b"\xff\x00"] * rows)),
        "late": lambda: table.set_column(place, name, pa.array([2**62] * rows, pa.timestamp("us", "UTC"))),
        "renamed": lambda: table.rename_columns({name: name.upper() + " "}),
        "twice": lambda: pa.concat_tables([table, table]),
        "empty": lambda: table.slice(0, 0),
        "more": lambda: table.append_column("more", pa.nulls(rows)),
    }  # fmt: skip
    made = io.BytesIO()
    pq.write_table(other[chance.choice(sorted(other))](), made)
    return made.getvalue()


def damage(chance: random.Random, path: Path) -> None:
    """Damage a file where it lies, by what it is."""
    way = {".zip": damaged_zip, ".parquet": damaged_parquet}.get(path.suffix, damaged)
    path.write_bytes(way(chance, path.read_bytes()))
