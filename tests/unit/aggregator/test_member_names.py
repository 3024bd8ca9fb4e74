from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.aggregator.archive.member_names import check_member_name, member_name, member_names

QUICK = settings(max_examples=40, deadline=None)
KEYS = st.text(alphabet=st.characters(), max_size=30)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("raw/2026-11-01-1575399627832.json.gz", "2026-11-01-1575399627832.json"),
        ("2026-11-01-1575399627832.json.zst", "2026-11-01-1575399627832.json"),
        ("a/b/x.jsonl.gz", "x.jsonl"),
        ("x.json", "x.json"),
        ("x.JSON.GZ", "x.JSON"),
        ("x.zstd", "x.json"),
        ("x.json.gzip", "x.json"),
        ("x.json.tmp", "x.json"),
        ("x.json.gz.tmp", "x.json"),
        ("x.json.Gzip.TMP", "x.json"),
        ("x.tmp.json", "x.tmp.json"),
        ("2026-11-01-1575399627832", "2026-11-01-1575399627832.json"),
        ("x.log.gz", "x.log"),
        ("été 1.json.gz", "été 1.json"),
        ('a/b\\c:d*e?"f.json', "b_c_d_e__f.json"),
        ("a\n\x7f\x85\ud800\u202eb.json", "a_____b.json"),
        ("a/b/", "unnamed.json"),
        ("a/...gz", "unnamed.json"),
        (".hidden", ".hidden.json"),
        ("x" * 300 + ".json.gz", "x" * 195 + ".json"),
        ("é" * 300 + ".json.gz", "é" * 97 + ".json"),
        ("x." + "y" * 150, "x." + "y" * 150 + ".json"),
    ],
)
def test_a_member_is_named_after_its_source_object(key: str, name: str) -> None:
    assert member_name(key) == name


@QUICK
@given(KEYS)
def test_every_made_name_passes_the_check(key: str) -> None:
    check_member_name(member_name(key))


def test_a_name_that_is_taken_gets_a_number() -> None:
    keys = ["a/x.json", "b/x.json.gz", "x-2.json", "X.json", "c/x.json.zst", "y.json"]
    assert member_names(keys) == [
        "x.json",
        "x-2.json",
        "x-2-2.json",
        "X-3.json",
        "x-4.json",
        "y.json",
    ]


def test_names_that_differ_by_normal_form_or_case_alone_get_numbers() -> None:
    forms = [unicodedata.normalize(form, "caf\u00c9.json").swapcase() for form in ("NFC", "NFD")]
    names = member_names([*forms, "CAF\u00c9.JSON", "stra\u00dfe", "STRASSE"])
    assert names == [forms[0], forms[1].replace(".", "-2."), "CAF\u00c9-3.JSON", "stra\u00dfe.json", "STRASSE-2.json"]


@QUICK
@given(st.lists(KEYS | st.sampled_from(["x.json", "x.json.gz", "X", "x-2.json"]), max_size=12))
@example(["", "/", "unnamed", "unnamed-2.json"])
def test_names_of_a_day_are_unique_and_safe(keys: list[str]) -> None:
    names = member_names(keys)
    for form in ("NFC", "NFD"):
        assert len({unicodedata.normalize(form, name).casefold() for name in names}) == len(keys)
    for name in names:
        check_member_name(name)


def test_thousands_of_equal_names_take_no_time() -> None:
    assert member_names(["x.json"] * 10_000)[-1] == "x-10000.json"


@pytest.mark.parametrize("name", ["a.json", "a/b.json", "a..b", "é" * 32_767, "a" * 65_535, "-", "a b"])
def test_relative_names_pass(name: str) -> None:
    check_member_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("a" * 65_536, "is longer than 65535 bytes"),
        ("é" * 32_768, "is longer than 65535 bytes"),
        ("a\ud800", "is not Unicode text"),
        ("a\0", "holds a control character"),
        ("a\x1f", "holds a control character"),
        ("a\x7f", "holds a control character"),
        ("a\x9b", "holds a control character"),
        ("a\\b", "holds a backslash"),
        ("/a", "is not relative"),
        ("C:a", "is not relative"),
        ("..", r"has a part that is empty, '\.' or '\.\.'"),
        ("a/../b", "has a part"),
        ("./a", "has a part"),
        ("a//b", "has a part"),
        ("a/", "has a part"),
    ],
)
def test_the_check_says_what_is_wrong(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        check_member_name(name)
