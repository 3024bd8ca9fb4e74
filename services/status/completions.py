"""The consumer of dataset.completions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.text import is_storable_text
from exhaust.errors import Dependency
from exhaust.kafka.decoding import decode_record
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.logs import bind_trace
from exhaust.metrics.catalogue import COMPLETIONS
from exhaust.postgres.inbox import EventIdentity
from schemas.events import COMPLETION, SPEC_VERSION, TYPE_COMPLETED, TYPE_FAILED, TYPE_PROGRESS
from services.status.claims import RefusedCompletionError
from services.status.request_states import Claim

if TYPE_CHECKING:
    from exhaust.kafka.records import Record
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.process.retry import Retries
    from exhaust.process.slots import Slots
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

MAX_ATTRIBUTE_LENGTH: Final = 1024
TYPES: Final = {"inprogress": TYPE_PROGRESS, "complete": TYPE_COMPLETED, "failed": TYPE_FAILED}

log = structlog.get_logger(__name__)


class CompletionConsumer:
    """Applies the completion events of the topic to the states of their requests."""

    def __init__(
        self, states: RequestStates, changes: ChangeNotifier, registry: MetricRegistry, retries: Retries
    ) -> None:
        self._retries = retries
        self._states = states
        self._changes = changes
        self._applied = registry.counter(COMPLETIONS)

    @property
    def slots(self) -> Slots:
        """The slots of the loop that brings the records."""
        return self._retries.slots

    async def handle(self, record: Record) -> None:
        """Apply one event; while the database is away this waits, so that no event is lost.

        Raises:
            RejectedRecordError: the record is no completion event, or one that must not count.
        """
        claim = claim_in(record)
        completion = claim.completion
        bind_trace(record.header("traceparent"), request_id=str(completion.requestid))

        async def apply() -> None:
            await self._states.apply(claim)

        try:
            await self._retries.run(apply, needs=(Dependency.POSTGRES,))
        except RefusedCompletionError as error:
            raise RejectedRecordError(error.code, str(error), error.pointer) from error
        self._changes.notify(completion.requestid)
        self._applied.labels(completion.status).inc()
        log.info("completion.taken_in", status=completion.status, attempt=completion.attempt)


def claim_in(record: Record) -> Claim:
    """Return what a record claims.

    Raises:
        RejectedRecordError: NOT_JSON, SCHEMA, or TYPE_MISMATCH when frame and value speak of different things.
    """
    completion = decode_record(record, COMPLETION)
    attributes = {name: record.header(name) for name in ("ce_specversion", "ce_id", "ce_source", "ce_type")}
    for name, value in attributes.items():
        if not value or not is_storable_text(value) or len(value) > MAX_ATTRIBUTE_LENGTH:
            raise RejectedRecordError(RejectionCode.SCHEMA, f"the header {name} is missing, or no text for it")
    if attributes["ce_specversion"] != SPEC_VERSION:
        raise RejectedRecordError(RejectionCode.SCHEMA, f"the header ce_specversion is not {SPEC_VERSION}")
    kind = attributes["ce_type"]
    if kind != TYPES[completion.status]:
        raise RejectedRecordError(RejectionCode.TYPE_MISMATCH, f"ce_type does not agree with {completion.status}")
    digest = hashlib.sha256(kind.encode() + b"\0" + record.value).digest()
    return Claim(EventIdentity(attributes["ce_source"], attributes["ce_id"], digest), completion)
