"""Room: plugin openai. List prices, offline, from the data that genai-prices ships."""

from __future__ import annotations

from dnr_core.model import Price

# Small enough for the lowest tier of prices by length; a prompt of dnr has a few thousand tokens.
_SAMPLE_TOKENS = 1000


def list_price(model: str, url: str) -> Price | None:
    """Return the list price of `model` at the server `url`, or None where it is not known.

    A model's name must be known exactly (dated versions are); nothing is guessed from a prefix.
    """
    from genai_prices import Usage, calc_price

    try:
        prompt = calc_price(
            Usage(input_tokens=_SAMPLE_TOKENS, output_tokens=0), model, provider_api_url=url
        )
        answer = calc_price(
            Usage(input_tokens=0, output_tokens=_SAMPLE_TOKENS), model, provider_api_url=url
        )
    except (LookupError, ValueError):
        return None
    million = 1_000_000 // _SAMPLE_TOKENS
    price = Price(
        prompt_usd_per_million=float(prompt.total_price * million),
        completion_usd_per_million=float(answer.total_price * million),
    )
    # A price of nothing is a gap in the data: no one is charged nothing by a server like this.
    if price.prompt_usd_per_million <= 0 or price.completion_usd_per_million <= 0:
        return None
    return price
