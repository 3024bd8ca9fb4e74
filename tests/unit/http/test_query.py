from __future__ import annotations

import pytest
from multidict import MultiDict
from yarl import URL

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.query import MAX_NAMES, check_query, list_values
from schemas.operations import Operation

OPERATION = Operation("id", "1.0", query=frozenset({"wait"}), query_lists=frozenset({"tags"}))


def query_of(text: str) -> MultiDict[str]:
    return MultiDict(URL(f"/?{text}", encoded=True).query)


def refusal(query: MultiDict[str], operation: Operation = OPERATION) -> ExhaustError:
    with pytest.raises(ExhaustError) as refused:
        check_query(query, operation)
    assert refused.value.code == ErrorCode.INVALID_DATA_ERROR
    return refused.value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", []),
        ("wait=3", []),
        ("tags=b&tags=a", ["b", "a"]),
        ("tags[]=b&tags=a", ["b", "a"]),
        ("tags[0]=a&tags[1]=b", ["a", "b"]),
        ("tags%5B0%5D=a", ["a"]),
        ("tags[10]=c&tags[9]=b&tags[]=a", ["a", "b", "c"]),
        ("tags", [""]),
    ],
)
def test_lists_are_read_as_clients_write_them(text: str, values: list[str]) -> None:
    check_query(query_of(text), OPERATION)
    assert list_values(query_of(text), "tags") == values


@pytest.mark.parametrize(
    "name",
    [
        *("tag", "Tags", "tags[x]", "tags[-1]", "tags[01]", "tags[1000000]", "tags[0][a]", "tags[", "tags]", "[]"),
        *("wait[]", "wait[0]", "Wait", "tags[٣]", "$where", "tags\n"),
    ],
)
def test_an_unknown_parameter_is_refused_by_name(name: str) -> None:
    error = refusal(MultiDict({"wait": "1", name: "secret"}))
    assert error.message == f"{name}: this operation has no such query parameter"
    assert error.violations == ((f"?{name}", "this operation has no such query parameter"),)


@pytest.mark.parametrize("name", ["wait", "tags[0]"])
def test_what_is_no_list_is_sent_once(name: str) -> None:
    error = refusal(MultiDict([(name, "1"), (name, "1")]))
    assert error.message == f"{name}: this query parameter must be sent once"


def test_an_operation_without_parameters_has_none() -> None:
    for name in ("tags", "tags[]", "tags[0]", "wait"):
        refusal(MultiDict({name: "1"}), Operation("id", "1.0"))


def test_many_and_strange_names_make_a_short_message_that_can_be_sent() -> None:
    error = refusal(MultiDict({f"{number}{'x' * 1000}": "" for number in range(1000)}))
    assert len(error.violations) == MAX_NAMES
    assert len(error.message) < 5000
    assert refusal(MultiDict({"\udc80": ""})).message.encode()
    assert refusal(query_of("=1")).message.startswith('"": ')
