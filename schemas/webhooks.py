"""The events that webhooks are told of (Standard Webhooks: `type`, `timestamp`, `data`)."""

from __future__ import annotations

from typing import Final

REQUEST_COMPLETE: Final = "request.complete"
REQUEST_FAILED: Final = "request.failed"  # a cancelled one too, with the code CANCELLED
DAY_CLOSED: Final = "day.closed"  # of a dataset: no more telemetry of it is expected
TEST: Final = "webhook.test"  # only when the owner asks for it

# Those that a webhook is registered for.
EVENTS: Final = (REQUEST_COMPLETE, REQUEST_FAILED, DAY_CLOSED)
