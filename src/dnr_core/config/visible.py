"""Room: config. Characters that no one sees, or that command a terminal, written out."""

from __future__ import annotations

import re
from typing import Final

# Controls but tab and newline (a lone carriage return writes over its line), and the marks that
# turn the order of what follows. Marks of right-to-left scripts themselves stay.
_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Return `text` with NUL, escape and the like as `\u0000`, for pages and terminals.

    JSON in which it is used stays the same JSON.
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
