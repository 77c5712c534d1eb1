"""Room: testing. Rules for providers: LLM001 and on."""

from __future__ import annotations

import asyncio
import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from attrs import evolve

from dnr_core.comms.write import SCHEMA
from dnr_core.errors import ConfigError, DnrError, ProviderError
from dnr_core.llm.answers import InvalidAnswer, Validator, parse_answer
from dnr_core.model import (
    ManyProvider,
    Price,
    Provider,
    Reply,
    Request,
    load,
)
from dnr_core.testing.property import first_found
from dnr_core.testing.rule import NotTriedError, Problem, rule
from dnr_core.testing.rules.requests import TEXTS, ask, classifications, entities, writings
from dnr_core.testing.trials import ProviderTrial

EXAMPLES: Final = 20
LEAST_BYTES_A_TOKEN: Final = 8
"""No tokenizer packs more bytes of prose than this into a token, on average."""


@rule(
    "LLM001",
    "provider",
    "must",
    "Its factory makes a provider",
    why="A provider is imported when it is chosen; what cannot be made then ends the run that chose it.",
    mend="let the factory take `(model, settings)`, ignore settings that it does not know, and return an object with all members of dnr_core.model.Provider",
)
def factory_makes_a_provider(trial: ProviderTrial) -> Iterator[Problem]:
    """The factory's path, its signature, what it returns."""
    spec = trial.subject
    where = f"factory {spec.factory}"
    if not spec.default_model:
        yield Problem(f"provider {spec.name}", "it has no default model")
    try:
        if not callable(load(spec.factory)):
            yield Problem(where, "it is nothing that can be called")
            return
        made: Any = trial.make()
    except Exception as error:
        yield Problem(where, f"{type(error).__name__}: {error}")
        return
    if not isinstance(made, Provider):
        lacking = [
            name
            for name in ("model", "price", "local", "complete", "prompt_tokens_at_most")
            if not hasattr(made, name)
        ]
        yield Problem(where, f"it made a {type(made).__name__} that lacks {', '.join(lacking)}")
    elif not inspect.iscoroutinefunction(made.complete):
        yield Problem(where, "`complete` is no coroutine function (async def)")
    elif made.model != spec.default_model:
        yield Problem(where, f"asked for the model {spec.default_model!r} it made {made.model!r}")


@rule(
    "LLM002",
    "provider",
    "must",
    "It says what it costs",
    why="The cap is kept by the price: one that is too low, or missing where money is charged, spends what nobody allowed.",
    mend="give `price` in US dollars a million tokens, None where it is not known; a `local` provider costs nothing",
    after="LLM001",
)
def price_is_told(trial: ProviderTrial) -> Iterator[Problem]:
    """Prices are numbers; local ones are nothing."""
    provider = trial.provider
    where = f"provider {trial.subject.name}, model {provider.model}"
    price = provider.price
    if price is None:
        return
    if not isinstance(price, Price):
        yield Problem(where, f"its price is {price!r}, no dnr_core.model.Price")
        return
    parts = (price.prompt_usd_per_million, price.completion_usd_per_million)
    if not all(isinstance(p, int | float) and math.isfinite(p) and p >= 0 for p in parts):
        yield Problem(where, f"its price is {parts}, in US dollars a million tokens")
    elif provider.local and any(parts):
        yield Problem(where, f"it is local, and costs {parts} US dollars a million tokens")
    elif not provider.local and not any(parts):
        yield Problem(where, "it is not local, and costs nothing; None says that it is not known")


@rule(
    "LLM003",
    "provider",
    "must",
    "It bounds the size of a prompt",
    why="Before each call the worst case is reserved under the cap: a bound that is too small lets the cap be passed.",
    mend="count bytes, of instructions, item and schema: a token stands for at least one byte",
    after="LLM001",
)
def size_is_bounded(trial: ProviderTrial) -> Iterator[Problem]:
    """`prompt_tokens_at_most` is a whole number that grows with the text, offline."""
    provider = trial.provider

    def drawn(st: Any) -> Any:
        return st.text(max_size=400)

    def holds(text: str) -> Problem | None:
        (one,) = classifications([text])
        longer = evolve(one, item=one.item + " and more of the same")
        sizes = provider.prompt_tokens_at_most(one), provider.prompt_tokens_at_most(longer)
        where = f"prompt_tokens_at_most of {len(one.instructions) + len(one.item):,} characters"
        if not all(type(size) is int for size in sizes):
            return Problem(where, f"it gave {sizes[0]!r}, no whole number")
        size = len((one.instructions + one.item).encode())
        if sizes[0] * LEAST_BYTES_A_TOKEN < size:
            return Problem(where, f"it said {sizes[0]:,} tokens for {size:,} bytes")
        if sizes[1] < sizes[0]:
            return Problem(where, "a longer text is said to have fewer tokens")
        return None

    yield from first_found(drawn, holds, EXAMPLES)


@rule(
    "LLM004",
    "provider",
    "must",
    "No key is shown",
    why="What a provider prints of itself ends in logs and tracebacks.",
    mend="keep the key out of `repr` and `str`, and raise `ConfigError` (with the variable's name, not its value) where there is none",
    after="LLM001",
)
def key_is_not_shown(trial: ProviderTrial) -> Iterator[Problem]:
    """`repr` and `str` of the provider, and the error without a key."""
    shown = f"{trial.provider!r} {trial.provider}"
    for name, value in trial.environ.items():
        if len(value) >= 8 and value in shown:
            yield Problem(f"provider {trial.subject.name}", f"it shows the value of {name}")
    if not trial.subject.needs_key:
        return
    try:
        factory: Any = load(trial.subject.factory)
        without = factory(trial.subject.default_model, {"environ": {}})
    except ConfigError:
        return
    except Exception as error:
        yield Problem(
            f"provider {trial.subject.name} without a key",
            f"it raised {type(error).__name__}, not ConfigError",
        )
        return
    yield Problem(
        f"provider {trial.subject.name} without a key", f"it made {type(without).__name__}"
    )


@rule(
    "LLM005",
    "provider",
    "must",
    "Answers obey the schema",
    why="An answer that does not fit is asked for again and paid for again, and lost if it does not fit then.",
    mend="return JSON of the request's schema in `Reply.raw`: its keys, its enums, nothing around it",
    after="LLM001",
)
def answers_obey(trial: ProviderTrial) -> Iterator[Problem]:
    """Texts of all sorts classified, tables named, talk written."""
    provider = trial.asked
    for request in [*classifications(TEXTS), *entities(TEXTS), *writings()]:
        found = _answer(provider, request)
        if found is not None:
            yield found
            return
    if not provider.local:
        return

    def drawn(st: Any) -> Any:
        return st.text(max_size=300)

    def holds(text: str) -> Problem | None:
        for request in (*classifications([text]), *entities([text])):
            found = _answer(provider, request)
            if found is not None:
                return found
        return None

    yield from first_found(drawn, holds, EXAMPLES)


def _answer(provider: Provider, request: Request) -> Problem | None:
    where = f"purpose {request.purpose}, item {request.item[:60]!r}"
    try:
        (reply,) = ask(provider, [request])
    except Exception as error:
        return Problem(where, f"it raised {type(error).__name__}: {error}")
    if not isinstance(reply, Reply):
        return Problem(where, f"it gave {type(reply).__name__}, not Reply")
    try:
        parse_answer(reply.raw, Validator(request.schema))
    except InvalidAnswer as error:
        return Problem(where, f"the answer does not fit: {error}")
    return None


@rule(
    "LLM006",
    "provider",
    "must",
    "It keeps to its bounds",
    why="Money is settled by what the reply says it used; more than was reserved passes the cap.",
    mend="ask the service for at most `max_tokens`, report the usage that it counted, and raise the bound of the prompt",
    after=("LLM003", "LLM005"),
)
def bounds_are_kept(trial: ProviderTrial) -> Iterator[Problem]:
    """Usage of real replies against the bounds."""
    provider = trial.asked
    requests = [*classifications(TEXTS[:3]), *entities(TEXTS[:2]), *writings()[:3]]
    for request, reply in zip(requests, ask(provider, requests), strict=True):
        where = f"purpose {request.purpose}, item {request.item[:60]!r}"
        if reply.model != provider.model and not reply.model.startswith(provider.model):
            yield Problem(where, f"the reply is of the model {reply.model!r}")
        if reply.usage is None:
            continue
        most = provider.prompt_tokens_at_most(request)
        used = reply.usage
        if not 0 <= used.prompt_tokens <= most:
            yield Problem(
                where, f"it used {used.prompt_tokens:,} prompt tokens, and said {most:,} at most"
            )
        if not 0 <= used.completion_tokens <= request.max_tokens:
            yield Problem(
                where,
                f"it used {used.completion_tokens:,} completion tokens of {request.max_tokens:,}",
            )


@rule(
    "LLM007",
    "provider",
    "must",
    "A local provider answers the same way every time",
    why="Local replies are not cached: a run that is repeated must get the same ones, in any order and in any number.",
    mend="draw from the request alone (its seed), keep nothing between calls, and let `complete_many` give what `complete` gives",
    after="LLM005",
)
def local_is_pure(trial: ProviderTrial) -> Iterator[Problem]:
    """Again, in the other order, from a new provider, and many at once."""
    provider = trial.asked
    if not provider.local:
        raise NotTriedError("it is not local: its replies are kept in the cache")
    requests = [*classifications(TEXTS), *entities(TEXTS), *writings()]
    first = ask(provider, requests)
    backward = ask(trial.make(), list(reversed(requests)))
    told = {"made anew and asked in the other order": list(reversed(backward))}
    if isinstance(provider, ManyProvider):
        told["asked for many at once"] = list(asyncio.run(_many(provider, requests)))
    for how, replies in told.items():
        if len(replies) != len(first):
            yield Problem(how, f"{len(replies)} replies to {len(first)} requests")
            continue
        for request, one, two in zip(requests, first, replies, strict=True):
            if one.raw != two.raw:
                yield Problem(
                    f"purpose {request.purpose}, item {request.item[:60]!r}",
                    f"{how} it gave another answer",
                )
                return


async def _many(provider: ManyProvider, requests: Sequence[Request]) -> Sequence[Reply]:
    return await provider.complete_many(requests)


@rule(
    "LLM008",
    "provider",
    "must",
    "What it cannot answer is a provider error",
    why="A run goes on past an item that fails, where the fault is one of dnr's; any other ends it.",
    mend="raise dnr_core.errors.ProviderError (or a kind of it) for requests that cannot be answered",
    after="LLM005",
)
def faults_are_told(trial: ProviderTrial) -> Iterator[Problem]:
    """Talk asked for without a brief, and a purpose that nobody has."""
    provider = trial.asked
    (one,) = classifications(["hello"])
    odd = [
        Request("write", one.instructions, "this is no brief", SCHEMA, 200),
        evolve(one, purpose=cast("Any", "fortune")),
    ]
    for request in odd:
        where = f"purpose {request.purpose}, item {request.item!r}"
        try:
            ask(provider, [request])
        except ProviderError:
            continue
        except DnrError as error:
            yield Problem(where, f"it raised {type(error).__name__}, which is no ProviderError")
        except Exception as error:
            yield Problem(where, f"it raised {type(error).__name__}: {error}")


@rule(
    "LLM009",
    "provider",
    "should",
    "Its maker says how good it is",
    why="Scores on made talk flatter: beside them the page shows what was measured on texts that people wrote.",
    mend="name in `measured` a callable that returns, by test set, `items`, `theme_macro_f1` and `relevance_macro_f1`; for a service whose models its users choose, declare the deviation",
    after="LLM001",
)
def is_measured(trial: ProviderTrial) -> Iterator[Problem]:
    """For local providers, whose quality is their maker's."""
    if not trial.provider.local:
        raise NotTriedError("it is not local: what is measured depends on the chosen model")
    path = trial.subject.measured
    where = f"provider {trial.subject.name}"
    if path is None:
        yield Problem(where, "it does not say what its maker measured")
        return
    found: Any = load(path)
    wanted = {"items", "theme_macro_f1", "relevance_macro_f1"}
    scores = found()
    if not any(isinstance(part, Mapping) and wanted <= part.keys() for part in scores.values()):
        yield Problem(where, f"no test set of {path} has {', '.join(sorted(wanted))}")
