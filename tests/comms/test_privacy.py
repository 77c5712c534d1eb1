"""What texts lose and keep, and pseudonyms that only the key's owner can make."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnr_core.comms import import_comms, read_comms
from dnr_core.comms.pseudonyms import Pseudonyms, load_key
from dnr_core.comms.redact import MAX_CHARS, Names, redact
from dnr_core.errors import CommsError

GONE = {
    "mail bob.smith@corp.example now": "mail [address] now",
    "bob＠corp.example": "[address]",  # noqa: RUF001
    "bob [at] corp [dot] example": "[address]",
    "<mailto:bob@corp.example>": "<[address]>",
    "call +1 (415) 555-2671 or 415-555-2671": "call [phone] or [phone]",
    "415.555.2671 x5, 07700 900123": "[phone] x5, [phone]",
    "+441632960961!": "[phone]!",
    "ssn 078-05-1120": "ssn [phone]",
    "card 4111 1111 1111 1111, 4111111111111111": "card [card], [card]",
    "IBAN DE89 3704 0044 0532 0130 00.": "IBAN [account].",
    "account 0012345678, ref AC12345678": "account [account], ref AC[account]",
    "at 12 Main Street": "at [address]",
    "Hauptstraße 12a": "[address]",
    "from 10.0.0.1": "from [address]",
    "https://u:p@host.example/a?token=abc#x ok": "https://host.example/a ok",
    "key AKIAABCDEFGHIJKLMNOP": "key [secret]",
    "١٢٣٤٥٦٧٨٩٠": "[account]",
}
KEPT = [
    "on 2024-01-02 10:00:00 we got 1,234,567 rows",
    "2024/01/02 and 2.1.2024, run 20240131",
    "version 3.14.159, about 12345 rows in 2024",
    "fact_payment_20240102 has 99.123456789 %",
    "commit 00680ab0e044f03ef9bd41fc9eacc8ac934852aa",
    "commit 12345678e044f03ef9bd4112345678ac934852aa",
    "SELECT count(*) FROM fact_sale WHERE amount_cents > 1000000",
    "at 10:30, lag 12-240 min, 5 of 100",
    "数据晚了",
]


@pytest.mark.parametrize("text", GONE)
def test_what_looks_personal_goes(text: str) -> None:
    """Addresses, phones, cards, accounts and keys become words in brackets."""
    assert redact(text) == GONE[text]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_about_data_stays(text: str) -> None:
    """Dates, times, counts, names of tables, SQL and hashes are kept as they are."""
    assert redact(text) == text


@given(
    st.text(max_size=30),
    st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}@[a-z]{1,8}\.(com|org)", fullmatch=True),
    st.text(max_size=30),
)
def test_no_address_gets_through(before: str, address: str, after: str) -> None:
    """Whatever stands around it, an address is not in what is left."""
    assert address not in redact(f"{before} {address} {after}")


@given(st.text(max_size=400))
def test_redacting_twice_changes_nothing_and_is_valid_text(text: str) -> None:
    """What is left is valid UTF-8, is not longer than allowed, and has no more to lose."""
    once = redact(text)
    once.encode("utf-8")
    assert len(once) <= MAX_CHARS * 2
    assert redact(once).count("[") >= once.count("[")


def test_full_names_go_and_single_words_stay() -> None:
    """A name of two words is taken out in any case; a first name may be a word, and stays."""
    names = Names(["Ann Lee", "May", "", "R. (Bo) Karl+", "Ann Lee Roy", "李 雷"])
    assert redact("ann lee and May: ANN LEE", names) == "[name] and May: [name]"
    assert redact("r bo karl, Ann-Lee Roy; 李 雷", names) == "[name], [name]; [name]"
    assert redact("Ann\nLee, Anna Lee, Ann   and Lee", names) == "Ann\nLee, Anna Lee, Ann   and Lee"
    assert redact("May", Names([])) == "May"


def test_pseudonyms_hang_on_the_key() -> None:
    """One person has one pseudonym in any case of letters; another key gives another."""
    one, other = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)
    assert one.person("Ann@x.example ") == one.person("ann@X.example")
    assert one.person("ann@x.example") != other.person("ann@x.example")
    assert one.person("ann@x.example") != one.person("bo@x.example")
    assert len(one.person("ann@x.example")) == 17
    for n in range(200):
        pseudonym = one.person(f"p{n}@x.example")
        assert redact(f"@{pseudonym} and {pseudonym}") == f"@{pseudonym} and {pseudonym}"


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    """It is made on first use, readable by its owner only, and used again afterwards."""
    path = tmp_path / "deep" / "key"
    key = load_key(path, tmp_path / "out")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path, tmp_path / "out") == key
    assert len(key) == 32


def test_a_key_in_the_output_or_of_rubbish_is_refused(tmp_path: Path) -> None:
    """A key must lie apart from what it protects, and be one."""
    with pytest.raises(CommsError, match="inside the output folder"):
        load_key(tmp_path / "out" / "sub" / "key", tmp_path / "out")
    (tmp_path / "key").write_text("secret")
    with pytest.raises(CommsError, match="holds no key"):
        load_key(tmp_path / "key", tmp_path / "out")


def _log(path: Path, *users: str) -> Path:
    path.write_text("\n".join(json.dumps({"question": "q", "user": user}) for user in users))
    return path


def test_imports_with_one_key_agree(tmp_path: Path) -> None:
    """A second import gives the same people the same ids, and the same bytes; another key does not."""
    source = _log(tmp_path / "log.jsonl", "ann@x.example", "bo@x.example")
    found = []
    for out, key in (("a", "k1"), ("b", "k1"), ("c", "k2")):
        folder = import_comms(nlq=source, out=tmp_path / out, key_file=tmp_path / key)
        found.append((folder.path / "nlq.parquet").read_bytes())
    assert found[0] == found[1] != found[2]


def test_without_pseudonyms_identities_stay_and_no_key_is_made(tmp_path: Path) -> None:
    """Switched off, ids are what the log has; texts are redacted all the same."""
    source = _log(tmp_path / "log.jsonl", "ann@x.example")
    folder = import_comms(nlq=source, out=tmp_path / "out", pseudonymise=False)
    assert read_comms(folder.path).nlq.column("user_id").to_pylist() == ["ann@x.example"]
    assert folder.key_file is None


def test_roles_come_from_a_map(tmp_path: Path) -> None:
    """JSON and CSV maps give roles; a role that does not exist, or a broken file, is refused."""
    source = _log(tmp_path / "log.jsonl", "ann@x.example", "bo@x.example")
    options = {"nlq": source, "out": tmp_path / "out", "key_file": tmp_path / "key"}
    roles = tmp_path / "roles.json"
    roles.write_text(json.dumps({"Ann@x.example": "finance"}))
    folder = import_comms(**options, roles=roles)
    users = read_comms(folder.path).users.to_pylist()
    assert sorted(row["role"] for row in users) == ["finance", "other"]
    roles.write_text(json.dumps({"ann@x.example": "wizard"}))
    with pytest.raises(Exception, match="wizard"):
        import_comms(**options, roles=roles)
    broken = tmp_path / "roles.csv"
    broken.write_text("ann@x.example\n")
    with pytest.raises(CommsError, match="line 1"):
        import_comms(**options, roles=broken)


def test_an_import_does_not_replace_made_talk_by_accident(tmp_path: Path) -> None:
    """A folder of something else is left alone."""
    source = _log(tmp_path / "log.jsonl", "ann")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(Exception, match=r"mine\.txt"):
        import_comms(nlq=source, out=tmp_path / "out", key_file=tmp_path / "key")
