"""Consumes dataset.completions into the states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from prometheus_client import Counter
from pydantic import ValidationError

from exhaust.kafka.records import RejectedRecordError
from exhaust.logs import bind_trace
from exhaust.process.retry import retry_while_unavailable
from exhaust.violations import violations_text
from schemas.events import COMPLETION
from services.status.request_states import RefusedCompletionError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from exhaust.kafka.records import Record
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

log = structlog.get_logger(__name__)


class CompletionConsumer:
    """Handles records of the topic, whoever sent them."""

    def __init__(self, states: RequestStates, changes: ChangeNotifier, registry: CollectorRegistry) -> None:
        self._states = states
        self._changes = changes
        self._taken = Counter("exhaust_completions", "Completion events taken in.", ["status"], registry=registry)

    async def handle(self, record: Record) -> None:
        """Take one event in; a database that is away is waited for, since the event must not be lost.

        Raises:
            RejectedRecordError: it is no completion event, or must not count.
        """
        try:
            completion = COMPLETION.validate_json(record.value)
        except ValidationError as error:
            raise RejectedRecordError(f"not a completion event: {violations_text(error)}") from error
        event_id = record.header("ce_id")
        if not event_id:
            raise RejectedRecordError("the header ce_id is missing")
        bind_trace(record.header("traceparent"), request_id=str(completion.requestid))

        async def take_in() -> None:
            await self._states.apply(record.header("ce_source"), event_id, completion)

        try:
            await retry_while_unavailable(take_in, give_up_after=None)
        except RefusedCompletionError as error:
            raise RejectedRecordError(str(error)) from error
        self._changes.notify(completion.requestid)
        self._taken.labels(completion.status).inc()
        log.info("completion.taken_in", status=completion.status, attempt=completion.attempt)
