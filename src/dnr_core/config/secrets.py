"""Room: config. Mask what looks like a secret, wherever a value is shown."""

from __future__ import annotations

import re
from typing import Final

_USERINFO: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*://)(?P<user>[^/@:\s]*):(?P<secret>[^/\s]*)@"
)
_KEY: Final = re.compile(r"\bsk-[A-Za-z0-9_\-]{6,}|\b[A-Za-z0-9_\-]{40,}\b")


def mask(text: str) -> str:
    """Return `text` with passwords of URLs and API keys replaced by `***`."""
    return _KEY.sub("***", _USERINFO.sub(r"\g<scheme>\g<user>:***@", text))
