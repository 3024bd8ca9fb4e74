"""What is sent to webhooks is verified by the package of the specification, and says nothing that it should not."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from exhaust.webhooks.secrets import new_secret, written_secret
from services.status.webhooks.message import message_body, message_id, signed_headers
from services.status.webhooks.retries import DELAYS, delay_after

AT = datetime(2026, 11, 2, 9, 0, 5, 123456, UTC)
DATA = {
    "requestid": "a3bb189e-8bf9-4c88-9912-ace4e6543002",
    "datasetid": "eks-consumption-raw",
    "resourceid": "4208ab995984d222b59299e5103d350a",
    "fromdate": "2026-10-30",
    "todate": "2026-11-01",
    "status": "complete",
    "code": None,
    "day": None,
}
DELIVERY = UUID("a3bb189e-8bf9-4c88-9912-ace4e6543002")


def test_the_package_verifies_a_message() -> None:
    secret = new_secret()
    body = message_body("request.complete", AT, DATA)
    headers = signed_headers(message_id(DELIVERY), datetime.now(UTC), body, [secret])
    told = Webhook(written_secret(secret)).verify(body, headers)
    assert told == {
        "type": "request.complete",
        "timestamp": "2026-11-02T09:00:05.123Z",
        "data": {name: value for name, value in DATA.items() if name not in {"code", "day"}},
    }


def test_both_secrets_verify_a_message_after_a_rotation_and_no_other() -> None:
    old, new = new_secret(), new_secret()
    body = message_body("request.complete", AT, DATA)
    headers = signed_headers(message_id(DELIVERY), datetime.now(UTC), body, [new, old])
    for secret in (old, new):
        Webhook(written_secret(secret)).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(written_secret(new_secret())).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(written_secret(new)).verify(body + b" ", headers)


def test_a_failure_is_told_by_its_code_and_our_sentence() -> None:
    failed = DATA | {"status": "failed", "code": "SOURCE_OBJECT_UNREADABLE", "day": "2026-10-31"}
    error = json.loads(message_body("request.failed", AT, failed))["data"]["error"]
    assert (error["code"], error["day"]) == ("SOURCE_OBJECT_UNREADABLE", "2026-10-31")
    assert "raw telemetry" in error["message"]


def test_a_code_of_somebody_else_is_told_as_a_fault_of_ours() -> None:
    failed = DATA | {"status": "failed", "code": "<b>anything</b>", "day": "x"}
    error = json.loads(message_body("request.failed", AT, failed))["data"]["error"]
    assert error["code"] == "INTERNAL_ERROR"
    assert set(error) == {"code", "message", "retryable", "help"}


def test_a_cancelled_request_failed_with_its_code() -> None:
    told = json.loads(message_body("request.failed", AT, DATA | {"status": "failed", "code": "CANCELLED"}))["data"]
    assert (told["status"], told["error"]["code"]) == ("failed", "CANCELLED")


def test_a_message_is_tried_again_over_two_days() -> None:
    waits = [delay_after(failures, lambda: 0.5) for failures in range(1, len(DELAYS) + 2)]
    assert waits[-1] is None
    assert waits[:-1] == list(DELAYS)
    assert timedelta(days=2) < sum(DELAYS, timedelta(0)) < timedelta(days=3)


def test_retries_are_spread() -> None:
    assert (delay_after(2, lambda: 0.0), delay_after(2, lambda: 1.0)) == (
        timedelta(seconds=270),
        timedelta(seconds=330),
    )
