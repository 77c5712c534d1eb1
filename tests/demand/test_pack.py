"""A thread as one text: order, bounds, and nothing that looks like another message."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dnr_core.demand.pack import MOST_MESSAGES, MOST_TOKENS, Message, pack
from dnr_core.demand.text import cut_to_tokens, plain_line, quote, tokens_about

MESSAGES = st.lists(
    st.builds(
        Message,
        message_id=st.uuids().map(str),
        ts_us=st.integers(0, 10**15),
        text=st.text(max_size=400),
        points=st.integers(0, 90),
        is_root=st.booleans(),
        is_exec=st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=40)
@given(MESSAGES, st.randoms())
def test_a_pack_keeps_its_bounds_and_no_order_of_input_changes_it(messages, random):
    """At most 900 tokens and 20 messages, the same for any order of the messages."""
    packed = pack(messages)
    assert len(packed.message_ids) <= MOST_MESSAGES
    assert tokens_about(packed.text) <= MOST_TOKENS
    shuffled = messages.copy()
    random.shuffle(shuffled)
    assert pack(shuffled) == packed


@settings(max_examples=40)
@given(MESSAGES)
def test_each_message_is_one_line(messages):
    """A message with line breaks cannot look like two: lines and messages are as many."""
    packed = pack(messages)
    if len(messages) > 1:
        assert len(packed.text.splitlines()) == len(packed.message_ids)
    else:
        assert len(packed.text.splitlines()) <= 1


def test_root_then_execs_then_best_score_then_newest():
    """The order of packing is root, every exec message, best score, newest."""
    messages = [
        Message("old", 1, "a word", points=5),
        Message("new", 9, "a word", points=5),
        Message("best", 2, "a word", points=40),
        Message("exec", 8, "a word", is_exec=True),
        Message("root", 0, "a word", is_root=True),
    ]
    assert pack(messages).message_ids == ("root", "exec", "best", "new", "old")


def test_what_does_not_fit_is_what_matters_least():
    """With more than 20 messages, the oldest of the worst score are left out."""
    messages = [Message(f"m{n:02}", n, "a word", is_root=n == 0) for n in range(30)]
    assert set(pack(messages).message_ids) == {"m00", *(f"m{n}" for n in range(11, 30))}


def test_a_huge_message_is_cut_and_crowds_nothing_out_before_it():
    """A reply of 1 MB takes what is left after the root, and is cut there."""
    packed = pack(
        [Message("root", 0, "the root", is_root=True), Message("huge", 1, "word " * 200_000)]
    )
    assert packed.message_ids == ("root", "huge")
    assert packed.text.startswith("- the root\n- word")
    assert tokens_about(packed.text) <= MOST_TOKENS


@settings(max_examples=40)
@given(st.text(max_size=3000), st.integers(0, 50))
def test_a_cut_text_fits_and_is_a_beginning(text, tokens):
    """Cutting gives a beginning of the text that is within the bound."""
    cut = cut_to_tokens(text, tokens)
    assert text.startswith(cut)
    assert tokens_about(cut) <= tokens


def test_control_and_direction_characters_and_lone_surrogates_are_gone():
    """What shows nothing, turns the reading direction or is no character does not reach a model."""
    line = plain_line("a\x00b\u202ec\u2066d\ud800e\u200bf\x1b[31mg\r\nh\ti")
    assert not set(line) & set("\x00\u202e\u2066\ud800\u200b\x1b\r\n\t")
    assert line.replace("\ufffd", "").startswith("abcdef")


def test_a_quote_shows_no_address_and_no_number():
    """Addresses, phones and all numbers are masked, and a quote is short."""
    shown = quote("mail jo@corp.example or +1 415 555 0100 about 1,234 rows " + "word " * 100)
    assert "corp.example" not in shown
    assert not any(character.isdigit() for character in shown)
    assert len(shown) <= 161


@settings(max_examples=300)
@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_plain_ascii_is_read_as_all_text_is(text):
    """What is quickly read comes out as it would beside a letter that is not ASCII."""
    assert f"é {plain_line(text)}".strip() == plain_line(f"é {text}")
