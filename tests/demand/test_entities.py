"""Tables and columns: exact names for nothing, the rest by the provider, never outside of the dictionary."""

from __future__ import annotations

import json

from dnr_core.demand.entities import (
    Dictionary,
    by_rule,
    entity_instructions,
    from_outcome,
    read_first,
)
from dnr_core.llm import Outcome
from dnr_core.model import Column, Schema, Table


def _found(company, *texts):
    rows = by_rule([(f"m{n}", text) for n, text in enumerate(texts)], Dictionary.of(company.schema))
    return {(m.table, m.column): m.message_ids for m in rows}


def test_exact_names_are_found_with_their_messages(company):
    """A table and "table.column" are found in any case, with the messages that name them."""
    found = _found(company, "hello", "FACT_PAYMENT.order_id is null", "in fact_payment too")
    assert found == {
        ("fact_payment", ""): ("m2", "m1"),
        ("fact_payment", "order_id"): ("m1",),
    } or found == {("fact_payment", ""): ("m1", "m2"), ("fact_payment", "order_id"): ("m1",)}


def test_a_longer_name_is_another_name(company):
    """`fact_payment_old` and `my_fact_payment` name nothing of the dictionary."""
    assert _found(company, "fact_payment_old my_fact_payment xfact_payment") == {}


def test_a_column_of_one_table_names_the_table(company):
    """A column that only one table has needs no table beside it."""
    assert set(_found(company, "fee_cents looks wrong")) == {
        ("fact_payment", ""),
        ("fact_payment", "fee_cents"),
    }


def test_a_column_of_two_tables_counts_only_beside_one_of_them(company):
    """`order_id` alone says nothing; with its table named elsewhere in the item it does."""
    assert _found(company, "order_id is null") == {}
    assert ("fact_order", "order_id") in _found(company, "order_id is null", "in fact_order")
    assert ("fact_order", "order_id") not in _found(company, "order_id", "fact_order fact_payment")


def test_an_everyday_word_is_no_column(company):
    """`status` is a column of the dictionary and a word of the language."""
    assert _found(company, "what is the status of this?") == {}


def test_a_block_of_code_counts_for_its_first_table(company):
    """What a pasted query joins and selects is how it goes about it, not what it is about."""
    found = _found(company, "look: ```select fee_cents from fact_payment join fact_order```")
    assert set(found) == {("fact_payment", "")}


def test_the_sql_of_a_question_counts_for_its_first_table(company):
    """The first table of a question's SQL is what the tool took it to be about."""
    dictionary = Dictionary.of(company.schema)
    (mention,) = read_first("SELECT 1 FROM main.fact_order JOIN fact_payment", "q", dictionary)
    assert (mention.table, mention.column) == ("fact_order", "")
    assert read_first("SELECT 1 FROM elsewhere", "q", dictionary) == ()


def test_a_table_name_with_a_blank_is_found_as_a_phrase():
    """Names that are no identifiers are found as whole words."""
    schema = Schema((Table("order lines", (Column("id", "int64"),)),))
    rows = by_rule([("m", "the Order Lines are late; reorder lineshape")], Dictionary.of(schema))
    assert [(m.table, m.message_ids) for m in rows] == [("order lines", ("m",))]


def test_the_dictionary_is_the_last_line_and_bounds_the_answer(company):
    """A provider is told every name, and its answer may hold no other."""
    instructions, schema = entity_instructions(company.schema)
    line = instructions.splitlines()[-1]
    assert line.startswith("DICTIONARY: ")
    assert json.loads(line.removeprefix("DICTIONARY: "))["fact_payment"] == {
        "aliases": ["payments", "payouts"],
        "columns": {"order_id": ["order number"], "fee_cents": [], "status": []},
    }
    assert schema["properties"]["tables"]["items"]["enum"] == ["fact_payment", "fact_order"]
    assert "fact_order.buyer_id" in schema["properties"]["columns"]["items"]["enum"]


def test_a_very_wide_schema_offers_keys_first():
    """Strict schemas bound the number of choices: keys stay, the rest is cut."""
    tables = tuple(
        Table(f"t{n}", tuple(Column(f"c{n}_{k}", "int64") for k in range(50))) for n in range(20)
    )
    _, schema = entity_instructions(Schema(tables))
    assert len(schema["properties"]["columns"]["items"]["enum"]) == 400
    assert len(schema["properties"]["tables"]["items"]["enum"]) == 20


def test_the_surest_table_of_an_answer_is_taken_with_its_columns(company):
    """The first table of an answer counts, with its columns and the messages that were read."""
    value = {
        "tables": ["fact_order", "fact_payment"],
        "columns": ["fact_order.buyer_id", "fact_payment.fee_cents"],
        "confidence": 0.7,
    }
    found = from_outcome(Outcome(0, "ok", value), ("m1",))
    assert [(m.table, m.column, m.found_by) for m in found] == [
        ("fact_order", "", "provider"),
        ("fact_order", "buyer_id", "provider"),
    ]
    assert from_outcome(Outcome(0, "failed"), ("m1",)) == ()
