"""What is sent to webhooks is verified by the package of the specification, and says nothing that it should not."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from exhaust.webhooks.secrets import new_secret, written_secret
from services.status.webhooks.message import message_body, message_id, signed_headers
from services.status.webhooks.retries import DELAYS, LONGEST, delay_after, parse_retry_after

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


@pytest.mark.parametrize(
    ("failures", "asked", "waits"),
    [
        (1, timedelta(minutes=10), (timedelta(minutes=10), timedelta(minutes=12))),
        (2, timedelta(minutes=5), (timedelta(minutes=5), timedelta(minutes=6))),
        (3, timedelta(seconds=1), (timedelta(minutes=27), timedelta(minutes=33))),
        (1, timedelta(days=365), (LONGEST, LONGEST)),
    ],
)
def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    failures: int, asked: timedelta, waits: tuple[timedelta, timedelta]
) -> None:
    assert (delay_after(failures, lambda: 0.0, asked=asked), delay_after(failures, lambda: 1.0, asked=asked)) == waits
    assert delay_after(len(DELAYS) + 1, lambda: 0.5, asked=asked) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("Mon, 02 Nov 2026 09:01:05 GMT", 59.876544),
        ("Mon, 02 Nov 2026 09:01:05", 59.876544),
        ("Mon, 02 Nov 2020 09:01:05 GMT", 0),
        ("9" * 4000, 999_999_999),
        *((text, 0) for text in (None, "", "-1", "1.5", "soon", "\u0665", "Mon, 02 Nov 99999 09:01:05 GMT")),
    ],
)
def test_the_time_of_a_receiver_is_read_as_http_writes_it(text: str | None, seconds: float) -> None:
    assert parse_retry_after(text, AT) == timedelta(seconds=seconds)


def test_retries_are_spread() -> None:
    assert (delay_after(2, lambda: 0.0), delay_after(2, lambda: 1.0)) == (
        timedelta(seconds=270),
        timedelta(seconds=330),
    )
