"""Room: demand. Whether a need was met: what the last word on it was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_MET: Final = re.compile(
    r"""\b(?:(?:is|are|was|been|now|got|all|it's|that's)\s+)?
    (?:fixed|resolved|merged|deployed|shipped|backfilled|re-?ran|reloaded|caught\ up|patched|granted
      |deduped|closing\ (?:this|the\ (?:ticket|thread|loop))|closed\ the\ (?:ticket|issue)
      |all\ good\ now|works?\ (?:now|again)|back\ to\ normal|sorted\ (?:now|out)|done\ and\ dusted
      |live\ now|rolled\ out|fix\ is\ (?:in|out|live)|looks\ (?:good|right)\ now)\b""",
    re.I | re.X,
)
_OPEN: Final = re.compile(
    r"""\b(?:not|never|isn't|wasn't|hasn't\ been|hasn't|haven't|aren't|not\ yet|yet\ to\ be|until\ (?:it|this|that)\ is
      |when\ will\ (?:it|this|that)\ be|should\ be|needs?\ to\ be|can\ (?:it|this|we)\ (?:be|get)|get\ (?:it|this|that)
      |to\ be|will\ be|once\ (?:it|this|that)(?:'s|\ is)?|please\ get|be)\s+(?:\w+\s+){0,2}
      (?:fixed|resolved|merged|deployed|shipped|backfilled|reloaded|patched|granted|deduped)\b
      |\bstill\ (?:broken|wrong|failing|missing|stale|late|seeing|waiting|open|happening|not)\b
      |\bbroke(?:n)?\ again\b|\b(?:happened|happening|back)\ again\b|\bre-?opened\b|\breopening\b
      |\bno\ (?:update|answer|fix|eta)\b|\bany\ (?:update|news|eta)\b|\bbump(?:ing)?\b""",
    re.I | re.X,
)


def is_unmet(texts: Iterable[str]) -> bool:
    """Return True unless the last sign in the texts, in order of time, is one of closure.

    "Not fixed yet" and "can this be fixed" are no closure; "still broken" after "fixed" opens
    it again.
    """
    met = False
    for text in texts:
        if _OPEN.search(text):
            met = False
        elif _MET.search(text):
            met = True
    return not met
