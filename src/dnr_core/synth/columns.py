"""Room: synth. From arrays to record batches of a declared table, and families of plain rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dnr_core.errors import PluginError
from dnr_core.model import Company, Family, Table
from dnr_core.synth.calendar import US
from dnr_core.synth.seeds import I64

ARROW_TYPES: Final[Mapping[str, pa.DataType]] = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "int16": pa.int16(),
    "float64": pa.float64(),
    "decimal": pa.decimal128(18, 2),
    "string": pa.string(),
    "bool": pa.bool_(),
    # Naive and in UTC: readers then need no time-zone database and shift nothing on their own.
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}
"""The Arrow type of each column type that synthetic tables may have."""


def words(codes: NDArray[Any], names: Sequence[str]) -> pa.DictionaryArray:
    """Return the column whose row holds the name at its code, as codes beside the names.

    It is written several times faster than the same column as text, which `dictionary_decode`
    gives, and stays codes up to the file where the names are the column's `values`.
    """
    codes = codes.astype(np.int32, copy=False)
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string()))


def instants(seconds: I64, where: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return the timestamp column of instants in seconds; null where `where` is False."""
    missing = None if where is None else ~where
    return pa.array(seconds * US, pa.int64(), mask=missing).view(ARROW_TYPES["timestamp"])


def dates(days: NDArray[Any]) -> pa.Array:
    """Return the date column of local days since 1970-01-01."""
    return pa.array(days.astype(np.int32, copy=False)).view(ARROW_TYPES["date"])


def record_batch(table: Table, values: Mapping[str, Any]) -> pa.RecordBatch:
    """Return the rows of `table` with its columns in order and in their declared types.

    `values` holds an array (NumPy or Arrow) for each column and no other. A category stays
    codes (`words`) where its names are the column's `values`.

    Raises:
        PluginError: a column is missing, unknown, or of another length or type.
    """
    names = table.column_names
    if set(values) != set(names):
        odd = sorted(set(values) ^ set(names))
        raise PluginError(f"rows of {table.name!r} do not match its columns: {', '.join(odd)}")
    arrays = []
    for column in table.columns:
        try:
            array, wanted = pa.array(values[column.name]), ARROW_TYPES[column.type]
            # Casting would unpack codes, which the writer takes as they are.
            codes = pa.types.is_dictionary(array.type) and bool(column.values)
            as_listed = codes and tuple(array.dictionary.to_pylist()) == column.values
            arrays.append(array if as_listed or array.type == wanted else array.cast(wanted))
        except (pa.ArrowException, KeyError, TypeError) as error:
            raise PluginError(
                f"column {table.name}.{column.name} cannot be made {column.type}: {error}"
            ) from error
    if len({len(array) for array in arrays}) > 1:
        lengths = ", ".join(f"{n} {len(a)}" for n, a in zip(names, arrays, strict=True))
        raise PluginError(f"columns of {table.name!r} differ in length: {lengths}")
    return pa.RecordBatch.from_arrays(arrays, list(names))


def volume(company: Company, at_evaluation: int) -> int:
    """Return how many there are at the company's scale, at least one."""
    return max(1, round(at_evaluation * company.scale))


def over_history(company: Company, at_evaluation: int) -> int:
    """Return how many events there are at the company's scale and months, at least one.

    `at_evaluation` is for 18 months.
    """
    return max(1, round(at_evaluation * company.scale * company.months / 18))


def rows_by_id(
    table: Table,
    count: Callable[[Company], int],
    columns: Callable[[Company, I64], Mapping[str, Any]],
    *,
    rows_a_chunk: int = 250_000,
) -> Family:
    """Return the family of one table whose rows are functions of their ids, 1 to `count(company)`."""

    def chunks(company: Company) -> int:
        return -(-count(company) // rows_a_chunk)

    def generate(company: Company, chunk: int) -> Mapping[str, pa.RecordBatch]:
        last = min(count(company), (chunk + 1) * rows_a_chunk)
        ids = np.arange(chunk * rows_a_chunk + 1, last + 1, dtype=np.int64)
        return {table.name: record_batch(table, columns(company, ids))}

    return Family(table.name, (table.name,), chunks, generate)
