"""Room: llm. Text as it can be sent: no lone surrogates."""

from __future__ import annotations

from attrs import evolve

from dnr_core.model import Request


def sound(request: Request) -> Request:
    """Return the request with lone surrogates replaced: no JSON on a wire can carry them.

    A pair of surrogates becomes the character that it stands for.
    """
    if request.item.isascii():
        return request
    try:
        request.item.encode("utf-8")
    except UnicodeEncodeError:
        text = request.item.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return evolve(request, item=text)
    return request
