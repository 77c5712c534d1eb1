"""Room: report. The page: one file, no network, readable without its one small script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from dnr_core.config.visible import visible
from dnr_core.report.chart import Chart, Drawings
from dnr_core.report.charts import Charts, all_charts
from dnr_core.report.svg import Styles, inline

SECTIONS: Final = (
    ("since", "Changes"),
    ("health", "Health"),
    ("money", "Money"),
    ("themes", "What people ask for"),
    ("incidents", "Incidents"),
    ("needs", "All needs"),
    ("proof", "Proof"),
    ("days", "Data"),
    ("method", "Method and limits"),
)


def template_text(name: str) -> str:
    """Return a packaged template."""
    return files("dnr_core.report").joinpath("templates", name).read_text(encoding="utf-8")


class _Templates(Environment):
    """Templates in which a dot reads the document, never a method of a dictionary."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Read a mapping's entry; of anything else, the attribute."""
        if isinstance(obj, Mapping):
            if attribute in obj:
                return obj[attribute]
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates, with everything that is put into them escaped."""
    names = ("page.html.j2", "parts.html.j2", "index.html.j2", "fragment.html.j2")
    return _Templates(
        loader=DictLoader({name: template_text(name) for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def hash_source(text: str) -> str:
    """Return the Content-Security-Policy source of an inline style or script."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def policy(css: str, script: str | None) -> str:
    """Return a policy that forbids everything but this style sheet and this script."""
    allowed = [f"style-src {hash_source(css)}"]
    if script is not None:
        allowed.append(f"script-src {hash_source(script)}")
    return "; ".join(["default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"])


def safe(text: str) -> Markup:
    """Mark our own markup (a chart, the style sheet) as such; nothing from data comes here."""
    return Markup(text)  # noqa: S704


def _shown(chart: Chart, drawings: Drawings, styles: Styles) -> dict[str, Any]:
    return {
        "title": chart.title,
        "description": chart.description,
        "svg": safe(inline(drawings.svg(chart), chart, styles)),
        "columns": chart.columns,
        "rows": chart.rows,
    }


def _both(wide: Chart, narrow: Chart, drawings: Drawings, styles: Styles) -> dict[str, Any]:
    full = inline(drawings.svg(wide), wide, styles)
    slim = inline(drawings.svg(narrow), narrow, styles, suffix="-s")
    return {
        "title": wide.title,
        "full": safe(full.replace("<svg ", '<svg class="full" ', 1)),
        "slim": safe(slim.replace("<svg ", '<svg class="slim" ', 1)),
        "columns": wide.columns,
        "rows": wide.rows,
    }


def page(document: Mapping[str, Any], drawings: Drawings | None = None) -> str:
    """Return the whole page of a report's document; `drawings` are figures drawn already."""
    from dnr_core.report.save import version

    styles = Styles()
    charts = all_charts(document)
    empty = {
        "since": document["compare"] is None,
        "days": not (charts.strips or charts.bars),
    }
    there = [section for section in SECTIONS if not empty.get(section[0])]
    shown = [(n, name, title) for n, (name, title) in enumerate(there, 1)]
    numbers = {name: n for n, name, _ in shown}
    figures = _figures(document, charts, drawings or Drawings(), styles)
    css = " ".join(template_text("page.css").split("\n")) + styles.sheet()
    script = template_text("sort.js").strip()
    return visible(
        environment()
        .get_template("page.html.j2")
        .render(
            doc=_with_sections(document, numbers["proof"]),
            css=safe(css),
            script=safe(script),
            policy=policy(css, script),
            numbers=numbers,
            sections=shown,
            version=version(),
            **figures,
        )
    )


def _with_sections(document: Mapping[str, Any], section: int) -> dict[str, Any]:
    themes = dict(document["themes"])
    return {
        **document,
        "cards": [{**need, "section": section} for need in document["cards"]],
        "themes": themes,
    }


def _figures(
    document: Mapping[str, Any], charts: Charts, drawings: Drawings, styles: Styles
) -> dict[str, Any]:
    strips = []
    for strip, (wide, narrow) in zip(document["strips"], charts.strips, strict=True):
        strips.append(
            {
                **_both(wide, narrow, drawings, styles),
                "heading": strip["title"],
                "metric": strip["metric_text"],
                "text": strip["text"],
            }
        )

    def group(*found: Chart | None) -> list[dict[str, Any]]:
        return [_shown(chart, drawings, styles) for chart in found if chart]

    return {
        "bars": _both(*charts.bars, drawings, styles) if charts.bars else None,
        "strips": strips,
        "health_figures": group(charts.heat),
        "money_figures": group(charts.revenue, charts.kpis),
        "theme_figures": group(charts.themes, charts.themes_by_month),
        "incident_figures": group(charts.incidents),
    }


def fragment(document: Mapping[str, Any]) -> str:
    """Return the answer and its cards in brief, for a notebook."""
    return visible(environment().get_template("fragment.html.j2").render(doc=document))
