"""Room: report. The same answer as Markdown: the first screen, then the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r\n\f\v\x85\u2028\u2029]+")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~])")

Document = Mapping[str, Any]


def escaped(text: object) -> str:
    """Return text in which Markdown and HTML have no meaning, on one line."""
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", str(text)).strip())


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table."""
    lines = [
        f"| {' | '.join(escaped(column) for column in columns)} |",
        f"|{' --- |' * len(columns)}",
    ]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows]
    return [*lines, ""]


def summary(document: Document) -> str:
    """Return the whole summary."""
    lines = [
        *_head(document),
        *(line for need in document["cards"] for line in _card(need)),
        *_hidden(document),
        *_compare(document),
        *_places(document),
        *_health(document),
        *_themes(document),
        *_incidents(document),
        *_needs(document),
        *_method(document),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _head(document: Document) -> list[str]:
    place = document["place"]
    parts = [place["window"], place["source"], *place["seen"]]
    made = " (synthetic company)" if place["synthetic"] else ""
    return [
        f"# {escaped(place['company'])}{made}",
        "",
        " · ".join(escaped(part) for part in parts if part),
        "",
        f"**{escaped(document['answer']['sentence'])}**",
        "",
        *([escaped(document["answer"]["beside"]), ""] if document["answer"]["beside"] else []),
        *([escaped(document["compare"]["sentence"]), ""] if document["compare"] else []),
    ]


def _card(need: Document) -> list[str]:
    money = need["money"]
    if money["kind"] == "none":
        worth = money["why"]
    else:
        word = "late" if money["kind"] == "late" else "at risk"
        worth = f"{money['text']} {word} a month ({money['range']}), {money['share_text']} of a usual one"
    facts = [
        ("Money", worth),
        ("Cause", need["cause"]),
        ("How bad", need["severity"]["text"]),
        ("Who asks", need["asks"]["text"]),
        ("By role", need["asks"]["roles_text"]),
        ("Certainty", need["certainty"]["text"]),
        ("Worth", money["worth_text"]),
        ("Next step", need["next_step"]),
    ]
    return [
        f"## {need['rank']}. {escaped(need['title'])}",
        "",
        *(f"- {name}: {escaped(text)}" for name, text in facts if text),
        "",
    ]


def _hidden(document: Document) -> list[str]:
    if not document["hidden"]:
        return []
    rows = [f"- {escaped(need['title'])}: {escaped(need['why'])}" for need in document["hidden"]]
    return ["## Hidden for low confidence", "", *rows, ""]


def _places(document: Document) -> list[str]:
    lines = []
    for proof in document["proofs"]:
        places = proof["places"]
        if places:
            lines += [f"- {escaped(proof['title'])}: {escaped(places['text'])}."]
            lines += [
                f"  - {row['broken_share_text']} {escaped(row['where'])}, with "
                f"{row['rows_share_text']} of the rows ({row['lift_text']})"
                for row in places["found"]
            ]
    return ["## Where the broken rows lie", "", *lines, ""] if lines else []


def _compare(document: Document) -> list[str]:
    compare = document["compare"]
    if not compare:
        return []
    rows = [
        [
            row["title"],
            f"{row['sign']} {row['word']}",
            _at(row["then"]),
            _at(row["now"]),
            row["worth_text"],
        ]
        for row in compare["rows"]
    ]
    left = compare["left_out"]
    return [
        f"## Since {escaped(compare['then'])}",
        "",
        *table(["Need", "Change", "Then", "Now", "Worth"], rows),
        *([f"And {left} more, of less money.", ""] if left else []),
        *(f"- {escaped(note)}" for note in compare["notes"]),
        "",
    ]


def _at(side: Document) -> str:
    return ", ".join(part for part in (side["text"], side["money_text"]) if part)


def _health(document: Document) -> list[str]:
    health = document["health"]
    if not health:
        return ["## Health", "", "Not measured: no warehouse was read.", ""]
    rows = [
        [row["title"], row["rows_text"], *(
            f"{cell['text']} {cell['sign']}".strip() for cell in row["cells"])]
        for row in health["rows"]
    ]  # fmt: skip
    failing = [check for check in health["guardrails"] if not check["passed"]]
    notes = [
        f"- Guardrail failed: {escaped(check['title'])}, {escaped(check['check'])}: "
        f"{escaped(check['measured_text'])} (limit {escaped(check['limit_text'])})"
        for check in failing
    ]
    return [
        "## Health of the tables",
        "",
        *table(["Table", "Rows of the window", *health["columns"]], rows),
        *([*notes, ""] if notes else []),
    ]


def _themes(document: Document) -> list[str]:
    themes = document["themes"]
    if themes["status"] == "skipped":
        return ["## What people ask for", "", "Skipped: no messages were read.", ""]
    rows = [[r["title"], r["text"], r["range_text"], r["items_text"]] for r in themes["rows"]]
    return [
        "## What people ask for",
        "",
        *table(["Theme", "Share", "80 % range", "Items"], rows),
    ]


def _incidents(document: Document) -> list[str]:
    rows = [
        [
            row["when"],
            row["what"],
            f"{row['title']} {row['column']}".strip(),
            row["size"],
            row["rows_text"],
            row["money"]["text"] if row["money"] else "not measured",
            row["talk_text"],
        ]
        for row in document["incidents"]["rows"]
    ]
    if not rows:
        return []
    return [
        "## Incidents",
        "",
        *table(["When", "What", "Where", "Size", "Rows", "Money", "Talk"], rows),
    ]


def _needs(document: Document) -> list[str]:
    if not document["needs"]:
        return []
    rows = [
        [
            need["title"],
            need["score_text"],
            ", ".join(f"{name} {part['text']}" for name, part in need["parts"].items()),
            need["money"]["text"],
            need["confidence"]["text"],
            need["rank"] or need["hidden"] or need["certainty"]["text"],
        ]
        for need in document["needs"]
    ]
    return [
        "## All needs",
        "",
        *table(["Need", "Score", "Parts", "Money a month", "Confidence", "Place"], rows),
    ]


def _method(document: Document) -> list[str]:
    rows = [
        f"- {escaped(row['name'])}: {escaped(row['text'])}" for row in document["method"]["rows"]
    ]
    notes = [f"- {escaped(note)}" for note in document["method"]["notes"]]
    parts = " · ".join(escaped(part) for part in document["footing"]["parts"])
    return ["## Method and limits", "", *rows, *notes, "", parts + "."]


def themes_summary(document: Document) -> str:
    """Return `themes.md`."""
    themes = document["themes"]
    lines = [f"# What people ask for: {escaped(document['place']['company'])}", ""]
    if themes["status"] == "skipped":
        return "\n".join([*lines, "Skipped: no messages were read.", ""])
    unmet = f", {themes['unmet_text']}" if themes["unmet_text"] else ""
    rows = [
        [r["title"], r["text"], r["range_text"], r["items_text"], *(
            r["sources"][s["source"]]["text"] for s in themes["sources"])]
        for r in themes["rows"]
    ]  # fmt: skip
    names = [source["title"] for source in themes["sources"]]
    lines += [f"{escaped(themes['items_text'])}{unmet}.", ""]
    lines += table(["Theme", "Share", "80 % range", "Items", *names], rows)
    lines += ["## By month", ""]
    lines += table(
        ["Theme", *themes["months"]],
        [[r["title"], *themes["by_month"].get(r["theme"], [])] for r in themes["rows"]],
    )
    lines += ["## Who asks", ""]
    lines += table(
        ["Role", "Asks", "Share", "People"],
        [[r["title"], r["items_text"], r["share_text"], r["people"]] for r in themes["roles"]],
    )
    return "\n".join(lines).rstrip() + "\n"
