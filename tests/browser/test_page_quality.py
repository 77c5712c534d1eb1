"""What Lighthouse asks of a page: title, language, headings, viewport, sizes of text and of targets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

PAGES = ("usual", "nothing", "all hidden", "talk alone", "evil names", "compared")
LEAST_TARGET = 24
"""CSS pixels of what is tapped, WCAG 2.2, "Target Size (Minimum)"; links in a sentence are exempt."""
SMALL_TEXT = 10
"""CSS pixels; nothing is set smaller on a phone."""


@pytest.fixture(params=PAGES)
def path(request: pytest.FixtureRequest, page_path: Path, odd_pages: dict[str, Path]) -> Path:
    """One page after another."""
    return page_path if request.param == "usual" else odd_pages[request.param]


def looked_at(browser: Any, path: Path, script: str, width: int = 1280) -> Any:
    """Open a page and evaluate a script in it."""
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    found = page.evaluate(script)
    context.close()
    return found


def test_the_head_says_what_the_page_is(browser: Any, path: Path) -> None:
    """Doctype, character set, language, a title with the company, a description, a viewport that zooms."""
    assert path.read_bytes()[:15].lower() == b"<!doctype html>"
    assert b"utf-8" in path.read_bytes()[:1024].lower()
    found = looked_at(
        browser,
        path,
        """() => {
        const meta = name => (document.querySelector(`meta[name=${name}]`) || {}).content || "";
        return {lang: document.documentElement.lang, title: document.title,
                view: meta("viewport"), about: meta("description"),
                company: document.querySelector(".place strong").textContent}}""",
    )
    assert found["lang"] == "en"
    assert found["company"].strip()[:20] in found["title"]
    assert len(found["about"]) > 20
    assert "width=device-width" in found["view"]
    assert "user-scalable" not in found["view"]
    assert "maximum-scale" not in found["view"]


def test_headings_and_landmarks_are_in_order(browser: Any, path: Path) -> None:
    """One first heading, none that skips a level, one main part, and no id twice."""
    found = looked_at(
        browser,
        path,
        """() => ({levels: [...document.querySelectorAll("h1,h2,h3,h4,h5,h6")].map(h => +h.tagName[1]),
        empty: [...document.querySelectorAll("h1,h2,h3,h4")].filter(h => !h.textContent.trim()).length,
        mains: document.querySelectorAll("main").length,
        ids: [...document.querySelectorAll("[id]")].map(e => e.id),
        ahead: document.querySelectorAll("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").length,
        dead: [...document.querySelectorAll("a[href^='#']")].map(a => a.getAttribute("href"))
              .filter(h => !document.getElementById(decodeURIComponent(h.slice(1))))})""",
    )
    levels = found["levels"]
    assert levels.count(1) == 1
    assert [(one, other) for one, other in pairwise(levels) if other > one + 1] == []
    assert found["empty"] == 0
    assert found["mains"] == 1
    assert len(found["ids"]) == len(set(found["ids"]))
    assert found["ahead"] == 0
    assert found["dead"] == []


def test_links_and_figures_have_names(browser: Any, path: Path) -> None:
    """Every link and button has words, and every figure a title and a description."""
    found = looked_at(
        browser,
        path,
        """() => {
        const named = e => (e.getAttribute("aria-label") || e.textContent).trim().length > 1;
        return {mute: [...document.querySelectorAll("a,button,summary")].filter(e => !named(e)).length,
        bare: [...document.querySelectorAll("svg")].filter(s => s.getAttribute("aria-hidden") != "true"
              && !(s.querySelector("title") && s.querySelector("desc"))
              && !s.getAttribute("aria-label")).map(s => s.outerHTML.slice(0, 120))}}""",
    )
    assert found == {"mute": 0, "bare": []}


def test_what_is_tapped_is_large_enough(browser: Any, path: Path) -> None:
    """On a phone, links apart from sentences, buttons and summaries are 24 pixels high and wide."""
    small = looked_at(
        browser,
        path,
        """least => [...document.querySelectorAll("a[href],button,summary")].filter(e => {
        const box = e.getBoundingClientRect();
        if (!box.width || e.className == "skip") return false;
        // A link among words is as high as its line.
        const inText = e.tagName == "A" && e.parentElement.textContent.trim() != e.textContent.trim()
              && getComputedStyle(e).display == "inline";
        return !inText && (box.height < least || box.width < least)})
        .map(e => [e.outerHTML.slice(0, 100), e.getBoundingClientRect().height])""".replace(
            "least =>", f"() => {{const least = {LEAST_TARGET}; return "
        )
        + "}",
        width=500,
    )
    assert small == []


def test_text_can_be_read_on_a_phone(browser: Any, path: Path) -> None:
    """No text is set under 10 pixels, and most is 12 or more; texts in figures are looked at as drawn."""
    sizes = looked_at(
        browser,
        path,
        """() => {
        const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walk.nextNode()) {
            const text = walk.currentNode.textContent.trim(), of = walk.currentNode.parentElement;
            const box = of.getBoundingClientRect();
            if (!text || !box.width || ["SCRIPT", "STYLE", "TITLE", "DESC"].includes(of.tagName.toUpperCase()))
                continue;
            const svg = of.closest("svg");
            const scale = svg && svg.viewBox.baseVal.width
                ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
            found.push([parseFloat(getComputedStyle(of).fontSize) * scale, text.length, text.slice(0, 30)]);
        }
        return found}""",
        width=390,
    )
    assert [one for one in sizes if one[0] < SMALL_TEXT - 0.05] == []
    large = sum(length for size, length, _ in sizes if size >= 12)
    assert large > 0.6 * sum(length for _, length, _ in sizes)
