"""Room: model. One request to a language model, one reply, and what a provider is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from attrs import field, frozen

Purpose = Literal["classify", "entities", "write"]
Finish = Literal["stop", "length", "content_filter", "refusal"]


@frozen
class Request:
    """One item for a model: `instructions` are ours, `item` is untrusted text.

    `schema` is the strict JSON schema of the answer. The cache key is this value and the model.
    """

    purpose: Purpose
    instructions: str
    item: str
    schema: Mapping[str, Any]
    max_tokens: int
    temperature: float = 0.0


@frozen
class Usage:
    """Tokens of one call, as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int


@frozen
class Reply:
    """What came back, unread: `raw` is the text of the answer, not yet validated.

    `usage` is None where the server did not count: the call is charged at its worst case then.
    """

    raw: str
    usage: Usage | None
    model: str
    finish: Finish = "stop"


@frozen
class Price:
    """US dollars for a million tokens."""

    prompt_usd_per_million: float
    completion_usd_per_million: float

    def cost_usd(self, usage: Usage) -> float:
        """Cost of one call in US dollars."""
        return (
            usage.prompt_tokens * self.prompt_usd_per_million
            + usage.completion_tokens * self.completion_usd_per_million
        ) / 1_000_000


@runtime_checkable
class Provider(Protocol):
    """Turns one request into one reply. Cache, budget, retries, repair, concurrency are the core's.

    `price` is None where the model's price is not known: such a model starts only with `--price`.
    `local` providers cost nothing, reach no network and are not cached.
    Faults are raised as `dnr_core.errors.ProviderError` and its kinds.
    """

    model: str
    price: Price | None
    local: bool

    async def complete(self, request: Request) -> Reply:
        """Answer one request, or raise one of the provider errors."""
        ...

    def prompt_tokens_at_most(self, request: Request) -> int:
        """Upper bound of the prompt's tokens, offline."""
        ...


@runtime_checkable
class ClosableProvider(Protocol):
    """A provider that holds connections of one event loop: it is closed at the end of each run.

    A closed provider can be used again; it connects anew.
    """

    async def aclose(self) -> None:
        """Close what is open, in the loop that opened it."""
        ...


@runtime_checkable
class ManyProvider(Protocol):
    """A local provider that answers many requests together, faster than one by one.

    Each answer is the one that `complete` would give. Where it raises, the requests are put one
    by one, so that a fault is the fault of one item.
    """

    async def complete_many(self, requests: Sequence[Request]) -> Sequence[Reply]:
        """Answer the requests, in their order."""
        ...


@runtime_checkable
class BatchProvider(Protocol):
    """A provider that also takes many requests as one job, for less money and without haste."""

    batch_price: Price | None
    """Price of the tokens of a job."""

    async def submit_batch(self, requests: Sequence[Request], tag: str) -> str:
        """Start a job that carries `tag`, and return the job's name."""
        ...

    async def find_batch(self, tag: str) -> str | None:
        """Return the name of the job that carries `tag`, None where there is none."""
        ...

    async def collect_batch(self, job: str) -> Mapping[int, Reply | ProviderFault] | None:
        """Return what came of each request, by its position; None while the job is running.

        A position that is missing was not answered. A job that was refused as a whole raises a
        provider error.
        """
        ...


@frozen
class ProviderFault:
    """Why one request of a job has no reply. `reason` is for a person and quotes nothing."""

    reason: str


@frozen
class ProviderSpec:
    """How to make a provider; nothing of it is imported before it is chosen.

    `factory` is the dotted path of `(model: str, settings: Mapping[str, Any]) -> Provider`. The
    settings have the environment to take secrets from under `environ`; what a provider does not
    know, it ignores.
    """

    name: str
    title: str
    factory: str
    default_model: str
    needs_key: bool = field(default=False, kw_only=True)
    settings: str | None = field(default=None, kw_only=True)
    """Dotted path of the attrs class of the provider's own settings."""
    measured: str | None = field(default=None, kw_only=True)
    """Dotted path of a callable that returns what its maker measured of it: by name of the test
    set ("golden": written by hand), a mapping with `items`, `theme_macro_f1`, `relevance_macro_f1`.
    Shown beside scores on made talk, which flatter.
    """
