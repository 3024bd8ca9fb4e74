"""The consumer of dataset.completions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter

from exhaust.kafka.decoding import decode_record
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.logs import bind_trace
from exhaust.process.retry import retry_while_unavailable
from schemas.events import COMPLETION
from services.status.request_states import RefusedCompletionError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from exhaust.kafka.records import Record
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

log = structlog.get_logger(__name__)


class CompletionConsumer:
    """Applies the completion events of the topic to the states of their requests."""

    def __init__(self, states: RequestStates, changes: ChangeNotifier, registry: CollectorRegistry) -> None:
        self._states = states
        self._changes = changes
        self._applied = Counter(
            "exhaust_completions", "Completion events that were applied.", ["status"], registry=registry
        )

    async def handle(self, record: Record) -> None:
        """Apply one event; while the database is away this waits, so that no event is lost.

        Raises:
            RejectedRecordError: the record is no completion event, or one that must not count.
        """
        completion = decode_record(record, COMPLETION)
        event_id = record.header("ce_id")
        if not event_id:
            raise RejectedRecordError(RejectionCode.SCHEMA, "the header ce_id is missing")
        bind_trace(record.header("traceparent"), request_id=str(completion.requestid))

        async def apply() -> None:
            await self._states.apply(record.header("ce_source"), event_id, completion)

        try:
            await retry_while_unavailable(apply, give_up_after=None)
        except RefusedCompletionError as error:
            raise RejectedRecordError(RejectionCode.UNKNOWN_REQUEST, str(error)) from error
        self._changes.notify(completion.requestid)
        self._applied.labels(completion.status).inc()
        log.info("completion.taken_in", status=completion.status, attempt=completion.attempt)
