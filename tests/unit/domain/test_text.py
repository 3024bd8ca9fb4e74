import pytest
from hypothesis import given
from hypothesis import strategies as st

from exhaust.domain.text import is_storable_text


@pytest.mark.parametrize("text", ["", "a", "é", "\u200b", "\U0001f600", "\n", "\x7f", "?", "\ufffd"])
def test_postgresql_holds_almost_any_text(text: str) -> None:
    assert is_storable_text(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "x\udfff"])
def test_postgresql_holds_neither_nul_nor_a_lone_surrogate(text: str) -> None:
    assert not is_storable_text(text)


@given(st.text(st.characters(exclude_categories=())))
def test_printable_text_is_storable(text: str) -> None:
    assert is_storable_text(text) or not text.isprintable()
