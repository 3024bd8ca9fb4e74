"""Registration over HTTP."""

from uuid import UUID

import pytest

from exhaust.postgres.database import Database
from tests.integration.conftest import MSGID, Ask, Gateway, assert_refused, envelope, written


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"clientName": "client"},
        {"clientName": " ", "licenseKeyName": "dashboard"},
        {"clientName": "client", "licenseKeyName": 5},
        {"clientName": "client", "licenseKeyName": "a\x00b"},
        {"clientName": "client", "licenseKeyName": "x" * 257},
        {"clientName": "client", "licenseKeyName": "dashboard"},
    ],
    ids=["nothing", "no key name", "blank", "a number", "NUL", "very long", "registered already"],
)
async def test_a_bad_registration_is_refused(gateway: Gateway, database: Database, part: dict[str, object]) -> None:
    before = await written(database)
    assert_refused(await gateway.call("/v1/client", envelope(part)), 400, "INVALID_DATA_ERROR", ver="1.0")
    assert await written(database) == before


async def test_a_registration_gives_a_key_that_alone_reads_nothing(gateway: Gateway) -> None:
    reply = await gateway.call("/v1/client", envelope({"clientName": "client", "licenseKeyName": "another"}))
    assert reply.status == 200
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.body["params"]["msgid"] == MSGID
    assert reply.body["params"]["status"] == "successful"
    license_key = reply.body["result"]["licenseKey"]
    assert UUID(license_key).version == 4
    assert_refused(await gateway.ask(Ask(request={"licenseKey": license_key})), 403, "AUTHORIZATION_FAILED")
