"""Tricks in any part of any path get the documented code in the envelope; nothing is written or delivered."""

import re
from dataclasses import dataclass
from urllib.parse import quote

import pytest

from exhaust.postgres.database import Database
from services.gateway.api_document import load_document
from telemetry.resource_ids import resource_id
from tests.integration.conftest import (
    PARTNER,
    RESOURCE,
    SERVICE_TOKEN,
    Gateway,
    Reply,
    assert_refused,
    envelope,
    today,
    written,
)
from tests.support.path_tricks import GOOD, IN_A_PART, IN_THE_PATH, TOO_LONG

REQUEST_ID = "11111111-1111-4111-8111-111111111111"
GOOD_PARTS = {
    "datasetId": "eks-consumption-raw",
    "resourceId": RESOURCE,
    "partnerid": PARTNER,
    "requestid": REQUEST_ID,
    "webhookid": REQUEST_ID,
    "document": "envelope.json",
    "fromDate": today(-3).isoformat(),
    "toDate": today(-1).isoformat(),
}
CODES = {
    "datasetId": {(403, "AUTHORIZATION_FAILED")},
    "resourceId": {(400, "INVALID_DATA_ERROR"), (403, "AUTHORIZATION_FAILED")},
    # The list has the path of a request, whose id the same part is then.
    "partnerid": {
        *((403, "AUTHORIZATION_FAILED"), (400, "MISSING_PARTNERID"), (400, "INVALID_DATA_ERROR")),
        (404, "INVALID_REQUESTID"),
    },
    "requestid": {(404, "INVALID_REQUESTID")},
    "webhookid": {(404, "NOT_FOUND")},
    "document": {(404, "NOT_FOUND")},
    "fromDate": {(400, "INVALID_DATE")},
    "toDate": {(400, "INVALID_DATE")},
}


@dataclass(frozen=True)
class Place:
    """An operation with a variable path, on a listener of the gateway."""

    listener: str
    method: str
    path: str

    @property
    def parts(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    def written(self, **parts: str) -> str:
        return self.path.format(**(GOOD_PARTS | parts))

    async def call(self, gateway: Gateway, path: str) -> Reply:
        body = envelope({"licenseKey": gateway.license_key, "partnerid": PARTNER, "username": "somebody"})
        if self.listener == "internal":
            headers = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
            return await gateway.internal.call(path, body, method=self.method, headers=headers)
        headers = {"X-API-Key": gateway.license_key} | ({"X-Channel-ID": PARTNER} if "/v3/" in self.path else {})
        return await gateway.call(path, None if self.method == "GET" else body, method=self.method, headers=headers)


def places() -> list[Place]:
    """From the API document, so that no operation is forgotten."""
    return [
        Place(listener, method.upper(), path)
        for path, operations in load_document()["paths"].items()
        for method, operation in operations.items()
        for listener in operation["x-listeners"]
        if "{" in path and listener != "status" and method != "head"  # HEAD has no body to look at; it goes GET's way
    ]


@pytest.mark.parametrize(
    ("place", "part"),
    [(place, part) for place in places() for part in place.parts],
    ids=lambda value: f"{value.listener} {value.method} {value.path}" if isinstance(value, Place) else value,
)
async def test_no_trick_in_a_part_of_a_path_reaches_an_operation(
    gateway: Gateway, database: Database, place: Place, part: str
) -> None:
    before = await written(database)
    for name, trick in IN_A_PART.items():
        reply = await place.call(gateway, place.written(**{part: trick.replace(GOOD, GOOD_PARTS[part])}))
        answer = (reply.status, reply.body["params"]["err"])
        unlike_any = {(404, "NOT_FOUND")} if name == "template" else set()
        assert answer in CODES[part] | unlike_any, f"{name}: {reply}"
        assert_refused(reply, *answer, ver=reply.body["ver"])
        assert "X-Injected" not in reply.headers
    assert await written(database) == before


@pytest.mark.parametrize("place", places(), ids=lambda place: f"{place.listener} {place.method} {place.path}")
async def test_no_trick_with_a_whole_path_reaches_an_operation(
    gateway: Gateway, database: Database, place: Place
) -> None:
    before = await written(database)
    for name, trick in IN_THE_PATH.items():
        path = place.written()
        reply = await place.call(gateway, trick.format(path=path, upper=path.upper(), flat=quote(path, safe="")))
        assert (reply.status, reply.body["params"]["err"]) == (404, "NOT_FOUND"), f"{name}: {reply}"
    too_long = place.written(**{place.parts[0]: TOO_LONG})
    assert_refused(await place.call(gateway, too_long), 414, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


async def test_a_percent_encoded_letter_is_decoded(gateway: Gateway) -> None:
    place = Place("public", "POST", "/v2/datasets/{datasetId}/{resourceId}/{fromDate}/{toDate}")
    encoded = {name: f"%{ord(value[0]):02x}{value[1:]}" for name, value in GOOD_PARTS.items()}
    first = await place.call(gateway, place.written())
    assert (await place.call(gateway, place.written(**encoded))).requestid == first.requestid
    assert resource_id(PARTNER) == RESOURCE
