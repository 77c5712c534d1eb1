"""Room: plugin openai. Many requests as one job of the batch API, at half the price."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import openai

from dnr_core.errors import ProviderError, TransientProviderError
from dnr_core.model import Price, ProviderFault, Reply
from dnr_llm_openai.replies import read_reply

_ENDPOINT: Final = "/v1/chat/completions"
_TAG: Final = "dnr_tag"
_RUNNING: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
# A lost name is looked for among the newest jobs: it was submitted moments before a kill.
_NEWEST: Final = 300


def half(price: Price | None) -> Price | None:
    """Return the price of a job's tokens."""
    if price is None:
        return None
    return Price(price.prompt_usd_per_million / 2, price.completion_usd_per_million / 2)


async def submit(client: openai.AsyncOpenAI, bodies: Sequence[Mapping[str, Any]], tag: str) -> str:
    """Upload the bodies as one file, start a job on it, and return the job's name."""
    lines = [
        json.dumps({"custom_id": str(n), "method": "POST", "url": _ENDPOINT, "body": body})
        for n, body in enumerate(bodies)
    ]
    content = ("\n".join(lines) + "\n").encode()
    file = await client.files.create(file=(f"{tag}.jsonl", content), purpose="batch")
    job = await client.batches.create(
        input_file_id=file.id,
        endpoint=_ENDPOINT,
        completion_window="24h",
        metadata={_TAG: tag},
    )
    return job.id


async def find(client: openai.AsyncOpenAI, tag: str) -> str | None:
    """Return the job that carries `tag`."""
    seen = 0
    async for job in client.batches.list(limit=100):
        if (job.metadata or {}).get(_TAG) == tag:
            return job.id
        seen += 1
        if seen >= _NEWEST:
            return None
    return None


async def collect(
    client: openai.AsyncOpenAI, job: str, model: str
) -> Mapping[int, Reply | ProviderFault] | None:
    """Return what a finished job brought, None while it runs.

    Raises:
        ProviderError: the job was refused as a whole.
    """
    try:
        state = await client.batches.retrieve(job)
    except openai.NotFoundError:
        raise ProviderError("the service does not know the job any more") from None
    if state.status in _RUNNING:
        return None
    if state.status == "failed":
        raise ProviderError(
            "the service refused the job", hint="look at the job in the service's own pages"
        )
    found: dict[int, Reply | ProviderFault] = {}
    # Done, expired and cancelled jobs alike keep what was answered until then.
    for file_id in (state.error_file_id, state.output_file_id):
        if file_id:
            text = (await client.files.content(file_id)).text
            found.update(_lines(text, model))
    return found


def _lines(text: str, model: str) -> Iterator[tuple[int, Reply | ProviderFault]]:
    # Not splitlines: a text in a reply may hold other separators, unescaped.
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            number = int(entry["custom_id"])
            response = entry["response"]
            status = response["status_code"]
        except (ValueError, TypeError, KeyError, RecursionError):
            continue
        if status != 200:
            said = f"the server answered {status}" if isinstance(status, int) else "not answered"
            yield number, ProviderFault(said)
            continue
        try:
            yield number, read_reply(response.get("body"), model)
        except TransientProviderError:
            # An answer that cannot be read was charged all the same: it is as one without an answer.
            continue
