"""Refusals over HTTP tell all that is wrong, and what may have been meant."""

from telemetry.resource_ids import resource_id
from tests.integration.conftest import LEFT_OUT, PARTNER, Ask, Gateway, assert_refused, envelope

STRANGER = "org.example.stranger"


async def test_every_violation_is_told_at_once(gateway: Gateway) -> None:
    bad = Ask(days=("2026-02-30", "tomorrow"), query="?tags=", request={"partnerid": LEFT_OUT, "username": ""})
    envelope_reply = await gateway.ask(bad)
    assert_refused(envelope_reply, 400, "MISSING_PARTNERID")
    assert "toDate must be a day" in envelope_reply.body["params"]["errmsg"]
    headers = {"Content-Type": "application/json", "Accept": "application/problem+json"}
    body = envelope({"licenseKey": gateway.license_key})
    async with gateway.session.post(gateway.base + bad.path, data=body, headers=headers) as answer:
        told = await answer.json(content_type="application/problem+json")
    places = [error["pointer"] for error in told["errors"]]
    assert places == ["/request/partnerid", "/request/username", "{fromDate}", "{toDate}", "?tags"]


async def test_a_plain_id_for_a_resource_is_answered_with_its_hash(gateway: Gateway) -> None:
    for asked in (PARTNER, STRANGER):
        reply = await gateway.ask(Ask(resource=asked, dataset="eks-consumption-row"))
        assert_refused(reply, 403, "AUTHORIZATION_FAILED")
        assert (
            f"did you mean {resource_id(asked)}, the resource id of what was given?" in reply.body["params"]["errmsg"]
        )
        assert "did you mean eks-consumption-raw" in reply.body["params"]["errmsg"]
