"""Names that may be registered, and names that people take for one another."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.client_names import check_name, name_keys
from exhaust.errors import ErrorCode, ExhaustError


@pytest.mark.parametrize(
    "name", ["maple", "Maple Labs", "org.example.partner-1", "école", "शिक्षा", "மாணவர்", "学校", "क़", "a" * 256]
)
def test_a_plain_name_is_kept_as_it_is(name: str) -> None:
    assert check_name(unicodedata.normalize("NFKC", name), "clientName") == unicodedata.normalize("NFKC", name)


@pytest.mark.parametrize(
    "name",
    [
        *(" maple", "maple ", "maple\t", "\nmaple", "maple\u00a0", "maple\u3000", "\u2028maple"),
        *("ma\tple", "ma\x1bple", "ma\x7fple", "ma\x85ple", "ma\u2028ple"),
        *("ma\u200bple", "ma\u200dple", "\ufeffmaple", "ma\u00adple", "maple\u202e", "ma\u2060ple", "\U000e0041maple"),
        *("ma\u034fple", "maple\ufe0f", "maple\u3164", "\u2800maple", "ma\ue000ple", "ma\uffffple", "ma\U000e0101ple"),
        *("e\u0301cole", "\ufb01nch", "\uff4daple", "ma\u00a0ple", "\u2460", "\U0001d426aple"),
    ],
    ids=ascii,
)
def test_a_name_that_hides_something_is_refused(name: str) -> None:
    with pytest.raises(ExhaustError, match="request/clientName") as refused:
        check_name(name, "clientName")
    assert refused.value.code is ErrorCode.INVALID_DATA_ERROR
    assert name not in refused.value.message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Maple", "maple"), ("MAPLE", "maple"), ("imi", "IMI"), ("STRASSE", "straße")),
        *(("maple", "m\u0430ple"), ("maple", "\u043c\u0430ple".replace("\u043c", "m")), ("Maple", "M\u0430ple")),
        *(("maple", "map1e"), ("Maple", "MapIe"), ("MAPIE", "maple"), ("modern", "modem"), ("o0o", "OOO")),
        *(("maple", "ma\u200bple"), ("maple", "maple "), ("a b", "a\u00a0b"), ("maple", "\U0001d426aple")),
        *(("\u0391lpha", "Alpha"), ("SC", "\u0405\u0421"), ("a-b", "a\u2010b"), ("\u00e9cole", "e\u0301cole")),
    ],
    ids=ascii,
)
def test_names_that_are_taken_for_one_another_share_a_key(one: str, other: str) -> None:
    mine, others = name_keys(one), name_keys(other)
    assert mine.look_alike == others.look_alike or mine.case == others.case


@pytest.mark.parametrize(
    ("one", "other"),
    [("maple", "mapie"), ("maple", "maples"), ("ab", "a b"), ("north", "south"), ("client 1", "client 2"), ("é", "e")],
)
def test_other_names_share_none(one: str, other: str) -> None:
    mine, others = name_keys(one), name_keys(other)
    assert mine.look_alike != others.look_alike
    assert mine.case != others.case


@given(st.text())
def test_every_text_has_keys_of_one_length(name: str) -> None:
    keys = name_keys(name)
    assert (len(keys.look_alike), len(keys.case)) == (32, 32)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_case_changes_no_key_of_case(name: str) -> None:
    assert name_keys(name.upper()).case == name_keys(name.lower()).case


EDGES = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164)),
    *((0xFE00, 0xFE0F), (0xFFA0, 0xFFA0)),
)


@pytest.mark.parametrize(("first", "last"), EDGES, ids=hex)
def test_letters_beside_those_that_show_nothing_show_something(first: int, last: int) -> None:
    for point in (first, last):
        with pytest.raises(ExhaustError, match=f"holds U.{point:04X}, a control, format or other invisible character"):
            check_name(f"a{chr(point)}b", "clientName")
    for point in (first - 1, last + 1):
        try:
            check_name(f"a{chr(point)}b", "clientName")
        except ExhaustError as refused:
            assert "NFKC" in refused.message  # it has a plainer form, which shows


def test_variation_selectors_show_nothing() -> None:
    for point in (0xE0100, 0xE01EF):
        with pytest.raises(ExhaustError, match="invisible"):
            check_name(f"a{chr(point)}", "clientName")
