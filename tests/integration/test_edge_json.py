"""The gateway refuses JSON that two readers could read differently, and names the wrong places."""

import json

import pytest

from exhaust.postgres.database import Database
from tests.integration.conftest import PARTNER, Ask, Gateway, assert_refused, envelope, written

PROBLEM = {"Content-Type": "application/json", "Accept": "application/problem+json"}


def body_of(gateway: Gateway, repeated: str) -> bytes:
    good = envelope({"licenseKey": gateway.license_key, "partnerid": PARTNER, "username": "somebody"}).decode()
    return good.replace('"username"', f'{repeated}, "username"').encode()


@pytest.mark.parametrize(
    ("repeated", "pointer"),
    [
        ('"licenseKey": "other"', "/request/licenseKey"),
        (f'"partnerid": "{PARTNER}"', "/request/partnerid"),
        ('"part\\u006eerid": "x"', "/request/partnerid"),
        ('"more": 1, "more": 1', "/request/more"),
        ('"more": [{"a": {"b/c": 1, "b/c": 2}}]', "/request/more/0/a/b~1c"),
    ],
)
async def test_a_repeated_name_is_named(gateway: Gateway, database: Database, repeated: str, pointer: str) -> None:
    before = await written(database)
    body = body_of(gateway, repeated)
    reply = await gateway.ask(Ask(body=body))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert pointer.removeprefix("/") in reply.body["params"]["errmsg"]
    async with gateway.session.post(gateway.base + Ask().path, data=body, headers=PROBLEM) as answer:
        told = json.loads(await answer.read())
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert [error["pointer"] for error in told["errors"]] == [pointer]
    assert await written(database) == before


async def test_a_byte_order_mark_before_a_body_is_ignored(gateway: Gateway) -> None:
    reply = await gateway.ask(Ask(body=b"\xef\xbb\xbf" + body_of(gateway, '"more": 1')))
    assert reply.status == 202, reply
    reply = await gateway.ask(Ask(body=b'\xef\xbb\xbf{"a": 1, "a": 2}'))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert reply.body["params"]["errmsg"] == "a: stands twice in its object"


async def test_all_repeated_names_are_named_at_once(gateway: Gateway) -> None:
    reply = await gateway.ask(Ask(body=b'{"a": 1, "b": [{"c": 1, "c": 2}], "a": 2}'))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert reply.body["params"]["errmsg"] == "a: stands twice in its object; b/0/c: stands twice in its object"


@pytest.mark.parametrize(
    "body",
    [
        b'{"request": {"x": Infinity}}',
        b'{"request": {"x": -Infinity}}',
        b'{"request": {"x": 1e999}}',
        b'{"request": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b'{"params": {"msgid": "\\udc00"}, "request": {}}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"request": {}}',
        b'{"request": {}}\xef\xbb\xbf',
    ],
    ids=lambda body: repr(body[:30]),
)
@pytest.mark.parametrize(
    "path", [Ask().path, "/v1/client", Ask().path.replace("/v2", "/v1"), "/v2/datasets/requests/x"]
)
async def test_every_operation_refuses_a_body_that_is_not_json(
    gateway: Gateway, database: Database, body: bytes, path: str
) -> None:
    before = await written(database)
    reply = await gateway.call(path, body)
    assert_refused(reply, 400, "INVALID_DATA_ERROR", ver=reply.body["ver"])
    assert "the body is not JSON" in reply.body["params"]["errmsg"]
    assert await written(database) == before


@pytest.mark.parametrize("name", ["clientName", "licenseKeyName"])
async def test_a_name_with_nul_is_not_registered(gateway: Gateway, database: Database, name: str) -> None:
    before = await written(database)
    names = {"clientName": "c", "licenseKeyName": "k"} | {name: "a\0b"}
    assert_refused(await gateway.call("/v1/client", envelope(names)), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


async def test_a_message_id_with_nul_is_echoed(gateway: Gateway) -> None:
    reply = await gateway.ask(Ask(body=b'{"params": {"msgid": "a\\u0000b"}, "request": {}}'))
    assert_refused(reply, 401, "LOGIN_FAILED")
    assert reply.body["params"]["msgid"] == "a\0b"
