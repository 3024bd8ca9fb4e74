"""The times of calls to S3, measured where the driver makes them: with its own tries, and without reading a body."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from botocore.model import OperationModel
    from types_aiobotocore_s3 import S3Client

    from exhaust.metrics.call_times import CallTimes

_STARTED: Final = "exhaust_started"
_OPERATIONS: Final = {
    "GetObject": "get",
    "HeadObject": "head",
    "HeadBucket": "head",
    "ListObjectsV2": "list",
    "ListMultipartUploads": "list",
    "DeleteObject": "delete",
}


def measure_calls(client: S3Client, times: CallTimes) -> None:
    """Measure each call of a client from now on; what is none of reading, listing and deleting is a put."""

    def start(*, model: OperationModel, context: dict[str, Any], **_: object) -> None:
        context[_STARTED] = time.monotonic(), _OPERATIONS.get(model.name, "put")

    def end(*, context: dict[str, Any], **_: object) -> None:
        started, operation = context[_STARTED]
        times.observe(operation, time.monotonic() - started)

    client.meta.events.register("before-call.s3", start)
    client.meta.events.register("after-call.s3", end)
    client.meta.events.register("after-call-error.s3", end)
