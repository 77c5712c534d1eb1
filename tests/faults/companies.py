"""The commands that write, each with what it reads: a company of a thousandth of the usual size."""

from __future__ import annotations

import csv
import json
import mailbox
import shutil
import zipfile
from email.message import EmailMessage
from pathlib import Path

from attrs import frozen
from running import DNR, finished

SCALE = "0.002"
SMALL = {
    "DNR_PLUGINS": "neobank,llm_mock",
    "DNR_COMMS_SLACK_THREADS": "40",
    "DNR_COMMS_EMAILS": "15",
    "DNR_COMMS_NLQ": "15",
    "DNR_WAREHOUSE_WORKERS": "2",
}
"""Settings of every run: few messages, and one archetype."""

DATA, TALK, TRUTH, PAGE = "in/data", "in/comms", "in/meta", "in/report"


@frozen
class Command:
    """A command line; `older` is another that writes to the same place, whose result lies there
    before every second kill."""

    name: str
    line: tuple[str, ...]
    older: tuple[str, ...] = ()
    once: bool = False
    """It refuses a finished result of its own, so it is not run over one."""


def _made(*line: str) -> tuple[str, ...]:
    return ("--seed", "7", *line)


def _commands() -> tuple[Command, ...]:
    warehouse = ("gen-warehouse", "--archetype", "neobank", "--scale", SCALE)
    talk = ("gen-comms", "--warehouse", DATA, "--out", "comms", "--meta", "meta")
    report = ("run-report", "--warehouse", DATA, "--comms", TALK, "--out", "reports/neobank")
    exports = ("--slack", "in/slack.zip", "--mail", "in/mail.mbox", "--nlq", "in/asked.csv")
    imported = ("import-comms", *exports, "--key-file", "in/key", "--out", "comms/mine")
    checked = ("validate", "--warehouse", DATA, "--comms", TALK, "--meta", TRUTH, "--out", "qc")
    repaired = ("repair", DATA, "--meta", TRUTH, "--out", "fixed")
    labels = ("eval-labels", "--pred", PAGE, "--labels", TRUTH)
    one = ("--archetype", "neobank", "--seeds")
    ranking = ("eval-ranking", *one, "1", "--scale", SCALE, "--talk", "0.02")
    health = ("eval-health", *one, "1", "--scales", SCALE, "--profiles", "typical")
    frozen_set = ("export-benchmark", *one, "1", "--scale", SCALE)
    scored = ("score", "in/guessed", "--benchmark", "in/benchmark", "--out", "scores.json")
    return (
        Command("gen-warehouse", warehouse, _made(*warehouse)),
        Command("gen-comms", talk, _made(*talk)),
        Command("import-comms", imported, (*imported, "--keep-names")),
        Command("run-report", report, (*report, "--no-llm")),
        Command("validate", checked),
        Command("repair", repaired),
        Command("eval-labels", labels),
        Command("eval-ranking", ranking),
        Command("eval-health", health),
        Command("export-benchmark", frozen_set),
        Command("score", scored),
        Command("init", ("init",)),
        Command("plugins new", ("plugins", "new", "own", "--kind", "archetype"), once=True),
        Command("quickstart", ("quickstart", "--fast")),
    )


COMMANDS = _commands()


def prepare(root: Path, env: dict[str, str]) -> Path:
    """Make below `root` all that the commands read, and return the folder to copy."""
    base = root / "base"
    (base / "in").mkdir(parents=True)
    for line in (
        ("gen-warehouse", "--archetype", "neobank", "--scale", SCALE, "--out", DATA, "--meta", TRUTH),
        ("gen-comms", "--warehouse", DATA, "--out", TALK, "--meta", TRUTH),
        ("run-report", "--warehouse", DATA, "--comms", TALK, "--out", PAGE),
        ("export-benchmark", "--archetype", "neobank", "--seeds", "1", "--scale", SCALE,
         "--out", "in/benchmark"),
    ):  # fmt: skip
        finished([*DNR, "-q", *line], base, env)
    shutil.rmtree(base / ".cache", ignore_errors=True)
    (base / "in" / "index.html").unlink(missing_ok=True)
    _exports(base / "in")
    _guesses(base / "in")
    # The key of the pseudonyms is drawn once, by the first run.
    (imported,) = (c.line for c in COMMANDS if c.name == "import-comms")
    finished([*DNR, "-q", *imported], base, env)
    shutil.rmtree(base / "comms")
    return base


def _exports(folder: Path) -> None:
    """A Slack export, a mailbox and a log of questions, as their makers write them."""
    texts = [f"The orders of day {n} are missing in fact_card_transaction" for n in range(60)]
    people = [{"id": f"U{n}", "name": f"p{n}", "profile": {"email": f"p{n}@x.org"}} for n in (1, 2)]
    with zipfile.ZipFile(folder / "slack.zip", "w") as archive:
        archive.writestr("users.json", json.dumps(people))
        archive.writestr("channels.json", json.dumps([{"id": "C1", "name": "data-help"}]))
        for day in range(1, 21):
            said = [
                {"type": "message", "user": f"U{n % 2 + 1}", "text": texts[n],
                 "ts": f"{1740787200 + day * 86400 + n}.000100"}
                for n in range(60)
            ]  # fmt: skip
            archive.writestr(f"data-help/2025-03-{day:02}.json", json.dumps(said))
    box = mailbox.mbox(folder / "mail.mbox")
    for n, text in enumerate(texts):
        mail = EmailMessage()
        mail["From"], mail["To"] = "p1@x.org", "data@x.org"
        mail["Subject"], mail["Message-ID"] = f"Orders {n}", f"<{n}@x.org>"
        mail["Date"] = f"Mon, 0{n % 9 + 1} Mar 2025 10:00:00 +0000"
        mail.set_content(text)
        box.add(mail)
    box.close()
    with (folder / "asked.csv").open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["query_id", "user", "asked_at", "query_text"])
        rows.writerows(
            [n, f"u{n % 7}", f"2025-03-0{n % 9 + 1}T10:00:00Z", t] for n, t in enumerate(texts)
        )


def _guesses(folder: Path) -> None:
    """Predictions for the benchmark: that each of a hundred rows has a null key."""
    (company,) = sorted(path.name for path in (folder / "benchmark" / "public").iterdir())
    (folder / "guessed").mkdir()
    with (folder / "guessed" / "defects.csv").open("w", encoding="utf-8", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["company", "table", "part", "row"])
        rows.writerows([company, "fact_card_transaction", 0, n] for n in range(100))
