"""Files that mean harm, given to the command line: an exit code with a message, in bounded time and memory."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

LIMIT_SECONDS = 60
MEMORY_MB = 1024
"""Most memory that a process may hold at its height."""

SAID = json.dumps([{"type": "message", "user": "U1", "text": "hello", "ts": "1740787200.000100"}])


def _slack(path: Path, members: Mapping[str, bytes | str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"channels.json": "[]", "users.json": "[]", **members}.items():
            archive.writestr(name, content)


def zip_bomb(place: Path) -> list[str]:
    """Two gigabytes of spaces in a few megabytes."""
    with zipfile.ZipFile(place / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("channels.json", "[]")
        with archive.open("general/2025-03-01.json", "w", force_zip64=True) as member:
            for _ in range(2048):
                member.write(b" " * (1 << 20))
    return ["import-comms", "--slack", "x.zip", "--out", "out"]


def claimed_size(place: Path) -> list[str]:
    """A header that claims ten gigabytes for a short member."""
    _slack(place / "x.zip", {"general/2025-03-01.json": SAID})
    content = (place / "x.zip").read_bytes()
    size = struct.pack("<I", len(SAID))
    (place / "x.zip").write_bytes(content.replace(size, struct.pack("<I", 0xFFFFFFF0)))
    return ["import-comms", "--slack", "x.zip", "--out", "out"]


def deep_json(place: Path) -> list[str]:
    """A list in a list, a million times."""
    _slack(place / "x.zip", {"general/2025-03-01.json": "[" * 10**6 + "]" * 10**6})
    return ["import-comms", "--slack", "x.zip", "--out", "out"]


def mime_bomb(place: Path) -> list[str]:
    """Parts in parts, five thousand deep."""
    head = "From: a@x.org\nDate: Mon, 03 Mar 2025 10:00:00 +0000\nMIME-Version: 1.0\n"
    nested = "".join(
        f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(5000)
    )
    (place / "x.eml").write_text(head + nested + "Content-Type: text/plain\n\nhello\n")
    return ["import-comms", "--mail", "x.eml", "--out", "out"]


def wide_mime(place: Path) -> list[str]:
    """A hundred thousand parts side by side."""
    head = "From: a@x.org\nDate: Mon, 03 Mar 2025 10:00:00 +0000\nMIME-Version: 1.0\n"
    parts = "--b\nContent-Type: text/plain\n\nhello\n" * 10**5
    (place / "x.eml").write_text(
        f"{head}Content-Type: multipart/mixed; boundary=b\n\n{parts}--b--\n"
    )
    return ["import-comms", "--mail", "x.eml", "--out", "out"]


def laughs(first: str) -> str:
    """Nine names, each ten times the one before."""
    rows = [f"a0: &a0 [{first}]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    return "\n".join(rows) + "\n"


def yaml_config(place: Path) -> list[str]:
    (place / "dnr.yaml").write_text(laughs("lol"))
    return ["--config", "dnr.yaml", "config"]


def yaml_schema(place: Path) -> list[str]:
    (place / "x.yaml").write_text(laughs("lol"))
    return ["run-report", "--warehouse", "in/data", "--archetype", "x.yaml", "--no-llm"]


def yaml_profile(place: Path) -> list[str]:
    (place / "x.yaml").write_text(laughs("lol"))
    return ["gen-warehouse", "--archetype", "neobank", "--scale", "0.002", "--quality", "x.yaml"]


def yaml_code(place: Path) -> list[str]:
    """A tag that would run a command, were the loader not the safe one."""
    (place / "x.yaml").write_text("name: !!python/object/apply:os.system ['touch dnr-was-here']\n")
    return ["gen-warehouse", "--archetype", "neobank", "--quality", "x.yaml"]


def traversal(place: Path) -> list[str]:
    """Members that would land outside, were they unpacked."""
    _slack(
        place / "x.zip",
        {"../dnr-was-here": SAID, "/tmp/../dnr-was-here": SAID, "general/../../dnr-was-here": SAID},
    )
    return ["import-comms", "--slack", "x.zip", "--out", "out"]


def links(place: Path) -> list[str]:
    """A folder whose members are links to elsewhere, one of them to itself."""
    (place / "x" / "general").mkdir(parents=True)
    (place / "x" / "channels.json").write_text('[{"id": "C1", "name": "general"}]')
    (place / "x" / "users.json").symlink_to("/etc/passwd")
    (place / "x" / "general" / "2025-03-01.json").symlink_to("2025-03-01.json")
    (place / "x" / "general" / "up").symlink_to("..")
    return ["import-comms", "--slack", "x", "--out", "out"]


def manifest_outside(place: Path) -> list[str]:
    """A manifest that names files of others, which a new result would take away."""
    path = place / "in" / "data" / "manifest.json"
    content = json.loads(path.read_text())
    content["files"]["../../victim"] = "0" * 64
    path.write_text(json.dumps(content))
    (place / "victim").write_text("mine")
    again = ("gen-warehouse", "--archetype", "neobank", "--scale", "0.002")
    return [*again, "--out", "in/data", "--meta", "in/meta"]


def wide_csv(place: Path) -> list[str]:
    """One cell of two hundred megabytes."""
    with (place / "x.csv").open("w") as handle:
        handle.write("query_id,query_text,asked_at\n1,")
        for _ in range(200):
            handle.write("x" * (1 << 20))
        handle.write(",2025-03-01T10:00:00Z\n")
    return ["import-comms", "--nlq", "x.csv", "--out", "out"]


def endless_line(place: Path) -> list[str]:
    """A mailbox of one line of three hundred megabytes."""
    with (place / "x.mbox").open("w") as handle:
        handle.write("From a@x.org Mon Mar  3 10:00:00 2025\nFrom: a@x.org\nSubject: ")
        for _ in range(300):
            handle.write("x" * (1 << 20))
    return ["import-comms", "--mail", "x.mbox", "--out", "out"]


CASES: Mapping[str, Callable[[Path], list[str]]] = {
    "zip bomb of 2 GB": zip_bomb,
    "4 GB claimed in a zip header": claimed_size,
    "JSON a million deep": deep_json,
    "mail 5,000 parts deep": mime_bomb,
    "mail of 100,000 parts": wide_mime,
    "YAML aliases, settings": yaml_config,
    "YAML aliases, schema": yaml_schema,
    "YAML aliases, profile": yaml_profile,
    "YAML tag that runs a command": yaml_code,
    "paths out of an archive": traversal,
    "links out of a folder": links,
    "manifest that names strangers' files": manifest_outside,
    "CSV cell of 200 MB": wide_csv,
    "mail of one line of 300 MB": endless_line,
}


def run(root: Path, base: Path) -> Iterator[tuple[str, str]]:
    """Give each case to the command, and yield its name and what was wrong, or nothing."""
    for name, make in CASES.items():
        place = root / "hostile" / "inside"
        shutil.rmtree(place.parent, ignore_errors=True)
        shutil.copytree(base, place)
        yield name, _fault([sys.executable, "-m", "dnr_core", *make(place)], place)


def _fault(command: list[str], place: Path) -> str:
    with (place.parent / "err").open("wb") as err:
        process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=err)
        timer = _killer(process)
        _, status, used = os.wait4(process.pid, 0)
        timer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    said = (place.parent / "err").read_text("utf-8", "replace")
    if process.returncode not in {0, 2, 3}:
        return f"ended with {process.returncode}: {said[-200:]}"
    if "Traceback" in said or (process.returncode and "dnr:" not in said):
        return f"said: {said[-200:]}"
    if used.ru_maxrss >> 10 > MEMORY_MB:
        return f"{used.ru_maxrss >> 10} MB of memory"
    if list(place.parent.glob("**/dnr-was-here*")):
        return "something ran, or was written outside"
    victim = place / "victim"
    return (
        "" if not victim.exists() or victim.read_text() == "mine" else "a stranger's file changed"
    )


def _killer(process: subprocess.Popen[bytes]):  # type: ignore[no-untyped-def]
    from threading import Timer

    timer = Timer(LIMIT_SECONDS, process.kill)
    timer.start()
    return timer
