"""Prefilter of ten million messages against reading their texts and counting one word.

    python benchmarks/demand.py [--messages 10000000] [--folder FOLDER]

Both run in this process on the same Parquet files, in turn; the ratio is what counts.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from dnr_core.comms.tables import SLACK_MESSAGES, empty
from dnr_core.config.settings import PrefilterSettings
from dnr_core.demand.corpus import open_corpus
from dnr_core.demand.lexicon import build_lexicon
from dnr_core.demand.prefilter import prefilter
from dnr_core.model import CommsTables
from dnr_core.plugins import load_plugins

PER_THREAD = 5
BATCH = 500_000

FILLER = (
    "anyone seen the news for last week because they look off to me and I wonder whether that is only"
    " my view or what others see as well when they come in the morning thanks a lot for a look at it"
    " when you have a minute and sorry for the noise in here today we can talk it through after the"
    " call if that is easier for you and the team"
)
MEANT = "stale duplicates orphans backfill dashboard payouts fact_payment lunch parking report"
WORDS, RARE = FILLER.split(), MEANT.split()


def write_messages(folder: Path, count: int) -> None:
    """Write messages of about 25 words, one in four with a word of the rule, in parts."""
    for start in range(0, count, BATCH):
        rows = range(start, min(start + BATCH, count))
        texts = []
        for n in rows:
            at = (n * 7919) % 61
            words = [WORDS[(at + k * (1 + n % 5)) % len(WORDS)] for k in range(18 + n % 15)]
            if n % 4 == 0:
                words[n % len(words)] = RARE[(n // 4) % len(RARE)]
            texts.append(" ".join(words))
        threads = [n // PER_THREAD for n in rows]
        columns = {
            "message_id": pa.array([f"m{n}" for n in rows]),
            "thread_id": pa.array([f"t{t}" for t in threads]),
            "channel_id": pa.array([f"c{t % 40}" for t in threads]),
            "channel_cat": pa.array([("platform", "analytics", "domain")[t % 3] for t in threads]),
            "ts": pa.array(
                [1_720_000_000_000_000 + t * 15_000_000 + (n % PER_THREAD) * 60_000_000
                 for n, t in zip(rows, threads, strict=True)],
                pa.timestamp("us", tz="UTC"),
            ),
            "user_id": pa.array([f"u{n % 5000}" for n in rows]),
            "text": pa.array(texts),
            "reply_to": pa.array(
                [None if n % PER_THREAD == 0 else f"m{n - n % PER_THREAD}" for n in rows]
            ),
            "has_code": pa.array([n % 50 == 0 for n in rows]),
            "has_link": pa.array([n % 30 == 0 for n in rows]),
        }  # fmt: skip
        whole = [
            columns.get(field.name, pa.nulls(len(texts), field.type)) for field in SLACK_MESSAGES
        ]
        part = pa.table(whole, schema=SLACK_MESSAGES)
        pq.write_table(part, folder / f"part-{start:09}.parquet", compression="zstd")


def count_one_word(folder: Path) -> float:
    """Seconds to read the text column and count one word."""
    with duckdb.connect() as connection:
        begun = time.perf_counter()
        connection.execute(
            "SELECT count(*) FROM read_parquet($files) WHERE contains(text, 'duplicates')",
            {"files": str(folder / "*.parquet")},
        ).fetchone()
        return time.perf_counter() - begun


def run_prefilter(folder: Path) -> tuple[float, int]:
    """Seconds of the whole prefilter, and how many threads it kept by score."""
    archetype = load_plugins().archetype("marketplace")
    settings = PrefilterSettings()
    rest = [empty(name) for name in ("email_messages", "comms_users", "nlq")]
    comms = CommsTables(ds.dataset(folder, format="parquet"), *rest)
    begun = time.perf_counter()
    with open_corpus(comms) as connection:
        prefilter(
            connection,
            build_lexicon(settings, archetype.schema),
            settings,
            threshold=0.35,
            tz="America/Los_Angeles",
        )
        seconds = time.perf_counter() - begun
        row = connection.execute("SELECT count(*) FROM items WHERE kept_by = 'score'").fetchone()
    return seconds, row[0] if row else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not any(folder.glob("*.parquet")):
            write_messages(folder, options.messages)
        base = min(count_one_word(folder) for _ in range(3))
        seconds, kept = run_prefilter(folder)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"read and count one word: {base:.2f} s")
        print(f"prefilter: {seconds:.2f} s, {seconds / base:.1f} times; kept {kept:,} threads")
        print(f"peak memory: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
