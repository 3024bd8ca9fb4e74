"""The gateway refuses headers that two programs could read differently: repeated ones, and ones that are not UTF-8."""

from urllib.parse import urlsplit

import pytest

from exhaust.postgres.database import Database
from schemas.operations import USER_HEADER
from tests.integration.conftest import (
    PARTNER,
    RESOURCE,
    SERVICE_TOKEN,
    Ask,
    Gateway,
    Listener,
    envelope,
    written,
)
from tests.support.raw_http import RawReply, exchange

REQUEST_ID = "11111111-1111-4111-8111-111111111111"
CANARY = b"canary-4711"
PUBLIC = {
    "register": "POST /v1/client",
    "v1": f"POST /v1/datasets/eks-consumption-raw/{RESOURCE}",
    "v2": f"POST {Ask().path}",
    "list": f"POST /v2/datasets/requests/{PARTNER}",
    "status": f"POST /v2/datasets/requests/status/{REQUEST_ID}",
    "v3": f"POST /data/v3/datasets/eks-consumption-raw/{RESOURCE}",
    "v3, GET": f"GET /data/v3/datasets/eks-consumption-raw/{RESOURCE}",
}
INTERNAL = {
    "authenticate": "POST /v1/client/authenticate",
    "associate": f"POST /v1/associate/{RESOURCE}",
    "rotate": "POST /v1/admin/keys/rotate",
    "update": f"POST /v2/datasets/requests/update/{REQUEST_ID}",
}


async def send(listener: Listener, line: str, headers: list[tuple[str, bytes]], license_key: str) -> RawReply:
    """A call that is good but for its headers; what they leave out is added."""
    names = {"clientName": "another", "licenseKeyName": "dashboard"}
    body = envelope({"licenseKey": license_key, "partnerid": PARTNER, "username": "somebody"} | names)
    given = {name.lower() for name, _ in headers}
    usual = {
        "Host": b"x",
        "Content-Type": b"application/json",
        "Content-Length": str(len(body)).encode(),
        "X-Channel-ID": PARTNER.encode(),
        "X-API-Key": license_key.encode(),
        "Authorization": f"Bearer {SERVICE_TOKEN}".encode(),
    }
    sent = [*((name, value) for name, value in usual.items() if name.lower() not in given), *headers]
    head = b"".join(b"%b: %b\r\n" % (name.encode(), value) for name, value in sent)
    port = urlsplit(listener.base).port or 0
    reply, _ = await exchange(port, b"%b HTTP/1.1\r\n%b\r\n%b" % (line.encode(), head, body))
    return reply


def values(name: str, license_key: str) -> list[bytes]:
    """A good value of a header, and another one."""
    good = {
        "Content-Length": "0",
        "Content-Type": "application/json",
        "X-API-Key": license_key,
        "X-Channel-ID": PARTNER,
        "Authorization": f"Bearer {SERVICE_TOKEN}",
        USER_HEADER: "1",
        "Range": "bytes=0-1",
        "Content-Encoding": "identity",
    }.get(name, "one")
    return [good.encode(), CANARY]


def assert_named(reply: RawReply, name: str) -> None:
    assert reply.status == 400, reply
    assert reply.headers["content-type"] == "application/json"
    params = reply.json["params"]
    assert (params["status"], params["err"]) == ("failed", "INVALID_DATA_ERROR")
    assert params["errmsg"] == f"the header {name} must be sent once, not twice or more"
    assert CANARY not in reply.body


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "Content-Length", "Content-Type", "Content-Encoding"),
        *("Authorization", "X-API-Key", "X-Channel-ID", "Idempotency-Key", "Range", "If-Range"),
    ],
)
@pytest.mark.parametrize("operation", PUBLIC)
async def test_a_header_sent_twice_is_named_and_refused(
    gateway: Gateway, database: Database, operation: str, name: str
) -> None:
    before = await written(database)
    good, other = values(name, gateway.license_key)
    for second in (good, other):
        for spelling in (name, name.lower()):
            twice = [(name, good), (spelling, second)]
            assert_named(await send(gateway, PUBLIC[operation], twice, gateway.license_key), name)
    assert await written(database) == before


@pytest.mark.parametrize("name", ["Host", "Content-Type", "Authorization", USER_HEADER])
@pytest.mark.parametrize("operation", INTERNAL)
async def test_internal_operations_refuse_a_header_sent_twice(
    gateway: Gateway, database: Database, operation: str, name: str
) -> None:
    before = await written(database)
    good, other = values(name, gateway.license_key)
    for second in (good, other):
        twice = [(name, good), (name, second)]
        assert_named(await send(gateway.internal, INTERNAL[operation], twice, gateway.license_key), name)
    assert await written(database) == before


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\xaf", "é".encode(), b"a" * 5000, b""], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        *("Content-Type", "Content-Encoding", "Accept", "traceparent", "X-Forwarded-For"),
        *("Authorization", "X-API-Key", "X-Channel-ID", "Idempotency-Key", "Range", "If-Range", "If-None-Match"),
    ],
)
async def test_odd_bytes_in_a_header_are_no_internal_error(gateway: Gateway, name: str, value: bytes) -> None:
    for good_line in PUBLIC.values():
        downloads = "/v1/" in good_line or "/v3/" in good_line  # a good call of these waits for its download
        line = good_line.replace("eks-consumption-raw", "no-such-dataset") if downloads else good_line
        reply = await send(gateway, line, [(name, value)], gateway.license_key)
        assert reply.status < 500 or reply.json["params"]["err"] == "SERVICE_UNAVAILABLE", (line, reply)
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xed\xa0\x80", "é".encode(), b"Bearer \xff", b""], ids=repr)
async def test_odd_bytes_in_place_of_the_service_token_are_refused(gateway: Gateway, value: bytes) -> None:
    for line in INTERNAL.values():
        reply = await send(gateway.internal, line, [("Authorization", value)], gateway.license_key)
        assert (reply.status, reply.json["params"]["err"]) == (401, "LOGIN_FAILED")
