"""A small company, its talk, and providers that play a part."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pyarrow as pa
import pytest

from dnr_core.comms.tables import COMMS_USERS, EMAIL_MESSAGES, NLQ, SLACK_MESSAGES
from dnr_core.config.settings import Settings
from dnr_core.hookspecs import hookimpl
from dnr_core.model import (
    Archetype,
    Column,
    CommsTables,
    Price,
    ProviderSpec,
    Reply,
    Request,
    Schema,
    Table,
    Usage,
)
from dnr_core.plugins import load_plugins

START = datetime(2025, 3, 3, 18, 0, tzinfo=UTC)


def shop() -> Archetype:
    payments = Table(
        "fact_payment",
        (
            Column("order_id", "int64", aliases=("order number",)),
            Column("fee_cents", "int64"),
            Column("status", "string"),
        ),
        kind="fact",
        title="payments",
        aliases=("payouts",),
    )
    orders = Table(
        "fact_order",
        (Column("order_id", "int64"), Column("buyer_id", "int64"), Column("status", "string")),
        kind="fact",
        title="orders",
    )
    return Archetype("shop", "Shop", Schema((payments, orders)))


class Talk:
    """Builds the four tables of talk, message by message."""

    def __init__(self) -> None:
        self.slack: list[dict[str, Any]] = []
        self.email: list[dict[str, Any]] = []
        self.nlq: list[dict[str, Any]] = []
        self.users: list[dict[str, Any]] = []

    def thread(
        self,
        thread_id: str,
        texts: Iterable[str],
        *,
        at: datetime = START,
        channel: str = "c1",
        bucket: str = "analytics",
        users: Iterable[str] = (),
        **flags: bool,
    ) -> Talk:
        writers = list(users) or ["u1"]
        for place, text in enumerate(texts):
            self.slack.append(
                {
                    "message_id": f"{thread_id}-{place}",
                    "thread_id": thread_id,
                    "channel_id": channel,
                    "channel_cat": bucket,
                    "ts": at + timedelta(minutes=place),
                    "user_id": writers[place % len(writers)],
                    "text": text,
                    "reply_to": None if place == 0 else f"{thread_id}-0",
                    "has_code": flags.get("has_code", False),
                    "has_link": flags.get("has_link", False),
                }
            )
        return self

    def mail(
        self,
        message_id: str,
        body: str,
        *,
        thread: str = "",
        subject: str = "",
        at: datetime = START,
    ) -> Talk:
        self.email.append(
            {
                "message_id": message_id,
                "thread_id": thread or message_id,
                "ts": at,
                "from_id": "u1",
                "list_cat": "analytics",
                "subject": subject,
                "body_text": body,
            }
        )
        return self

    def query(
        self, query_id: str, text: str, *, sql: str | None = None, at: datetime = START
    ) -> Talk:
        self.nlq.append(
            {
                "query_id": query_id,
                "user_id": "u1",
                "app": "bi",
                "ts": at,
                "query_text": text,
                "generated_sql": sql,
            }
        )
        return self

    def person(self, user_id: str, role: str, source: str = "slack") -> Talk:
        self.users.append({"source": source, "user_id": user_id, "role": role})
        return self

    def tables(self) -> CommsTables:
        return CommsTables(
            pa.Table.from_pylist(self.slack, schema=SLACK_MESSAGES),
            pa.Table.from_pylist(self.email, schema=EMAIL_MESSAGES),
            pa.Table.from_pylist(self.users, schema=COMMS_USERS),
            pa.Table.from_pylist(self.nlq, schema=NLQ),
        )


def by_words(request: Request) -> dict[str, Any]:
    """A classifier that knows two words, and a namer that knows none."""
    if request.purpose == "entities":
        return {"tables": [], "columns": [], "confidence": 0.5}
    theme = "none"
    if "stale" in request.item:
        theme = "freshness_ingest_lag"
    elif "duplicate" in request.item:
        theme = "duplicates_dedup"
    return {
        "theme": theme,
        "relevance": "negative" if theme == "none" else "positive",
        "theme_confidence": 0.8,
        "relevance_confidence": 0.9,
    }


class Player:
    """A provider that answers by a function, and remembers what it was asked."""

    def __init__(
        self, answer: Callable[[Request], Any], *, local: bool = True, tokens: int = 100
    ) -> None:
        self.model = "player-1"
        self.local = local
        self.price = None if local else Price(1.0, 2.0)
        self.answer = answer
        self.asked: list[Request] = []
        self.tokens = tokens
        self.charged_usd = 0.0

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        answer = self.answer(request)
        if isinstance(answer, Exception):
            raise answer
        usage = Usage(min(self.tokens, self.prompt_tokens_at_most(request)), 20)
        if self.price is not None:
            self.charged_usd += self.price.cost_usd(usage)
        raw = answer if isinstance(answer, str) else json.dumps(answer)
        return Reply(raw, usage, self.model)

    def prompt_tokens_at_most(self, request: Request) -> int:
        return 200 + len(request.item.encode("utf-8", "replace"))


def settings_with(**changes: Mapping[str, Any]) -> Settings:
    """Default settings with the player as provider; keywords name sections."""
    settings = Settings()
    merged: dict[str, dict[str, Any]] = {
        "classification": {"provider": "player", "model": "player-1"},
        "entities": {"provider": "player", "model": "player-1"},
        "cache": {"enabled": False},
        "report": {"resamples": 60},
    }
    for section, values in changes.items():
        merged.setdefault(section, {}).update(values)
    return attrs.evolve(
        settings,
        **{
            name: attrs.evolve(getattr(settings, name), **values) for name, values in merged.items()
        },
    )


@pytest.fixture
def talk() -> Talk:
    return Talk()


@pytest.fixture
def company() -> Archetype:
    return shop()


@pytest.fixture
def settings() -> Callable[..., Settings]:
    return settings_with


@pytest.fixture
def player(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Make a player and the catalogue that has it."""

    def make(answer: Callable[[Request], Any] = by_words, **options: Any) -> Any:
        provider = Player(answer, **options)
        module = types.ModuleType("demand_test_player")
        module.make = lambda _model, _settings: provider  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "demand_test_player", module)

        class Plugin:
            @hookimpl
            def dnr_llm_providers(self) -> list[ProviderSpec]:
                return [ProviderSpec("player", "Player", "demand_test_player:make", "player-1")]

        provider.catalogue = load_plugins(discover=False, extra=[Plugin()])  # type: ignore[attr-defined]
        return provider

    return make


@pytest.fixture
def new_talk() -> type[Talk]:
    return Talk


@pytest.fixture
def answer_by_words() -> Callable[[Request], dict[str, Any]]:
    return by_words
