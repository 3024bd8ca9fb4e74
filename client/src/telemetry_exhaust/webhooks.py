"""Webhooks of a license key, and the signatures of what they deliver (standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from telemetry_exhaust.errors import AccessError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from telemetry_exhaust.calls import Calls

TOLERANCE_SECONDS: Final = 300  # of the clocks; an older delivery may be a copy that somebody sends again
_PATH: Final = "/v2/webhooks"
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1"


class Webhooks:
    """The webhooks of the license key's holder."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def all(self) -> list[dict[str, Any]]:
        """Return the webhooks, as the API tells them."""
        return list(self._calls.keyed("GET", _PATH).get("webhooks", []))

    def add(self, url: str, events: Sequence[str] = ()) -> dict[str, Any]:
        """Register a webhook, and return it with its secret, which is never told again."""
        fields: dict[str, Any] = {"url": url, **({"events": list(events)} if events else {})}
        made = self._calls.keyed("POST", _PATH, fields, repeat=False)
        return {**made.get("webhook", {}), "secret": made.get("secret")}

    def remove(self, webhook: str) -> dict[str, Any]:
        """Remove a webhook."""
        return self._calls.keyed("DELETE", _one(webhook))

    def test(self, webhook: str) -> dict[str, Any]:
        """Have an event delivered that means nothing."""
        return self._calls.keyed("POST", f"{_one(webhook)}/test", {})

    def deliveries(self, webhook: str) -> list[dict[str, Any]]:
        """Return the last deliveries, newest first."""
        return list(self._calls.keyed("GET", f"{_one(webhook)}/deliveries").get("deliveries", []))

    def replay(self, webhook: str, *, since: str | None = None, delivery: str | None = None) -> dict[str, Any]:
        """Have deliveries made again, under their old ids: one, or all since an ISO time."""
        fields = {name: value for name, value in (("since", since), ("delivery", delivery)) if value}
        return self._calls.keyed("POST", f"{_one(webhook)}/replay", fields)


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> Any:
    """Return the decoded body of a delivery whose signature is right.

    Args:
        secret: of the webhook, beginning with `whsec_`.
        headers: of the delivery; their names may be written in any case.
        body: as it arrived.

    Raises:
        UsageError: the secret is none, a header is missing, or the body is no JSON.
        AccessError: the signature is wrong, or the delivery is older or newer than five minutes.
    """
    named = {name.lower(): value for name, value in headers.items()}
    told = [named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
    if not all(told):
        raise UsageError("this is no signed delivery: webhook-id, webhook-timestamp or webhook-signature is missing")
    delivery, timestamp, signatures = told
    moment = int(timestamp) if timestamp.isdecimal() and timestamp.isascii() else 0
    if abs((time.time() if now is None else now) - moment) > TOLERANCE_SECONDS:
        raise AccessError("the delivery was signed more than five minutes ago; check the clock, or drop it")
    digest = hmac.new(_key(secret), f"{delivery}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    right = f"{_VERSION},{base64.b64encode(digest).decode()}"
    if not any(hmac.compare_digest(right.encode(), one.encode()) for one in signatures.split()):
        raise AccessError("the signature is not of this secret and body; drop the delivery, or check the secret")
    try:
        return json.loads(body)
    except ValueError as error:
        raise UsageError("the signature is right, but the body is no JSON") from error


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip()[len(_PREFIX) :], validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not key or not secret.strip().startswith(_PREFIX):
        raise UsageError(f"the secret of a webhook begins with {_PREFIX}; `exhaust webhooks add` told it")
    return key


def _one(webhook: str) -> str:
    return f"{_PATH}/{quote(webhook, safe='')}"
