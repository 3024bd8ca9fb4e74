"""The status call by GET on the public listener: the license key comes in X-API-Key, and nowhere else."""

from collections.abc import Mapping
from uuid import uuid4

import pytest

from tests.integration.conftest import Gateway, Reply, assert_refused, envelope

KEY = "X-API-Key"


async def asked(gateway: Gateway, headers: Mapping[str, str], *, body: bytes | None = None, rest: str = "") -> Reply:
    path = f"/v2/datasets/requests/status/{rest or uuid4()}"
    return await gateway.call(path, body, method="GET", headers=headers)


@pytest.mark.parametrize("wait", ["", "?wait=30"])
async def test_a_valid_key_passes(gateway: Gateway, wait: str) -> None:
    # The gateway of the tests has no status service: what reaches it has passed the door.
    headers = {KEY: gateway.license_key}
    assert_refused(await asked(gateway, headers, rest=f"{uuid4()}{wait}"), 503, "SERVICE_UNAVAILABLE")
    assert_refused(await asked(gateway, headers, rest=f"nothing{wait}"), 404, "INVALID_REQUESTID")


@pytest.mark.parametrize(
    "headers", [{}, {KEY: "wrong"}, {KEY: ""}, {"Authorization": "Bearer a service token"}], ids=str
)
@pytest.mark.parametrize("wait", ["", "?wait=30"])
async def test_without_a_valid_key_nothing_is_told(gateway: Gateway, headers: Mapping[str, str], wait: str) -> None:
    assert_refused(await asked(gateway, headers, rest=f"{uuid4()}{wait}"), 401, "LOGIN_FAILED")


async def test_a_key_in_the_body_does_not_count(gateway: Gateway) -> None:
    body = envelope({"licenseKey": gateway.license_key})
    assert_refused(await asked(gateway, {}, body=body), 401, "LOGIN_FAILED")


async def test_a_parameter_that_is_not_known_is_refused(gateway: Gateway) -> None:
    refused = await asked(gateway, {KEY: gateway.license_key}, rest=f"{uuid4()}?waits=30")
    assert_refused(refused, 400, "INVALID_DATA_ERROR")
