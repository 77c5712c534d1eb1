"""Room: builtin. Check of the ledger: what it says and what SQL finds are the same rows."""

from __future__ import annotations

from collections.abc import Iterator

from dnr_core.builtin.qc.outcome import outcome, quoted
from dnr_core.builtin.qc.quality import measured
from dnr_core.model import CheckContext, CheckResult


def ledger(context: CheckContext) -> Iterator[CheckResult]:
    """Compare, for each fact table and metric, rows in the ledger with rows that SQL finds.

    Null cells are joined by part and row number, one to one; of the others the counts must agree.
    """
    kinds = context.catalogue.defect_kinds
    found_by_sql = measured(context, "fact")
    entries = {
        (row["table"], row["kind"]): row["n"]
        for row in context.sql(
            'SELECT "table", kind, count(DISTINCT (part, row)) AS n FROM ledger GROUP BY ALL'
        )
    }
    for table in context.archetype.schema.facts:
        for column in table.required_keys:
            yield _null_cells(context, table.name, column)
        for metric in ("fk_failure", "duplicate"):
            if (table.name, metric, "") not in found_by_sql:
                continue
            found = found_by_sql[table.name, metric, ""][0] or 0
            told = sum(
                n
                for (name, kind), n in entries.items()
                if name == table.name and kinds[kind].metric == metric
            )
            yield outcome(
                "ledger",
                found == told,
                f"{table.name}, {metric}: {found:,.0f} rows by SQL, {told:,} in the ledger",
                "the same number",
                f"ledger.parquet, {table.name}",
            )


def _null_cells(context: CheckContext, table: str, column: str) -> CheckResult:
    row = context.sql(
        f"""
        WITH found AS (
            SELECT CAST(regexp_extract(filename, 'part-(\\d+)\\.parquet$', 1) AS BIGINT) AS part,
                   file_row_number AS row
            FROM {quoted(table)} WHERE {quoted(column)} IS NULL
        ),
        told AS (
            SELECT DISTINCT part, row FROM ledger
            WHERE "table" = $table AND "column" = $column AND kind IN (SELECT unnest($kinds))
        )
        SELECT (SELECT count(*) FROM found) AS found, (SELECT count(*) FROM told) AS told,
               (SELECT count(*) FROM found ANTI JOIN told USING (part, row)) AS unexplained,
               (SELECT count(*) FROM told ANTI JOIN found USING (part, row)) AS untrue
        """,
        table=table,
        column=column,
        kinds=[name for name, kind in context.catalogue.defect_kinds.items() if kind.nulls_keys],
    )[0]
    return outcome(
        "ledger",
        row["unexplained"] == 0 and row["untrue"] == 0,
        f"{table}.{column}: {row['found']:,} nulls, {row['unexplained']} not in the ledger, "
        f"{row['untrue']} in the ledger and not null",
        "0 on either side",
        f"ledger.parquet, {table}.{column}",
    )
