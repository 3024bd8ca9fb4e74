"""Days and estimates over HTTP: who may ask, and how. The status service, which is away here, answers the rest."""

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from tests.integration.conftest import (
    EXPIRED,
    FULL_SHA1,
    LEFT_OUT,
    ONE_DATASET,
    PARTNER,
    RESOURCE,
    Ask,
    Gateway,
    Reply,
    assert_refused,
    today,
)

GOOD: dict[str, object] = {
    "dataset": "eks-consumption-raw",
    "resource": RESOURCE,
    "from": str(today(-61)),
    "to": str(today()),
}
NO_ACCESS: dict[str, Mapping[str, object]] = {
    "unknown dataset": {"dataset": "eks-unknown"},
    "foreign or unknown resource": {"resource": "0" * 32},
    "foreign or unknown partner": {"resource": "org.example.stranger"},
    "grant for another dataset": {"resource": ONE_DATASET},
    "expired grant": {"resource": EXPIRED},
    "one of several": {"resource": [RESOURCE, "0" * 32]},
}


async def look(gateway: Gateway, fields: Mapping[str, object], license_key: str | None = None) -> Reply:
    query = {name: value for name, value in (GOOD | dict(fields)).items() if value is not LEFT_OUT}
    headers = {"X-API-Key": gateway.license_key if license_key is None else license_key}
    return await gateway.call(f"/v2/days?{urlencode(query, doseq=True)}", b"", method="GET", headers=headers)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"resource": PARTNER},
        {"dataset": "channel-raw", "resource": ONE_DATASET},
        {"resource": [RESOURCE, FULL_SHA1]},
    ],
)
async def test_who_may_read_a_resource_may_ask_for_its_days(gateway: Gateway, fields: Mapping[str, object]) -> None:
    assert_refused(await look(gateway, fields), 503, "SERVICE_UNAVAILABLE")  # it came as far as the status service


@pytest.mark.parametrize("fields", NO_ACCESS.values(), ids=NO_ACCESS.keys())
async def test_nobody_else_may(gateway: Gateway, fields: Mapping[str, object]) -> None:
    assert_refused(await look(gateway, fields), 403, "AUTHORIZATION_FAILED")
    assert_refused(await look(gateway, fields, "no key"), 401, "LOGIN_FAILED")


async def test_every_missing_parameter_is_named(gateway: Gateway) -> None:
    reply = await look(gateway, {"from": LEFT_OUT, "resource": ""})
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert "resource: " in reply.body["params"]["errmsg"]
    assert "from: " in reply.body["params"]["errmsg"]


async def test_twenty_resources_at_most(gateway: Gateway) -> None:
    assert_refused(await look(gateway, {"resource": [RESOURCE] * 20}), 503, "SERVICE_UNAVAILABLE")
    reply = await look(gateway, {"resource": [RESOURCE] * 21})
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
    assert "at most 20" in reply.body["params"]["errmsg"]
    assert_refused(await look(gateway, {"resource": [RESOURCE, ""]}), 400, "INVALID_DATA_ERROR")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"from": today(-62)}, "DATE_RANGE_TOO_LARGE"),
        ({"from": today(1)}, "INVALID_DATE"),
        ({"from": "2026-02-30"}, "INVALID_DATE"),
        ({"from": "1969-12-31", "to": "1970-01-01"}, "INVALID_DATE"),
        ({"from": "9999-12-31", "to": "9999-12-31"}, "INVALID_DATE"),
    ],
)
async def test_a_range_has_1_to_62_days(gateway: Gateway, fields: Mapping[str, object], code: str) -> None:
    assert_refused(await look(gateway, fields), 400, code)


class Estimate(Ask):
    """An estimate that is good unless something is changed."""

    @property
    def path(self) -> str:
        path, _, query = super().path.partition("?")
        return f"{path}/estimate{query and '?'}{query}"


async def test_an_estimate_takes_what_a_submit_takes(gateway: Gateway) -> None:
    by_header = {"X-API-Key": gateway.license_key}
    for ask, status, code in (
        (Estimate(), 503, "SERVICE_UNAVAILABLE"),
        (
            Estimate(request={"licenseKey": LEFT_OUT}, headers=by_header),
            503,
            "SERVICE_UNAVAILABLE",
        ),
        (Estimate(request={"licenseKey": LEFT_OUT}), 401, "LOGIN_FAILED"),
        (Estimate(request={"partnerid": LEFT_OUT}), 400, "MISSING_PARTNERID"),
        (Estimate(request={"partnerid": "org.example.stranger"}), 403, "AUTHORIZATION_FAILED"),
        (Estimate(resource="0" * 32), 403, "AUTHORIZATION_FAILED"),
        (Estimate(days=(-40, -1)), 400, "DATE_RANGE_TOO_LARGE"),
    ):
        assert_refused(await gateway.ask(ask), status, code)
