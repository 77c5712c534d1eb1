"""Room: benchmarks. Demand: the prefilter's speed, and what classifying a company costs.

    python benchmarks/demand.py [--messages 1000000 2000000 10000000] [--folder FOLDER]
                                [--whole] [--usage]
    nox -s bench -- demand --messages --usage     # brings bpe-openai, which --usage needs

The prefilter of ten million messages is held against counting one word in them. Both read the same
Parquet file in one process, three times in turn, and the best of each counts. What counts is the
ratio of processor time: it is nearly the same on a machine that has other work. The cost is the
estimate before any call, for the talk of each company at its default size; no key is used.
`--usage` holds it against what a local server counts; `--whole` measures the demand of the messages,
all that is kept being classified by the offline provider.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

import dnr_core
import dnr_core.demand
from dnr_core.comms import read_comms
from dnr_core.comms.tables import SLACK_MESSAGES, empty
from dnr_core.config.settings import PrefilterSettings, Settings
from dnr_core.demand.classify import classify_requests
from dnr_core.demand.corpus import open_corpus
from dnr_core.demand.lexicon import build_lexicon
from dnr_core.demand.pack import pack
from dnr_core.demand.prefilter import all_items, prefilter
from dnr_core.demand.read import item_texts, kept_items
from dnr_core.llm import estimate, make_provider
from dnr_core.model import CommsTables, DetectedIncident, Request
from dnr_core.plugins import load_plugins
from dnr_core.progress import Silent

MEANT = "stale duplicates orphans backfill dashboard payouts fact_payment lunch parking report"
WRITERS, ROLES = 5000, ("exec", "bi", "pm", "other", "other", "other")
WORDS_OF_TEXT = 34
PLACES = 65_536
ROUNDS = 3
PREFILTER = (
    "| messages | one word, CPU | prefilter, CPU | ratio | wall ratio | wall | peak | kept |"
)
WHOLE = (
    "| messages | threads | classified | prefilter | reading, packing, classifying, naming by rule"
    " | tables of the rest | whole, CPU | wall | peak |"
)

# About 25 words a message, one in four with a word of the rule; five messages a thread.
MESSAGES = """
COPY (
  SELECT 'm' || n AS message_id, 't' || (n // 5) AS thread_id, 'c' || channel AS channel_id,
    ['platform', 'analytics', 'domain'][1 + channel % 3] AS channel_cat,
    make_timestamptz(1720000000000000 + (n // 5) * 15000000 + (n % 5) * 60000000) AS ts,
    'u' || (hash(n) % {writers}) AS user_id, concat_ws(' ', {text}) AS text,
    CASE WHEN n % 5 <> 0 THEN 'm' || (n - n % 5) END AS reply_to,
    NULL::INTEGER AS reply_count, n % 30 = 0 AS has_link, NULL::VARCHAR[] AS link_domains,
    false AS has_attachment, NULL::VARCHAR[] AS attachment_names, n % 50 = 0 AS has_code
  FROM vocabulary, (
    SELECT n, (hash(n // 5) % 40)::INTEGER AS channel, {hashes} FROM range({count}) AS numbers(n))
) TO '{path}' (COMPRESSION zstd)
"""


def vocabulary() -> list[str]:
    """Made words by Zipf's law, so that a text is packed as tightly as a real one (to a third)."""
    chosen = random.Random(7)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    words = [
        "".join(chosen.choice(syllables) for _ in range(1 + (n % 4 > 0) + (n % 7 > 3)))
        + chosen.choice(["", "n", "s", "", "r"])
        for n in range(2000)
    ]
    weights = [1 / (n + 3) for n in range(len(words))]
    return chosen.choices(words, weights, k=PLACES)


def write_messages(path: Path, count: int) -> None:
    """Write `count` messages into one file."""
    words = [f"w[1 + ((h{k // 4} >> {16 * (k % 4)}) & {PLACES - 1})::INTEGER]" for k in range(32)]
    meant = f"CASE WHEN n % 4 = 0 THEN meant[1 + (h8 % {len(MEANT.split())})::INTEGER] END"
    text = [*words[:8], meant]
    text += [f"CASE WHEN {k} < 18 + n % 15 THEN {word} END" for k, word in enumerate(words[8:], 8)]
    sql = MESSAGES.format(
        writers=WRITERS,
        text=", ".join(text),
        hashes=", ".join(f"hash(n + {k * 1_000_000_007}::BIGINT) AS h{k}" for k in range(9)),
        count=count,
        path=path,
    )
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE vocabulary AS SELECT $words AS w, $meant AS meant",
            {"words": vocabulary(), "meant": MEANT.split()},
        )
        connection.execute("SET enable_progress_bar = false")
        connection.execute(sql)


def count_one_word(path: Path) -> tuple[float, float]:
    """Processor and wall time, in seconds, to read the texts and count one word."""
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        begun = time.process_time(), time.perf_counter()
        connection.execute(
            "SELECT count(*) FROM read_parquet($path) WHERE contains(text, 'duplicates')",
            {"path": str(path)},
        ).fetchone()
        return time.process_time() - begun[0], time.perf_counter() - begun[1]


def writers() -> pa.Table:
    """Who wrote the messages."""
    return pa.table(
        {
            "source": ["slack"] * WRITERS,
            "user_id": [f"u{n}" for n in range(WRITERS)],
            "role": [ROLES[n % len(ROLES)] for n in range(WRITERS)],
        }
    )


def run_prefilter(path: Path) -> tuple[float, float, int]:
    """Processor and wall time of the whole prefilter, and how many threads it kept by score."""
    archetype = load_plugins().archetype("marketplace")
    settings = PrefilterSettings()
    incidents = [
        DetectedIncident(
            "null_spike", "fact_payment", "x", date(2024, m, 9), date(2024, m, 10), 0.1, 0.02, 5
        )
        for m in range(7, 13)
    ]
    assert ds.dataset(path).schema.names == SLACK_MESSAGES.names
    comms = CommsTables(ds.dataset(path), empty("email_messages"), writers(), empty("nlq"))
    begun = time.process_time(), time.perf_counter()
    with open_corpus(comms) as connection:
        prefilter(
            connection,
            build_lexicon(settings, archetype.schema),
            settings,
            threshold=0.35,
            tz="America/Los_Angeles",
            incidents=incidents,
        )
        row = connection.execute(
            "SELECT count(*) FILTER (kept_by = 'score'), sum(len(reasons)) FROM items"
        ).fetchone()
        seconds = time.process_time() - begun[0], time.perf_counter() - begun[1]
    return *seconds, row[0] if row else 0


def measure(path: Path, count: int) -> str:
    """Return one row of the table."""
    words, filters = [], []
    for _ in range(ROUNDS):
        words.append(count_one_word(path))
        filters.append(run_prefilter(path))
    (base_cpu, base_wall), (cpu, wall, kept) = min(words), min(filters)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {count:,} | {base_cpu:.2f} s | {cpu:.2f} s | {cpu / base_cpu:.1f} | {wall / base_wall:.1f}"
        f" | {wall:.1f} s | {peak:,.0f} MB | {kept:,} |"
    )


class Clock(Silent):
    """Notes at which processor time a kind of request was begun first and done last."""

    def __init__(self) -> None:
        self.begun: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def start(self, task: str, _total: int | None, _unit: str) -> None:
        self.begun.setdefault(task.partition(" ")[0], time.process_time())

    def done(self, task: str, _note: str = "") -> None:
        self.ended[task.partition(" ")[0]] = time.process_time()


def whole(path: Path, count: int) -> str:
    """Return one row: the demand of a talk, all kept threads classified by the offline provider."""
    catalogue, clock = load_plugins(), Clock()
    comms = CommsTables(ds.dataset(path), empty("email_messages"), writers(), empty("nlq"))
    begun = time.process_time(), time.perf_counter()
    found = dnr_core.demand.measure_demand(
        comms, catalogue.archetype("marketplace"), Settings(), catalogue, progress=clock
    )
    cpu, wall = time.process_time() - begun[0], time.perf_counter() - begun[1]
    asked = pc.sum(pc.equal(found.predictions["decided_by"], "provider")).as_py()
    parts = (
        clock.begun["classify"] - begun[0],
        clock.begun["entities"] - clock.begun["classify"],
        clock.ended["entities"] - clock.begun["entities"],
    )
    shown = " | ".join(f"{seconds:.1f} s" for seconds in (*parts, cpu))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"| {count:,} | {found.predictions.num_rows:,} | {asked:,} | {shown} | {wall:.0f} s"
        f" | {peak:,.0f} MB |"
    )


def asked_about(name: str) -> list[Request]:
    """Return the requests about a made company of default size: all that the prefilter keeps."""
    settings, catalogue = Settings(), load_plugins()
    lexicon = build_lexicon(settings.classification.prefilter, catalogue.archetype(name).schema)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        dnr_core.generate_warehouse(name, out=home / "data", meta=home / "meta", scale="tiny")
        dnr_core.generate_comms(home / "data", out=home / "comms", meta=home / "meta")
        with open_corpus(read_comms(home / "comms")) as connection:
            prefilter(
                connection,
                lexicon,
                settings.classification.prefilter,
                threshold=settings.classification.prefilter_threshold,
                tz=settings.warehouse.tz,
            )
            items = kept_items(all_items(connection))
            packs = []
            for source in ("slack", "email", "nlq"):
                own = [item for item in items if item.source == source]
                texts = item_texts(connection, lexicon, own)
                packs += [pack(texts[item.item_id].messages).text for item in own]
    return classify_requests(packs, settings.classification)


def cost(name: str, requests: Sequence[Request]) -> str:
    """Return one row: items of a made company, and what asking about all of them would cost."""
    provider = make_provider(
        load_plugins(), "openai", "gpt-4o-mini", env={"OPENAI_API_KEY": "unused"}
    )
    found = estimate(requests, provider)
    usd = found.cost_usd_expected
    return (
        f"| {name} | {found.items:,} | ${usd:.2f} | ${usd / 2:.2f} | ${found.cost_usd_worst:.2f} |"
    )


def print_table(
    names: str, row: Callable[[Path, int], str], counts: Sequence[int], folder: Path
) -> None:
    """Print a row for each count of messages, each made in a process of its own: so is its peak."""
    print(f"\n{names}\n{'| --- ' * (names.count('|') - 1)}|")
    for count in counts:
        path = folder / f"messages-{count}.parquet"
        if not path.exists():
            with get_context("spawn").Pool(1) as pool:
                pool.apply(write_messages, (path, count))
        with get_context("spawn").Pool(1) as pool:
            print(pool.apply(row, (path, count)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--messages", type=int, nargs="*", default=[1_000_000, 2_000_000, 10_000_000]
    )
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--whole", action="store_true", help="classify what is kept, too")
    parser.add_argument("--usage", action="store_true", help="needs the package bpe-openai")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        print_table(PREFILTER, measure, options.messages, folder)
        if options.whole:
            print_table(WHOLE, whole, options.messages, folder)
    print("\n| company | items asked about | estimate | by batch | reserved at the most |")
    print("| --- | --- | --- | --- | --- |")
    requests = {name: asked_about(name) for name in ("neobank", "marketplace")}
    for name, own in requests.items():
        print(cost(name, own), flush=True)
    if options.usage:
        from usage import recorded

        print(
            "\n| company | schema | items | charged | estimate | error | after a pilot | reserved |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name, own in requests.items():
            for row in recorded(name, own):
                print(row, flush=True)


if __name__ == "__main__":
    main()
