"""Room: testing. The reference page of the rules, written from the registry: `python -m` this module."""

from __future__ import annotations

from dnr_core.testing.rule import KINDS
from dnr_core.testing.rules import rules_for

HEAD = """# Rules for authors
What an object of a plugin has to keep, written from the registry (`dnr_core.testing.RULES`). A **must** rule \
keeps a plugin from breaking runs, a **should** rule makes it good. The same rules go three ways:

- `dnr plugins check NAME` holds everything that an installed plugin brings against them. It ends with 1 where a \
must rule is broken, with `--strict` where any is; `--tier must` leaves the others out; `--json` gives plain values.
- `check_archetype`, `check_defect_kind`, `check_profile`, `check_style`, `check_provider`, `check_scorer` and \
`check_check` of `dnr_core.testing` return findings.
- Contract classes make a test of each rule; see [how to test a plugin](../how-to/test-a-plugin.md).

A rule is tried only where the rules that it stands on hold. What cannot be tried (a provider that needs a key, a \
company that is too small to judge) is told with its reason, and breaks nothing.
"""


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for kind, title in KINDS.items():
        parts.append(f"\n## {title[0].upper()}{title[1:]}\n")
        for rule in rules_for(kind):
            after = f" Tried where {', '.join(rule.after)} hold." if rule.after else ""
            parts.append(
                f"**{rule.id}** ({rule.tier}) **{rule.title}.** {rule.why} "
                f"*To mend it:* {rule.mend}.{after}\n"
            )
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - it is what the module is for
