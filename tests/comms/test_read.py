"""Reading a folder of talk: what fits is read whatever its widths, what does not is said."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from dnr_core.comms import CommsFolder, read, read_comms
from dnr_core.comms.tables import SLACK_MESSAGES
from dnr_core.errors import CommsError, DnrError, InputError, UnfinishedError


@pytest.fixture
def copy(made_talk: CommsFolder, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_talk.path, tmp_path / "comms"))


def test_a_whole_folder_reads_as_it_was_written(made_talk: CommsFolder) -> None:
    """All tables come back with exactly their schemas."""
    tables = read_comms(made_talk.path)
    assert tables.slack.schema.equals(SLACK_MESSAGES)
    assert (tables.email.num_rows, tables.nlq.num_rows) == (200, 200)


def test_no_manifest_is_unfinished(copy: Path) -> None:
    """A folder without a manifest is refused, and so is one that is not there."""
    (copy / "manifest.json").unlink()
    with pytest.raises(UnfinishedError):
        read_comms(copy)
    with pytest.raises(InputError, match="no folder"):
        read_comms(copy / "nowhere")


def test_a_missing_file_is_named(copy: Path) -> None:
    """A table that the manifest lists and is not there is an error, not an empty table."""
    (copy / "nlq.parquet").unlink()
    with pytest.raises(CommsError, match=r"nlq\.parquet is missing"):
        read_comms(copy)


@pytest.mark.parametrize("cut", [0, 3, 100, -5])
def test_truncated_parquet_is_named(copy: Path, cut: int) -> None:
    """A file cut anywhere gives an error that names it."""
    file = copy / "slack_messages.parquet"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(CommsError, match=r"slack_messages\.parquet"):
        read_comms(copy)


def test_missing_columns_are_named(copy: Path) -> None:
    """Columns that are not there are listed, with what the table has."""
    file = copy / "email_messages.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["subject", "cc_ids"]), file)
    with pytest.raises(
        CommsError, match=r"lacks the columns cc_ids, subject|subject, cc_ids|cc_ids"
    ):
        read_comms(copy)


@pytest.mark.parametrize(
    ("column", "value"),
    [("ts", "yesterday"), ("text", 7), ("has_code", "no"), ("link_domains", "a.example")],
)
def test_wrong_types_are_named(copy: Path, column: str, value: object) -> None:
    """A column of another kind is an error that says which, and what it should be."""
    file = copy / "slack_messages.parquet"
    table = pq.read_table(file)
    place = table.schema.get_field_index(column)
    wrong = pa.array([value] * table.num_rows)
    pq.write_table(table.set_column(place, column, wrong), file)
    with pytest.raises(CommsError, match=f"column {column} is"):
        read_comms(copy)


def test_other_widths_and_zones_are_read(copy: Path, made_talk: CommsFolder) -> None:
    """Large strings, dictionaries, milliseconds and further columns are no hindrance."""
    file = copy / "slack_messages.parquet"
    table = pq.read_table(file)
    for name, kind in (
        ("text", pa.large_string()),
        ("channel_cat", pa.dictionary(pa.int32(), pa.string())),
        ("ts", pa.timestamp("ns", tz="Europe/Berlin")),
        ("reply_count", pa.int64()),
        ("link_domains", pa.large_list(pa.large_string())),
    ):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(kind))
    table = table.append_column("extra", pa.nulls(table.num_rows))
    pq.write_table(table.select(list(reversed(table.column_names))), file)
    assert read_comms(copy).slack.equals(read_comms(made_talk.path).slack)


def test_rows_without_an_id_are_refused(copy: Path) -> None:
    """An id that is null would silently drop an item, so it is an error."""
    file = copy / "nlq.parquet"
    table = pq.read_table(file)
    nulls = pa.nulls(table.num_rows, pa.string())
    pq.write_table(table.set_column(0, "query_id", nulls), file)
    with pytest.raises(CommsError, match="without a query_id"):
        read_comms(copy)


def test_a_warehouse_is_not_talk(copy: Path, warehouse: object) -> None:
    """A folder of something else is refused by what it is."""
    folder = warehouse()  # type: ignore[operator]
    with pytest.raises(DnrError, match="holds a warehouse, not comms"):
        read_comms(folder)


def test_a_large_file_is_opened_and_not_read(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound messages come as a data set with the same rows; a broken file is named."""
    small = read_comms(copy)
    monkeypatch.setattr(read, "LARGE_BYTES", 1)
    large = read_comms(copy)
    assert isinstance(large.slack, ds.Dataset)
    assert large.slack.to_table().equals(small.slack)
    (copy / "slack_messages.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(CommsError, match="slack_messages"):
        read_comms(copy)
