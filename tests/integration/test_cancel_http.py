"""The cancel call on the public listener: whose license key it takes, and from where."""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from tests.integration.conftest import Gateway, Reply, assert_refused, envelope

KEY = "X-API-Key"


async def cancelled(gateway: Gateway, body: bytes, headers: Mapping[str, str], request_id: str = "") -> Reply:
    path = f"/v2/datasets/requests/status/{request_id or uuid4()}"
    return await gateway.call(path, body, method="DELETE", headers=headers)


@pytest.mark.parametrize("place", ["header", "body", "both"])
async def test_the_key_comes_in_a_header_or_in_the_body(gateway: Gateway, place: str) -> None:
    headers = {} if place == "body" else {KEY: gateway.license_key}
    body = b"" if place == "header" else envelope({"licenseKey": gateway.license_key})
    # The gateway of the tests has no status service: what reaches it has passed the door.
    assert_refused(await cancelled(gateway, body, headers), 503, "SERVICE_UNAVAILABLE")
    assert_refused(await cancelled(gateway, body, headers, "nothing"), 404, "INVALID_REQUESTID")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"", {}),
        (b"", {KEY: "wrong"}),
        (b"", {KEY: ""}),
        (envelope({}), {}),
        (envelope({"licenseKey": "wrong"}), {}),
        (envelope({"licenseKey": ""}), {}),
        (b"", {"Authorization": "Bearer a service token"}),
    ],
)
async def test_without_a_valid_key_nothing_is_cancelled(
    gateway: Gateway, body: bytes, headers: Mapping[str, str]
) -> None:
    assert_refused(await cancelled(gateway, body, headers), 401, "LOGIN_FAILED")


async def test_one_wrong_key_of_two_is_refused(gateway: Gateway) -> None:
    wrong = envelope({"licenseKey": "wrong"})
    assert_refused(await cancelled(gateway, wrong, {KEY: gateway.license_key}), 401, "LOGIN_FAILED")
    refused = await cancelled(gateway, b"no json", {KEY: gateway.license_key})
    assert_refused(refused, 400, "INVALID_DATA_ERROR")
