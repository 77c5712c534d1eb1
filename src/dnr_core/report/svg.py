"""Room: report. A matplotlib SVG made part of the page: small, described, in the page's colours."""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from dnr_core.report.chart import VARIABLES, Chart

SVG: Final = "{http://www.w3.org/2000/svg}"
XLINK: Final = "{http://www.w3.org/1999/xlink}"
_DROPPED: Final = {"stroke-linejoin", "stroke-linecap", "font-family", "stroke-miterlimit"}
SCROLLED: Final = 700
"""Wider figures keep a readable size on a phone, and scroll there."""
_NUMBER: Final = re.compile(r"-?\d+\.\d+")
_FONT: Final = re.compile(r"(?:(\d+|bold)\s+)?([\d.]+)px\s+.*")


class Styles:
    """Declarations that charts use, as classes of the page's one style sheet."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def name_of(self, declarations: str) -> str:
        """Return the class of these declarations."""
        return self._names.setdefault(declarations, f"c{len(self._names)}")

    def sheet(self) -> str:
        """Return the style sheet of all classes."""
        return "".join(f".{name}{{{text}}}" for text, name in self._names.items())


def inline(drawn: bytes, chart: Chart, styles: Styles, *, suffix: str = "") -> str:
    """Return a drawn figure as an `svg` element for the page."""
    root = ET.fromstring(drawn)  # noqa: S314 - our own bytes, drawn by our own library
    name = chart.name + suffix
    _clean(root, styles)
    _own_ids(root, name)
    root = _flattened(root)
    root.attrib.clear()
    root.set("width", str(chart.width))
    if chart.width > SCROLLED:
        root.set("class", "w")
    root.set("viewBox", f"0 0 {chart.width} {chart.height}")
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-t {name}-d")
    for position, (tag, text) in enumerate((("title", chart.title), ("desc", chart.description))):
        element = ET.Element(f"{SVG}{tag}", {"id": f"{name}-{tag[0]}"})
        element.text = text
        root.insert(position, element)
    text = ET.tostring(root, encoding="unicode", short_empty_elements=True)
    text = re.sub(r"<(/?)ns\d+:", r"<\1", text)
    text = re.sub(r'\s+xmlns:ns\d+="[^"]*"', "", text)
    return re.sub(r">\s+<", "><", text)


def _clean(element: ET.Element, styles: Styles) -> None:
    for child in list(element):
        if child.tag in {f"{SVG}metadata", f"{SVG}style"}:
            element.remove(child)
            continue
        _clean(child, styles)
    href = element.attrib.pop(f"{XLINK}href", None)
    if href:
        element.set("href", href)
    style = element.attrib.pop("style", "")
    declarations = _declarations(style)
    if element.tag == f"{SVG}text":
        transform = element.attrib.get("transform", "")
        if re.match(r"rotate\(-?0(\.0*)? ", transform):
            del element.attrib["transform"]
    if declarations:
        element.set("class", styles.name_of(declarations))
    for attribute in ("d", "x", "y", "width", "height", "transform"):
        value = element.attrib.get(attribute)
        if value:
            element.set(attribute, _short(value))
    if element.text is not None and element.tag != f"{SVG}text":
        element.text = None
    element.tail = None


def _short(value: str) -> str:
    def rounded(match: re.Match[str]) -> str:
        text = f"{float(match.group()):.1f}"
        return (text[:-2] if text.endswith(".0") else text).replace("-0", "-0") or "0"

    return " ".join(_NUMBER.sub(rounded, value).split())


def _declarations(style: str) -> str:
    kept = []
    for part in style.split(";"):
        name, colon, value = part.partition(":")
        name, value = name.strip(), value.strip()
        if not colon or name in _DROPPED:
            continue
        if name == "font":
            found = _FONT.match(value)
            if found:
                kept.append(f"font-size:{found.group(2)}px")
                if found.group(1):
                    kept.append(f"font-weight:{found.group(1)}")
            continue
        variable = VARIABLES.get(value.lower())
        kept.append(f"{name}:{f'var({variable})' if variable else value}")
    return ";".join(kept)


def _own_ids(root: ET.Element, prefix: str) -> None:
    """Keep the ids that something refers to, and make them this figure's own."""
    used: set[str] = set()
    for element in root.iter():
        for value in element.attrib.values():
            used.update(re.findall(r"url\(#([^)]+)\)", value))
        if element.get("href", "").startswith("#"):
            used.add(element.attrib["href"][1:])
    names = {old: f"{prefix}-{number}" for number, old in enumerate(sorted(used))}
    for element in root.iter():
        own = element.get("id")
        if own is not None:
            if own in names:
                element.set("id", names[own])
            else:
                del element.attrib["id"]
        for attribute, value in list(element.attrib.items()):
            if "url(#" in value:
                element.set(
                    attribute,
                    re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{names[m.group(1)]})", value),
                )
            elif attribute == "href" and value.startswith("#"):
                element.set(attribute, f"#{names[value[1:]]}")


def _flattened(element: ET.Element) -> ET.Element:
    """Take away groups that say nothing."""
    children: list[ET.Element] = []
    for child in element:
        flat = _flattened(child)
        if flat.tag == f"{SVG}g" and not flat.attrib:
            children.extend(flat)
        elif flat.tag == f"{SVG}defs" and not len(flat):
            continue
        else:
            children.append(flat)
    for child in list(element):
        element.remove(child)
    element.extend(children)
    return element
