"""The page as people use it: opened from disk, on a desk, a phone, in the dark, on paper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """Open the page, and note every request beyond itself and every console message."""
    context = browser.new_context(offline=True, bypass_csp=False, **options)
    page = context.new_page()
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(path.as_uri())
    yield page, [url for url in requests if url != path.as_uri()], messages
    context.close()


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 1280, "height": 800}},
        {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 740}, "has_touch": True},
        {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False},
    ],
    ids=["desk", "dark", "phone", "no script"],
)
def test_it_opens_from_disk_without_request_or_error(
    browser: Any, page_path: Path, options: Any
) -> None:
    """No request leaves the page, nothing is written to the console, nothing runs over the side."""
    with opened(browser, page_path, **options) as (page, requests, messages):
        assert page.locator("h1").is_visible()
        assert requests == []
        assert messages == []
        if options.get("java_script_enabled", True):
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "one need",
        "all hidden",
        "no money",
        "talk alone",
        "20 years",
        "500 tables",
        "evil names",
        "compared",
    ],
)
def test_unusual_companies_break_nothing(
    browser: Any, odd_pages: dict[str, Path], name: str, width: int
) -> None:
    """Markup, right-to-left and endless words, many tables, no money: all is text, in the frame."""
    size = {"width": width, "height": 800}
    with opened(browser, odd_pages[name], viewport=size) as (page, requests, messages):
        assert requests == []
        assert messages == []
        assert page.locator("h1").is_visible()
        assert page.locator("script").count() == 1
        wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0
        clipped = page.evaluate(
            "[...document.querySelectorAll('.card, .first p, h1, h2, blockquote')]"
            ".filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className || e.tagName)"
        )
        assert clipped == []
    assert odd_pages[name].stat().st_size < 1_000_000


def test_the_keyboard_reaches_everything(browser: Any, page_path: Path) -> None:
    """The first stop skips to the sections; every link, button and query can be reached, in sight."""
    with opened(browser, page_path, viewport={"width": 1280, "height": 800}) as (page, _, _):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        assert page.locator(".skip").bounding_box()["x"] >= 0
        stops = page.locator("a[href], th button, summary, [tabindex='0']").count()
        seen = 1
        while seen < stops + 1:
            page.keyboard.press("Tab")
            tag = page.evaluate("document.activeElement.tagName")
            if tag == "BODY":
                break
            seen += 1
        hidden = page.evaluate(
            "[...document.querySelectorAll('details:not([open]) [tabindex], "
            "details:not([open]) th button')].filter(e => e.tagName != 'SUMMARY').length"
        )
        assert seen >= stops - hidden


def test_the_first_screen_holds_the_answer(browser: Any, page_path: Path) -> None:
    """On 1280 x 800 the sentence, the cards, the bars, the strips and the footing are in sight."""
    with opened(browser, page_path, viewport={"width": 1280, "height": 800}) as (page, _, _):
        for selector in ("h1", ".card", ".looks svg.full", ".strip svg.full", ".first > .foot"):
            for box in [item.bounding_box() for item in page.locator(selector).all()]:
                assert box
                assert box["y"] + box["height"] <= 800, selector


def test_a_table_sorts_by_keyboard(browser: Any, page_path: Path) -> None:
    """A header button, reached by keyboard, sorts its column and says so."""
    with opened(browser, page_path) as (page, _, _):
        button = page.locator("#needs th button").nth(1)
        button.focus()
        page.keyboard.press("Enter")
        assert button.locator("..").get_attribute("aria-sort") == "ascending"
        cells = page.locator("#needs tbody tr td:nth-child(2)").all_text_contents()
        assert cells == sorted(cells, key=float)


def test_messages_are_text(browser: Any, page_path: Path) -> None:
    """Markup in a message is shown, and makes no element."""
    with opened(browser, page_path) as (page, _, _):
        assert page.locator("q img, q script").count() == 0
        assert "<img src=x" in (page.locator("q").first.text_content() or "")


@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_it_prints_with_the_first_screen_on_page_one(
    browser: Any, page_path: Path, paper: str, tmp_path: Path
) -> None:
    """The first printed page ends with the footing; the whole prints in few pages."""
    import pypdf

    with opened(browser, page_path) as (page, _, _):
        page.pdf(path=str(tmp_path / "page.pdf"), format=paper, prefer_css_page_size=False)
    sheets = pypdf.PdfReader(tmp_path / "page.pdf").pages
    first, second = (sheets[number].extract_text() for number in (0, 1))
    assert "column-days tested" in first
    assert "Health of the tables" not in first
    assert "Health of the tables" in second
    assert len(sheets) <= 14


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_nothing_serious(browser: Any, page_path: Path, scheme: str, width: int) -> None:
    """axe-core reports no serious or critical fault, in light, in dark, and on a phone."""
    size = {"width": width, "height": 800}
    context = browser.new_context(bypass_csp=True, color_scheme=scheme, viewport=size)
    page = context.new_page()
    page.goto(page_path.as_uri())
    page.evaluate(Path(os.environ["DNR_AXE"]).read_text("utf-8"))
    found = page.evaluate("axe.run(document)")
    context.close()
    serious = [
        (fault["id"], [node["html"][:120] for node in fault["nodes"][:3]])
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
    assert serious == []
