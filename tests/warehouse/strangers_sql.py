"""A stranger's look at a made company: finds every defect by SQL, and says what is off.

    python tests/warehouse/strangers_sql.py DATA META {clean|typical|severe} [--json]

It shares no code with the package: it reads the Parquet files with DuckDB, and everything it
expects is written down here by hand from the reference (tables and keys, the table of defects).
Every measured rate is held against its target within 20 / sqrt(rows) points, which is 0.2 points
at 10,000 rows and 0.02 points at 1,000,000; the ledger is joined to the tables both ways, and
nothing may be left on either side. It ends with exit code 1 where anything is off.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

QUARTERS, HALF_YEARS = 6, 3

# Table, required keys, business key, event time, and each key as column, parent, parent's key and
# time (None: the parent has none, or it is the event's own: then its orphans are missing ones).
NEOBANK = [
    (
        "fact_card_transaction",
        ["card_id", "merchant_id"],
        ["txn_id"],
        "t.event_time",
        [
            ("card_id", "dim_card", "card_id", "activated_at"),
            ("merchant_id", "dim_merchant", "merchant_id", None),
        ],
    ),
    (
        "fact_subscription_invoice",
        ["customer_id", "plan_id"],
        ["invoice_id"],
        "coalesce(t.paid_at, t.period_end)",
        [
            ("customer_id", "dim_customer", "customer_id", "created_at"),
            ("plan_id", "dim_plan", "plan_id", None),
        ],
    ),
]
MARKETPLACE = [
    (
        "fact_order",
        ["buyer_id"],
        ["order_id"],
        "t.order_time",
        [("buyer_id", "dim_buyer", "buyer_id", "created_at")],
    ),
    (
        "fact_order_item",
        ["order_id", "listing_id", "seller_id"],
        ["order_id", "line_id"],
        "ordered.moment",
        [
            ("order_id", "fact_order", "order_id", None),
            ("listing_id", "dim_listing", "listing_id", "created_at"),
            ("seller_id", "dim_seller", "seller_id", "created_at"),
        ],
    ),
    (
        "fact_payment",
        ["order_id"],
        ["order_id"],
        "t.captured_at",
        [("order_id", "fact_order", "order_id", "order_time")],
    ),
]

# Percent of rows, of keyed rows, of rows; spikes a quarter, surges a half-year, gaps in all.
TARGETS = {
    "clean": {"nulls": 0.0, "orphans": 0.0, "copies": 0.0, "spikes": 0, "surges": 0, "gaps": 0},
    "typical": {"nulls": 2.0, "orphans": 5.0, "copies": 0.7, "spikes": 2, "surges": 1, "gaps": 1},
    "severe": {"nulls": 6.0, "orphans": 15.0, "copies": 2.1, "spikes": 6, "surges": 3, "gaps": 3},
}
TEMPORAL_PCT, SPIKE_POINTS, SURGE_ROWS_PCT = 30.0, 10.0, 30.0
# A base lag in seconds: most rows, and the slow tail.
BASE = "({0} BETWEEN 1800 AND 10800 OR {0} BETWEEN 14400 AND 43200)"


def local_day(instant: str) -> str:
    """The local day of an instant, as SQL."""
    return f"timezone('America/Los_Angeles', timezone('UTC', {instant}))::DATE"


def tolerance(rows: float) -> float:
    """Points that a rate of so many rows may be off."""
    return 20 / max(rows, 1) ** 0.5


class Company:
    """A company's files in DuckDB, and what was found so far."""

    def __init__(self, data: Path, meta: Path, profile: str) -> None:
        self.db = duckdb.connect()
        self.db.execute("SET TimeZone = 'UTC'; SET memory_limit = '3GB'")
        self.target = TARGETS[profile]
        self.clean = profile == "clean"
        self.measured: list[dict[str, object]] = []
        self.off: list[str] = []
        self.tables = MARKETPLACE if (data / "fact_order").is_dir() else NEOBANK
        parents = {key[1] for entry in self.tables for key in entry[4]}
        for name in sorted({entry[0] for entry in self.tables} | parents):
            self.db.execute(
                f"CREATE TABLE {name} AS SELECT * EXCLUDE (filename, file_row_number), "
                "file_row_number AS row, "
                "regexp_extract(filename, '([0-9]+)\\.parquet$', 1)::INT AS part FROM "
                f"read_parquet('{data}/{name}/*.parquet', filename=true, file_row_number=true)"
            )
        for name in ("ledger", "incidents"):
            self.db.execute(f"CREATE TABLE {name} AS FROM read_parquet('{meta}/{name}.parquet')")
        if self.tables is MARKETPLACE:
            # An item happens at its order's time; copies of an order have the same.
            self.db.execute(
                "CREATE TABLE ordered AS SELECT order_id, min(order_time) AS moment "
                "FROM fact_order GROUP BY 1"
            )

    def row(self, statement: str) -> tuple:
        found = self.db.execute(statement).fetchone()
        assert found is not None
        return found

    def judge(self, table: str, what: str, value: float, low: float, high: float, of: int) -> None:
        """Note a measured value, and whether it lies where it should."""
        fine = low <= value <= high
        self.measured.append(
            {"table": table, "what": what, "measured": value, "low": low, "high": high, "of": of}
        )
        if not fine:
            self.off.append(f"{table}: {what} is {value:.4f}, not {low:.4f} to {high:.4f} ({of})")

    def rate(self, table: str, what: str, count: int, of: int, wanted: float) -> None:
        """Judge a percentage of `of` rows."""
        room = 0.0 if wanted == 0 else tolerance(of)
        self.judge(table, what, 100 * count / max(of, 1), wanted - room, wanted + room, of)

    def none(self, table: str, what: str, statement: str) -> None:
        """Judge a count that has to be nothing."""
        (count,) = self.row(f"SELECT count(*) FROM ({statement})")
        self.judge(table, what, count, 0, 0, count)

    def differences(self, table: str, what: str, found: str, told: str) -> None:
        """Judge that two lists of places are the same: neither side has one more."""
        self.none(table, f"{what}: found and not in the ledger", f"{found} EXCEPT ALL {told}")
        self.none(table, f"{what}: in the ledger and not found", f"{told} EXCEPT ALL {found}")


def joined(table: str, original: bool) -> str:
    """The join that gives items their order's time; with `original`, of the order before it broke."""
    if table != "fact_order_item":
        return ""
    if not original:
        return "LEFT JOIN ordered ON ordered.order_id = t.order_id"
    return (
        "LEFT JOIN (SELECT part, row, any_value(original)::BIGINT AS id FROM ledger WHERE "
        "\"table\" = 'fact_order_item' AND \"column\" = 'order_id' GROUP BY ALL) was "
        "ON was.part = t.part AND was.row = t.row "
        "LEFT JOIN ordered ON ordered.order_id = coalesce(was.id, t.order_id)"
    )


def look_at_keys(company: Company, table: str, keys: list[str], foreign: list[tuple]) -> None:
    """Nulls and orphans: rates, and each cell against the ledger."""
    ledger = f"""FROM ledger WHERE "table" = '{table}' AND"""
    event = next(entry[3] for entry in company.tables if entry[0] == table)
    for key in keys:
        company.differences(
            table,
            f"null {key}",
            f"SELECT part, row FROM {table} WHERE {key} IS NULL",
            f"""SELECT part, row {ledger} "column" = '{key}' AND kind IN ('key_null', 'null_spike')""",
        )
    broken = []
    for key, parent, own, time in foreign:
        since = f"min({time})" if time else "TIMESTAMP '1900-01-01'"
        found = f"""SELECT t.part, t.row, CASE WHEN p.id IS NULL THEN 'missing' ELSE 'temporal' END
            FROM {table} t {joined(table, False)} LEFT JOIN (
              SELECT {own} AS id, {since} AS since FROM {parent} GROUP BY 1) p ON p.id = t.{key}
            WHERE t.{key} IS NOT NULL AND (p.id IS NULL OR p.since > {event})"""
        company.db.execute(f"CREATE OR REPLACE TABLE orphans_{key}(part, row, sort) AS {found}")
        told = f"""SELECT part, row, subkind {ledger} "column" = '{key}' AND kind = 'fk_failure'"""
        company.differences(table, f"orphan {key}", f"FROM orphans_{key}", told)
        broken.append(f"SELECT part, row, sort, {time is not None} AS can FROM orphans_{key}")
    both = f"({' UNION ALL '.join(broken)})"
    some = " OR ".join(f"{key} IS NULL" for key in keys)
    any_key = " OR ".join(f"{key} IS NOT NULL" for key in keys)
    rows, nulls, keyed = company.row(
        f"SELECT count(*), count(*) FILTER ({some}), count(*) FILTER ({any_key}) FROM {table}"
    )
    (spiked,) = company.row(
        f"SELECT count(DISTINCT (part, row)) {ledger} kind = 'null_spike' AND \"column\" <> ''"
    )
    orphans, able, late = company.row(
        f"SELECT count(DISTINCT (part, row)), count(*) FILTER (can), "
        f"count(*) FILTER (sort = 'temporal') FROM {both}"
    )
    target = company.target
    company.rate(table, "key nulls but for spikes, %", nulls - spiked, rows, target["nulls"])
    if target["nulls"] == 2.0:
        company.judge(table, "key nulls, %", 100 * nulls / rows, 1.5, 2.5, rows)
    company.rate(table, "FK failures, %", orphans, keyed, target["orphans"])
    if able:
        # Rows so late that nobody came after them are few; they have a missing parent instead.
        room = 100 * 4 / able + 0.5
        share = 100 * late / able
        company.judge(
            table, "of them temporal, %", share, TEMPORAL_PCT - room, TEMPORAL_PCT + room, able
        )


def look_at_copies(company: Company, table: str, unique: list[str]) -> None:
    """Extra rows: their rate, each against the ledger, and that each loads after its original."""
    key, full = ", ".join(unique), " AND ".join(f"{column} IS NOT NULL" for column in unique)
    rows, sound, distinct = company.row(
        f"SELECT (SELECT count(*) FROM {table}), count(*), count(DISTINCT ({key})) "
        f"FROM {table} WHERE {full}"
    )
    company.rate(table, "duplicates, %", sound - distinct, rows, company.target["copies"])
    found = f"""SELECT part, row FROM {table} WHERE {full} QUALIFY row_number() OVER (
        PARTITION BY {key} ORDER BY loaded_at, part, row) > 1"""
    told = f"""SELECT part, row FROM ledger WHERE "table" = '{table}' AND "column" = ''"""
    company.differences(table, "copies", found, told)
    again = f"""SELECT loaded_at, lag(loaded_at) OVER (PARTITION BY {key} ORDER BY loaded_at) AS one
        FROM {table} WHERE {full}"""
    company.none(
        table, "copies that load with their original", f"FROM ({again}) WHERE loaded_at <= one"
    )


def look_at_loads(company: Company, table: str, event: str) -> None:
    """Ingest lag, surges and gaps: the p95, and every row that is not base lag in the ledger."""
    lag = f"(epoch_us(t.loaded_at) - epoch_us({event})) / 1e6"
    if company.clean:
        company.none(
            table, "rows with a lag", f"FROM {table} t {joined(table, True)} WHERE {lag} <> 0"
        )
        return
    p95, rows = company.row(
        f"SELECT quantile_disc({lag}, 0.95) / 60, count({event}) FROM {table} t {joined(table, False)}"
    )
    company.judge(table, "lag p95, minutes", p95, 120, 240, rows)
    told = f"""(SELECT part, row, max(kind) AS kind FROM ledger WHERE "table" = '{table}'
        AND ("column" = '' OR kind IN ('lag_surge', 'write_gap')) GROUP BY ALL)"""
    base = f"""FROM {table} t {joined(table, True)} LEFT JOIN {told} l
        ON l.part = t.part AND l.row = t.row WHERE l.kind IS NULL"""
    company.none(table, "loads outside base lag and ledger", f"{base} AND NOT {BASE.format(lag)}")
    slow, usual = company.row(
        f"SELECT count(*) FILTER ({lag} >= 14400), count(*) {base} AND {event} IS NOT NULL"
    )
    company.judge(table, "slow tail, %", 100 * slow / usual, 1.0, 4.0, usual)


def look_at_incidents(company: Company) -> None:
    """Spikes, surges and gaps: how many, when, how large, and each row of the ledger that is of one."""
    wanted = {
        "null_spike": company.target["spikes"] * QUARTERS,
        "lag_surge": company.target["surges"] * HALF_YEARS,
        "write_gap": company.target["gaps"],
    }
    for kind, count in wanted.items():
        (found,) = company.row(f"SELECT count(*) FROM incidents WHERE kind = '{kind}'")
        company.judge("all", f"incidents: {kind}", found, count, count, found)
    uneven = f"""FROM (SELECT count(*) AS n FROM incidents WHERE kind = 'null_spike'
        GROUP BY date_trunc('quarter', {local_day("start")})) WHERE n <> {company.target["spikes"]}"""
    company.none("all", "quarters with another number of spikes", uneven)
    for name, keys, _, event, _ in company.tables:
        mine = company.db.execute(
            'SELECT id, kind, columns[1], start, "end" FROM incidents WHERE "table" = ?', [name]
        ).fetchall()
        if mine:
            company.db.execute(
                f"CREATE OR REPLACE TABLE happened AS SELECT t.*, {event} AS moment, "
                f"{local_day('moment')} AS day, c.row IS NOT NULL AS copied "
                f"FROM {name} t {joined(name, True)} LEFT JOIN (SELECT part, row FROM ledger WHERE "
                f"\"table\" = '{name}' AND \"column\" = '') c ON c.part = t.part AND c.row = t.row"
            )
        for identity, kind, column, start, end in mine:
            within = f"BETWEEN TIMESTAMP '{start}' AND TIMESTAMP '{end}' - INTERVAL 1 MICROSECOND"
            ledger = f"""(SELECT * FROM ledger WHERE incident_id = '{identity}')"""
            days, hours = company.row(
                f"""SELECT date_diff('day', {local_day("a")}, {local_day("b")}),
                    date_diff('hour', a, b)
                FROM (SELECT TIMESTAMP '{start}' AS a, TIMESTAMP '{end}' AS b)"""
            )
            if kind == "write_gap":
                company.judge(name, f"{identity}: hours", hours, 1, 12, hours)
                company.none(
                    name, f"{identity}: loads in it", f"FROM happened WHERE loaded_at {within}"
                )
                odd = f"""FROM {ledger} l LEFT JOIN happened h USING (part, row)
                    WHERE (original::TIMESTAMP {within} AND h.loaded_at >= TIMESTAMP '{end}')
                    IS NOT TRUE"""
                company.none(name, f"{identity}: in the ledger and not held back", odd)
                continue
            company.judge(name, f"{identity}: local days", days, 1, 1, days)
            rows, hit, astray = company.row(
                f"""SELECT (SELECT count(*) FROM happened WHERE NOT copied AND moment {within}),
                    count(*), count(*) FILTER ((moment {within}) IS NOT TRUE)
                FROM {ledger} JOIN happened USING (part, row)"""
            )
            company.judge(name, f"{identity}: rows of another day", astray, 0, 0, hit)
            share = 100 * hit / max(rows, 1)
            # So few rows are rounded to whole ones, chunk by chunk.
            room = max(tolerance(rows), 200 / max(rows, 1))
            size = SPIKE_POINTS if kind == "null_spike" else SURGE_ROWS_PCT
            company.judge(name, f"{identity}: % of its rows", share, size - room, size + room, rows)
            if kind == "null_spike":
                base = company.target["nulls"] / len(keys)
                look_at_spike(company, name, identity, column, within, rows, base)
                continue
            odd = f"""FROM {ledger} l JOIN happened h USING (part, row) ANTI JOIN (SELECT part, row
                FROM ledger WHERE "table" = '{name}' AND kind = 'write_gap') g USING (part, row)
                WHERE epoch_us(h.loaded_at) - epoch_us(h.moment)
                <> 6 * (epoch_us(l.original::TIMESTAMP) - epoch_us(h.moment))
                OR NOT {BASE.format("(epoch_us(l.original::TIMESTAMP) - epoch_us(h.moment)) / 1e6")}"""
            company.none(name, f"{identity}: in the ledger and not six times as late", odd)


def look_at_spike(
    company: Company,
    table: str,
    identity: str,
    column: str,
    within: str,
    rows: int,
    base_pct: float,
) -> None:
    """The day's nulls of the column against those of the days without spikes: ten points more."""
    on, off = company.row(
        f"""SELECT 100 * avg(({column} IS NULL)::INT) FILTER (moment {within}),
            100 * avg(({column} IS NULL)::INT) FILTER (day NOT IN (
              SELECT {local_day("start")} FROM incidents WHERE "table" = '{table}'
              AND kind = 'null_spike'))
        FROM happened"""
    )
    # The day's base rate is the year's but for chance; and a day's tenth is of whole rows.
    room = 4 * (100 * base_pct / max(rows, 1)) ** 0.5 + 200 / max(rows, 1) + 0.5
    company.judge(
        table,
        f"{identity}: points on top",
        on - off,
        SPIKE_POINTS - room,
        SPIKE_POINTS + room,
        rows,
    )


def look(data: Path, meta: Path, profile: str) -> Company:
    """Look at everything."""
    company = Company(data, meta, profile)
    for table, keys, unique, event, foreign in company.tables:
        look_at_keys(company, table, keys, foreign)
        look_at_copies(company, table, unique)
        look_at_loads(company, table, event)
    look_at_incidents(company)
    known = ", ".join(f"'{entry[0]}'" for entry in company.tables)
    company.none(
        "all", "ledger rows of other tables", f'FROM ledger WHERE "table" NOT IN ({known})'
    )
    kinds = "'key_null', 'null_spike', 'fk_failure', 'duplicate', 'lag_surge', 'write_gap'"
    company.none("all", "ledger rows of other kinds", f"FROM ledger WHERE kind NOT IN ({kinds})")
    if company.clean:
        company.none("all", "ledger rows of a clean company", "FROM ledger")
    return company


def main() -> int:
    """Look at the folders of the command line."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--json"]
    if len(arguments) != 3 or arguments[2] not in TARGETS:
        print(__doc__, file=sys.stderr)
        return 2
    company = look(Path(arguments[0]), Path(arguments[1]), arguments[2])
    if "--json" in sys.argv:
        print(json.dumps({"measured": company.measured, "off": company.off}))
    else:
        for entry in company.measured:
            if entry["high"] == 0 and entry["measured"] == 0:
                continue
            print("{table:26} {what:58} {measured:12.4f}  {low:.4f} to {high:.4f}".format(**entry))
        for line in company.off:
            print("OFF", line)
        print(f"{len(company.measured)} figures, {len(company.off)} off")
    return 1 if company.off else 0


if __name__ == "__main__":
    raise SystemExit(main())
