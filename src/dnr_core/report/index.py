"""Room: report. The index over companies: the head and the first card of each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dnr_core.config.visible import visible
from dnr_core.errors import InputError
from dnr_core.report.html import environment, policy, safe, template_text
from dnr_core.report.markdown import escaped
from dnr_core.report.save import KIND
from dnr_core.workspace import read_manifest, write_text


def write_index(reports_root: Path | str) -> Path:
    """Write `index.html` and `index.md` over the finished reports below `reports_root`.

    Folders that hold no finished report are passed over. Returns the path of `index.html`.

    Raises:
        FolderError: the folder cannot be written.
    """
    root = Path(reports_root)
    companies = [found for folder in _folders(root) if (found := _company(folder))]
    css = " ".join(template_text("page.css").split("\n"))
    html = (
        environment()
        .get_template("index.html.j2")
        .render(companies=companies, css=safe(css), policy=policy(css, None))
    )
    write_text(root / "index.md", visible(_markdown(companies)))
    write_text(root / "index.html", visible(html))
    return root / "index.html"


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _company(folder: Path) -> dict[str, Any] | None:
    try:
        if read_manifest(folder).kind != KIND:
            return None
        document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    except (InputError, OSError, ValueError):
        return None
    return {
        "folder": folder.name,
        "place": document["place"],
        "answer": document["answer"],
        "cards": document["cards"][:1],
    }


def _markdown(companies: list[dict[str, Any]]) -> str:
    lines = ["# What to fix first, by company", ""]
    if not companies:
        lines.append("No report was found here yet.")
    for company in companies:
        folder = quote(company["folder"])
        lines += [
            f"## {escaped(company['place']['company'])}",
            "",
            f"**{escaped(company['answer']['sentence'])}**",
            "",
        ]
        for need in company["cards"]:
            lines += [
                f"- First: {escaped(need['title'])}",
                f"- Cause: {escaped(need['cause'])}",
                f"- Next step: {escaped(need['next_step'])}",
                "",
            ]
        lines += [f"[Page]({folder}/report.html), [summary]({folder}/exec_summary.md)", ""]
    return "\n".join(lines).rstrip() + "\n"
