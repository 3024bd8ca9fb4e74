"""A message to a webhook: its body, and its signatures by the Standard Webhooks specification."""

from __future__ import annotations

import hmac
from base64 import b64encode
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from exhaust.domain.failures import RequestFailure
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, error_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from uuid import UUID

_REQUEST_FIELDS: Final = ("requestid", "datasetid", "resourceid", "fromdate", "todate", "status")
USER_AGENT: Final = "telemetry-exhaust-webhooks/1"


def message_body(event: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Build the body of a message; of the same event it is the same at every attempt.

    It holds no link and no text of anybody else: of a failure the code, and our sentence for it.
    """
    when = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"type": event, "timestamp": when, "data": _data(data)})


def message_id(delivery_id: UUID) -> str:
    """Return the id of a message, by which its receiver knows one that comes again."""
    return f"msg_{delivery_id.hex}"


def signed_headers(message: str, at: datetime, body: bytes, secrets: Sequence[bytes]) -> dict[str, str]:
    """Return the headers of a message: who sends it, its id, and a signature by each secret.

    Args:
        message: its id.
        at: the time of this attempt.
        body: the bytes that are sent.
        secrets: the present one, and the former one while it signs too.
    """
    seconds = str(int(at.timestamp()))
    signed = b".".join((message.encode(), seconds.encode(), body))
    signatures = (b64encode(hmac.digest(secret, signed, sha256)).decode() for secret in secrets)
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": message,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    if "requestid" not in data:
        return dict(data)
    told = {name: data[name] for name in _REQUEST_FIELDS}
    if data.get("code") == ErrorCode.CANCELLED:
        return told | {"error": error_document(ErrorCode.CANCELLED, CANCELLED_SENTENCE)}
    if told["status"] == "failed":
        return told | {"error": RequestFailure.of(data).to_json()}
    return told
