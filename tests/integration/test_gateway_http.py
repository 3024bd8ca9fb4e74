"""The public listener over HTTP: it refuses bad calls in the documented form without writing, and files good ones."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from pydantic import SecretStr

from exhaust.http.request import MAX_BODY_BYTES
from exhaust.kafka.producer import Producer
from exhaust.postgres.database import Database, open_database
from exhaust.s3.store import ObjectStore
from telemetry.resource_ids import resource_id
from tests.integration.conftest import (
    EXPIRED,
    FORMER_PARTNER,
    FULL_SHA1,
    LEFT_OUT,
    MSGID,
    ONE_DATASET,
    PARTNER,
    RESOURCE,
    Ask,
    Gateway,
    assert_refused,
    envelope,
    open_gateway,
    today,
    written,
)
from tests.support.gateway_process import wait_until_ready
from tests.support.s3_proxy import proxy

STRANGER = "org.example.stranger"
REQUEST_ID = "11111111-1111-4111-8111-111111111111"
BAD_BODIES = {
    "nothing": b"",
    "half an object": b'{"request": {',
    "two values": b"{}{}",
    "NaN": b'{"request": {"username": NaN}}',
    "not UTF-8": b'{"request": {"username": "\xff"}}',
    "half a surrogate pair": b'{"request": {"username": "\\ud800"}}',
    "too deep": b"[" * 5000 + b"]" * 5000,
    "a list": b"[]",
    "a text": b'"request"',
    "null": b"null",
    "a form": b"licenseKey=1&partnerid=2",
}
WRONG_TYPES: dict[str, Mapping[str, object]] = {
    "license key a number": {"licenseKey": 5},
    "license key a list": {"licenseKey": ["key"]},
    "partner an object": {"partnerid": {}},
    "username true": {"username": True},
    "username very long": {"username": "x" * 257},
    "partner with NUL": {"partnerid": "org.example\x00"},
    "username with NUL": {"username": "\x00"},
}
MISSING: dict[str, tuple[str, object]] = {
    f"{name} {how}": (name, value)
    for name in ("licenseKey", "partnerid", "username")
    for how, value in (("left out", LEFT_OUT), ("null", None), ("empty", ""), ("blank", " \t\u00a0"))
}
MISSING_CODES = {
    "licenseKey": (401, "LOGIN_FAILED"),
    "partnerid": (400, "MISSING_PARTNERID"),
    "username": (400, "MISSING_USERNAME"),
}
WRONG_KEYS = ["61d81fac-cc60-4f2f-9fe7-daef674af21a", "x" * 10_000, "key\x00", "' OR ''='"]
NO_ACCESS = {
    "unknown dataset": Ask(dataset="eks-unknown"),
    "dataset in capitals": Ask(dataset="EKS-CONSUMPTION-RAW"),
    "no grant on the resource": Ask(resource=resource_id(STRANGER)),
    "opaque resource without a grant": Ask(resource="nobody.knows-me"),
    "grant for another dataset": Ask(resource=ONE_DATASET),
    "expired grant": Ask(resource=EXPIRED),
    "another partner": Ask(request={"partnerid": STRANGER}),
    "partner whose grant is over": Ask(request={"partnerid": FORMER_PARTNER}),
    "partner's resource for its id": Ask(request={"partnerid": RESOURCE}),
    "dots for a dataset": Ask(dataset="%2e%2e"),
    "slashes in the dataset": Ask(dataset="..%2F..%2Feks-consumption-raw"),
    "NUL in the dataset": Ask(dataset="%00"),
}
BAD_DAYS: dict[str, tuple[tuple[int | str, ...], str]] = {
    "no day of the calendar": (("2026-02-30", "2026-02-30"), "INVALID_DATE"),
    "no day, alone": (("2026-02-30",), "INVALID_DATE"),
    "reversed": ((-1, -2), "INVALID_DATE"),
    "until today": ((-1, 0), "INVALID_DATE"),
    "today alone": ((0,), "INVALID_DATE"),
    "until tomorrow": ((-1, 1), "INVALID_DATE"),
    "far future": (("9999-12-31", "9999-12-31"), "INVALID_DATE"),
    "nonsense": (("yesterday", "today"), "INVALID_DATE"),
    "without hyphens": (("20260101", "20260102"), "INVALID_DATE"),
    "week date": (("2026-W01-1", "2026-W01-2"), "INVALID_DATE"),
    "a time too": (("2026-01-01T00:00:00", "2026-01-02"), "INVALID_DATE"),
    "other digits": ((quote("\u0662026-01-01"), "2026-01-02"), "INVALID_DATE"),
    "year 0": (("0000-01-01", "2026-01-02"), "INVALID_DATE"),
    "line end": (("2026-01-01%0A", "2026-01-02"), "INVALID_DATE"),
    "slash inside": (("2026-01-01%2F2026-01-02",), "INVALID_DATE"),
    "32 days": ((-32, -1), "DATE_RANGE_TOO_LARGE"),
    "a year, by the default": ((-365,), "DATE_RANGE_TOO_LARGE"),
}
BAD_RESOURCES = [
    "a%20b",
    quote("é"),
    "x" * 129,
    "a%2Fb",
    "..%2F..%2Fetc",
    "a%00",
    "a%0A",
    "%E2%80%AE",
    "a:b",
    "a%252Fb",
    ".",
    "%2e%2e",
    "...",
]
BAD_TAGS = {
    "too many": "?" + "&".join(f"tags[]={number}" for number in range(21)),
    "too many of both spellings": "?" + "&".join(f"tags{'[]' * (number % 2)}={number}" for number in range(21)),
    "too long": "?tags[]=" + "x" * 65,
    "empty": "?tags[]=",
    "NUL": "?tags[]=a%00b",
    "misspelt": "?tag=a",
    "index twice": "?tags[0]=a&tags[0]=b",
}
REFUSED: dict[str, tuple[Ask, int, str]] = {
    **{f"body: {name}": (Ask(body=body), 400, "INVALID_DATA_ERROR") for name, body in BAD_BODIES.items()},
    **{f"type: {name}": (Ask(request=part), 400, "INVALID_DATA_ERROR") for name, part in WRONG_TYPES.items()},
    **{name: (Ask(request={field: value}), *MISSING_CODES[field]) for name, (field, value) in MISSING.items()},
    **{f"key: {key[:20]!r}": (Ask(request={"licenseKey": key}), 401, "LOGIN_FAILED") for key in WRONG_KEYS},
    **{f"access: {name}": (ask, 403, "AUTHORIZATION_FAILED") for name, ask in NO_ACCESS.items()},
    **{f"days: {name}": (Ask(days=days), 400, code) for name, (days, code) in BAD_DAYS.items()},
    **{f"resource: {text[:20]}": (Ask(resource=text), 400, "INVALID_DATA_ERROR") for text in BAD_RESOURCES},
    **{f"tags: {name}": (Ask(query=query), 400, "INVALID_DATA_ERROR") for name, query in BAD_TAGS.items()},
}


@pytest.mark.parametrize(("ask", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_submit_is_refused_and_writes_nothing(
    gateway: Gateway, database: Database, ask: Ask, status: int, code: str
) -> None:
    before = await written(database)
    reply = await gateway.ask(ask)
    assert_refused(reply, status, code)
    assert await written(database) == before


async def test_a_message_id_is_echoed_even_if_the_rest_is_wrong(gateway: Gateway) -> None:
    good = await gateway.ask(Ask())
    assert good.body["params"]["msgid"] == MSGID
    wrong_key = await gateway.ask(Ask(request={"licenseKey": "wrong"}))
    assert wrong_key.body["params"]["msgid"] == MSGID
    wrong_type = await gateway.ask(Ask(request={"username": 5}))
    assert wrong_type.body["params"]["msgid"] == MSGID


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    """Sent without Content-Length."""
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


@pytest.mark.parametrize("send", [lambda body: body, in_pieces], ids=["whole", "in pieces"])
async def test_a_body_over_the_limit_is_refused(
    gateway: Gateway, database: Database, send: Callable[[bytes], object]
) -> None:
    good = envelope({"licenseKey": gateway.license_key, "partnerid": PARTNER, "username": "somebody"})
    before = await written(database)
    too_large = await gateway.call(Ask().path, send(good.ljust(MAX_BODY_BYTES + 1)))
    assert_refused(too_large, 413, "INVALID_DATA_ERROR")
    assert await written(database) == before
    assert (await gateway.call(Ask().path, send(good.ljust(MAX_BODY_BYTES)))).status == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json-seq"},
        {"Content-Encoding": "gzip"},
        {"Content-Encoding": "br"},
        {"Content-Encoding": "identity, gzip"},
    ],
    ids=str,
)
async def test_another_content_type_or_encoding_is_refused(
    gateway: Gateway, database: Database, headers: dict[str, str]
) -> None:
    good = envelope({"licenseKey": gateway.license_key, "partnerid": PARTNER, "username": "somebody"})
    before = await written(database)
    for body in (good, gzip.compress(good)):
        assert_refused(await gateway.ask(Ask(body=body, headers=headers)), 415, "INVALID_DATA_ERROR")
    assert await written(database) == before


async def test_a_content_type_with_charset_and_capitals_is_accepted(gateway: Gateway) -> None:
    assert (await gateway.ask(Ask(headers={"Content-Type": "Application/JSON; charset=utf-8"}))).status == 202


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/authenticate",
        f"/v1/authorize/{RESOURCE}",
        f"/v1/associate/{RESOURCE}",
        f"/v2/datasets/requests/update/{REQUEST_ID}",
        "/v2/datasets",
        "/v2/datasets/eks-consumption-raw",
        "/v2/datasets/eks-consumption-raw/",
        f"/v2/datasets/eks-consumption-raw/{RESOURCE}/2026-01-01/2026-01-02/3",
        f"//v2/datasets/eks-consumption-raw/{RESOURCE}",
        f"/v2/../v2/datasets/eks-consumption-raw/{RESOURCE}",
        f"/v2%2Fdatasets/eks-consumption-raw/{RESOURCE}",
        "/metrics",
        "/v1/client%00",
    ],
)
async def test_an_unknown_path_is_not_found(gateway: Gateway, database: Database, path: str) -> None:
    before = await written(database)
    body = envelope({"licenseKey": gateway.license_key, "partnerid": PARTNER, "username": "somebody"})
    reply = await gateway.call(path, body)
    assert_refused(reply, 404, "NOT_FOUND", ver="1.0")
    assert await written(database) == before


@pytest.mark.parametrize("path", ["/v1/client", Ask().path, f"/v2/datasets/requests/status/{REQUEST_ID}"])
async def test_a_wrong_method_is_refused(gateway: Gateway, path: str) -> None:
    allowed = {"DELETE", "GET", "HEAD", "POST"} if "/status/" in path else {"POST"}
    for method in {"GET", "PUT", "DELETE", "PATCH", "OPTIONS"} - allowed:
        reply = await gateway.call(path, None, method=method)
        assert_refused(reply, 405, "METHOD_NOT_ALLOWED", ver="1.0")
        assert reply.headers["Allow"] == ", ".join(sorted(allowed))


async def test_a_revoked_key_is_answered_like_a_wrong_one(gateway: Gateway, owner_database: Database) -> None:
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE data_exhaust_users SET revoked_at = now()")
    for key in (gateway.license_key, *WRONG_KEYS):
        reply = await gateway.ask(Ask(request={"licenseKey": key}))
        assert_refused(reply, 401, "LOGIN_FAILED")
        assert reply.body["params"]["errmsg"] == "the license key is invalid"


@pytest.mark.parametrize(
    "request_id",
    ["1", "..%2F..%2Fetc", "%2e%2e", f"urn:uuid:{REQUEST_ID}", REQUEST_ID.replace("-", ""), REQUEST_ID + "%00"],
)
async def test_a_malformed_request_id_is_not_found(gateway: Gateway, request_id: str) -> None:
    path = f"/v2/datasets/requests/status/{request_id}"
    known = await gateway.call(path, envelope({"licenseKey": gateway.license_key}))
    assert_refused(known, 404, "INVALID_REQUESTID")
    assert_refused(await gateway.call(path, envelope({"licenseKey": "wrong"})), 401, "LOGIN_FAILED")


async def test_without_the_status_service_a_status_call_is_503(gateway: Gateway) -> None:
    path = f"/v2/datasets/requests/status/{REQUEST_ID}"
    reply = await gateway.call(path, envelope({"licenseKey": gateway.license_key}))
    assert_refused(reply, 503, "SERVICE_UNAVAILABLE")
    assert int(reply.headers["Retry-After"]) > 0


async def filed(database: Database) -> list[dict[str, Any]]:
    rows = await database.fetch(
        "SELECT request_id::text, partner_id, username, dataset_id, resource, from_date, to_date, tags, days_total,"
        " state::text, o.attempt, o.traceparent FROM requests LEFT JOIN outbox o USING (request_id)"
        " ORDER BY requests.created_at"
    )
    return [dict(row) for row in rows]


async def test_a_good_submit_is_filed_and_waits(gateway: Gateway, database: Database) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    reply = await gateway.ask(Ask(query="?tags[]=b&tags=%C3%A9&tags[0]=b", headers={"traceparent": trace}))
    assert reply.status == 202
    assert reply.headers["Location"] == f"/v2/datasets/requests/status/{reply.requestid}"
    assert int(reply.headers["Retry-After"]) > 0
    assert (reply.body["ver"], reply.body["params"]["status"]) == ("2.0", "successful")
    assert (reply.body["params"]["msgid"], reply.body["params"]["err"]) == (MSGID, "")
    assert await filed(database) == [
        {
            "request_id": reply.requestid,
            "partner_id": PARTNER,
            "username": "somebody",
            "dataset_id": "eks-consumption-raw",
            "resource": RESOURCE,
            "from_date": today(-3),
            "to_date": today(-1),
            "tags": ["b", "é"],
            "days_total": 3,
            "state": "submitted",
            "attempt": 1,
            "traceparent": trace,
        }
    ]
    audited = await database.fetch_one("SELECT action, subject, detail FROM audit ORDER BY id DESC")
    assert audited is not None
    assert (audited["action"], audited["subject"]) == ("submit", f"request/{reply.requestid}")


@pytest.mark.parametrize(
    ("days", "first", "last"), [((), -1, -1), ((-3,), -3, -1), ((-3, -2), -3, -2), ((-31, -1), -31, -1)]
)
async def test_days_default_to_yesterday(
    gateway: Gateway, database: Database, days: tuple[int, ...], first: int, last: int
) -> None:
    assert (await gateway.ask(Ask(days=days))).status == 202
    [row] = await filed(database)
    assert (row["from_date"], row["to_date"]) == (today(first), today(last))


async def test_the_most_and_longest_tags_fit_in_a_url(gateway: Gateway, database: Database) -> None:
    tags = sorted("\u0915" * 63 + chr(0x915 + number) for number in range(20))
    reply = await gateway.ask(Ask(query="?" + "&".join(f"tags[]={quote(tag)}" for tag in tags)))
    assert reply.status == 202
    assert (await filed(database))[0]["tags"] == tags


@pytest.mark.parametrize(
    ("same", "request_part"),
    [
        (Ask(dataset="D002"), {}),
        (Ask(resource=RESOURCE.upper()), {}),
        (Ask(), {"username": "somebody else"}),
    ],
    ids=["alias of the dataset", "resource in capitals", "another user of the partner"],
)
async def test_an_identical_open_request_is_returned(
    gateway: Gateway, database: Database, same: Ask, request_part: dict[str, object]
) -> None:
    first = await gateway.ask(Ask())
    before = await written(database)
    again = await gateway.ask(replace(same, request=request_part))
    assert again.requestid == first.requestid
    assert await written(database) == before


async def test_the_forms_of_a_full_hash_are_one_resource(gateway: Gateway, database: Database) -> None:
    forms = (FULL_SHA1[:32], FULL_SHA1, FULL_SHA1.upper(), FULL_SHA1.lstrip("0"))
    assert len({(await gateway.ask(Ask(resource=form))).requestid for form in forms}) == 1
    [row] = await filed(database)
    assert row["resource"] == FULL_SHA1[:32]


async def test_a_different_or_finished_request_is_filed_anew(gateway: Gateway, owner_database: Database) -> None:
    asks = [Ask(), Ask(query="?tags[]=a"), Ask(days=(-2, -1)), Ask(dataset="D003")]
    ids = [(await gateway.ask(ask)).requestid for ask in asks]
    assert len(set(ids)) == len(asks)
    async with owner_database.transaction() as connection:
        await connection.execute("UPDATE requests SET state = 'complete'")
    assert (await gateway.ask(Ask())).requestid not in ids


async def test_identical_submits_at_once_are_one_request(gateway: Gateway, database: Database) -> None:
    before = await written(database)
    replies = await asyncio.gather(*(gateway.ask(Ask()) for _ in range(20)))
    assert len({reply.requestid for reply in replies}) == 1
    after = await written(database)
    assert {name: after[name] - before[name] for name in after} == {"users": 0, "requests": 1, "outbox": 1, "audit": 1}


async def test_without_the_database_calls_are_503_until_it_returns(
    gateway: Gateway, runtime_dsn: SecretStr, producer: Producer, away_objects: ObjectStore
) -> None:
    dsn = urlsplit(runtime_dsn.get_secret_value())
    credentials, _, server = dsn.netloc.rpartition("@")
    async with AsyncExitStack() as stack:
        async with proxy(server) as network:
            through = SecretStr(dsn._replace(netloc=f"{credentials}@{network.address}").geturl())
            shaky = await stack.enter_async_context(open_database(through, pool_size=4))
            opened = await stack.enter_async_context(open_gateway(shaky, producer, away_objects))
            client = replace(opened, license_key=gateway.license_key)
            assert (await client.ask(Ask())).status == 202
        for reply in await asyncio.gather(*(client.ask(Ask(days=(-day,))) for day in range(2, 8))):
            assert_refused(reply, 503, "SERVICE_UNAVAILABLE")
            assert int(reply.headers["Retry-After"]) > 0
        assert (await client.call("/health/ready", None, method="GET")).status == 503
        assert (await client.call("/health/live", None, method="GET")).status == 200
        async with proxy(server, port=int(network.address.rpartition(":")[2])):
            await wait_until_ready(client.session, client.base)
            assert (await client.ask(Ask(days=(-2,)))).status == 202
            await stack.aclose()


async def test_problem_details_name_every_violation(gateway: Gateway) -> None:
    body = envelope({"licenseKey": 5, "partnerid": [], "username": "u"})
    headers = {"Content-Type": "application/json", "Accept": "application/problem+json"}
    path = f"{gateway.base}/v2/datasets/eks-consumption-raw/{RESOURCE}"
    async with gateway.session.post(path, data=body, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (400, "application/problem+json")
        told = await answer.json(content_type=None)
    assert (told["status"], told["code"], told["title"]) == (400, "INVALID_DATA_ERROR", "Bad Request")
    assert {error["pointer"] for error in told["errors"]} == {"/request/licenseKey", "/request/partnerid"}
