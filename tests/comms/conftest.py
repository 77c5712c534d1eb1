"""A small company that no plugin brings, a writer that costs money, and exports made by hand."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from dnr_core.comms import CommsFolder, generate_comms
from dnr_core.config import Settings
from dnr_core.hookspecs import hookimpl
from dnr_core.model import (
    Amount,
    Archetype,
    Column,
    EventTime,
    ForeignKey,
    Price,
    ProviderSpec,
    Reply,
    Request,
    RevenueStream,
    Schema,
    Table,
    Usage,
)
from dnr_core.plugins import load_plugins
from dnr_core.workspace import Manifest, write_manifest

SHOP = Archetype(
    name="shop",
    title="a shop",
    schema=Schema(
        (
            Table(
                "dim_client",
                (
                    Column("client_id", "int64", required=True),
                    Column("created_at", "timestamp"),
                    Column("country", "string", aliases=("land",), values=("de", "us")),
                ),
                primary_key="client_id",
                created_at="created_at",
                aliases=("clients",),
            ),
            Table(
                "fact_sale",
                (
                    Column("sale_id", "int64", required=True),
                    Column("client_id", "int64", aliases=("client number",)),
                    Column("sold_at", "timestamp"),
                    Column("order", "string"),
                    Column("amount_cents", "int64"),
                    Column("loaded_at", "timestamp"),
                ),
                primary_key="sale_id",
                foreign_keys=(
                    ForeignKey("client_id", "dim_client", "client_id", parent_time="created_at"),
                ),
                event_time=EventTime("sold_at"),
                loaded_at="loaded_at",
                kind="fact",
                title="sales",
            ),
            Table(
                "fact_visit",
                (
                    Column("visit_id", "int64", required=True),
                    Column("client_id", "int64"),
                    Column("seen_at", "timestamp"),
                    Column("channel", "string", values=("web", "app")),
                    Column("loaded_at", "timestamp"),
                ),
                primary_key="visit_id",
                foreign_keys=(ForeignKey("client_id", "dim_client", "client_id"),),
                event_time=EventTime("seen_at"),
                loaded_at="loaded_at",
                kind="fact",
                title="visits",
            ),
        )
    ),
    streams=(RevenueStream("sales", "fact_sale", Amount("amount_cents"), time="sold_at"),),
    volumes={"dim_client": 1000, "fact_sale": 2_000_000, "fact_visit": 2_000_000},
    vocabulary={"dashboard": ("the shop board",)},
)


class PaidWriter:
    """Writes what the script says, for a price, and counts what it was asked."""

    def __init__(self, model: str, price_usd_per_million: float) -> None:
        self.model = model
        self.price: Price | None = Price(price_usd_per_million, price_usd_per_million)
        self.local = price_usd_per_million == 0

    async def complete(self, request: Request) -> Reply:
        brief = json.loads(request.item)
        _ASKED.append(request.item)
        value = _SCRIPT["answer"](brief)
        return Reply(json.dumps(value), Usage(100, 50), self.model)

    def prompt_tokens_at_most(self, request: Request) -> int:
        return len(request.instructions) + len(request.item)


def plain_answer(brief: dict[str, Any]) -> dict[str, Any]:
    """An answer that says what the brief says."""
    about = brief["table"] if brief["named"] else (brief["table_names"] or ["nothing"])[0]
    return {
        "messages": [
            {"speaker": n % len(brief["speakers"]), "text": f"{about} {brief['theme']} {n}"}
            for n in range(brief["messages"])
        ],
        "subject": f"about {about}",
        "sql": None,
        "skeleton": f"s-{brief['theme']}",
    }


_ASKED: list[str] = []
_SCRIPT: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"answer": plain_answer}


class ShopPlugin:
    """Brings the shop and the two writers."""

    @hookimpl
    def dnr_archetypes(self) -> list[Archetype]:
        return [SHOP]

    @hookimpl
    def dnr_llm_providers(self) -> list[ProviderSpec]:
        return [
            ProviderSpec("paid", "a writer for money", "dnr_comms_test_writer:make", "paid-1"),
            ProviderSpec("free", "a writer for nothing", "dnr_comms_test_writer:free", "free-1"),
        ]


@pytest.fixture(scope="session", autouse=True)
def _writer_module() -> Iterator[None]:
    module = types.ModuleType("dnr_comms_test_writer")
    module.make = lambda model, settings: PaidWriter(model, 1.0)  # type: ignore[attr-defined]
    module.free = lambda model, settings: PaidWriter(model, 0.0)  # type: ignore[attr-defined]
    sys.modules["dnr_comms_test_writer"] = module
    yield
    del sys.modules["dnr_comms_test_writer"]


@pytest.fixture
def script() -> Iterator[Callable[[Callable[[dict[str, Any]], dict[str, Any]]], list[str]]]:
    """Set what the writer answers; gives the list of the items it was asked for."""

    def use(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> list[str]:
        _SCRIPT["answer"] = answer
        _ASKED.clear()
        return _ASKED

    yield use
    _SCRIPT["answer"] = plain_answer
    _ASKED.clear()


@pytest.fixture(scope="session")
def catalogue() -> Any:
    return load_plugins(only=(), extra=(ShopPlugin(),))


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder with the manifest of a made warehouse, which is all that talk is made from."""

    def make(**settings: Any) -> Path:
        folder = tmp_path_factory.mktemp("warehouse")
        said = {
            "archetype": "shop",
            "seed": 42,
            "scale": 1.0,
            "months": 18,
            "as_of": "2025-07-01T07:00:00Z",
            "tz": "America/Los_Angeles",
            "trajectory": "T1",
            "snapshot_days": 90,
            "quality": "typical",
            **settings,
        }
        write_manifest(
            folder,
            Manifest(kind="warehouse", version="0", settings=said, files={}, archetype="shop"),
        )
        return folder

    return make


@pytest.fixture(scope="session")
def shop() -> Archetype:
    """The company that no plugin brings."""
    return SHOP


@pytest.fixture(scope="session")
def talk(
    catalogue: Any, warehouse: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., CommsFolder]:
    """Make talk of the shop: comms settings by keyword, `cache_dir`, `at` for the folders."""
    folder = warehouse()

    def make(
        *,
        at: Path | None = None,
        data: Path | None = None,
        cache_dir: Path | None = None,
        **comms: Any,
    ) -> CommsFolder:
        base = at or tmp_path_factory.mktemp("talk")
        settings = Settings()
        comms = {"slack_threads": 400, "emails": 200, "nlq": 200, "provider": "free", **comms}
        settings = evolve(
            settings,
            comms=evolve(settings.comms, **comms),
            cache=evolve(settings.cache, dir=cache_dir or base / "cache"),
        )
        return generate_comms(
            SHOP,
            settings,
            catalogue,
            warehouse=data or folder,
            out=base / "comms",
            meta=base / "meta",
        )

    return make


@pytest.fixture(scope="session")
def made_talk(talk: Callable[..., CommsFolder]) -> CommsFolder:
    """One folder of talk that tests read and never write."""
    return talk()
