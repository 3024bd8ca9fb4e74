"""The consumer of dataset.completions."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import structlog
from exhaust_contract.checking import STATUSES, check
from exhaust_contract.refusals import RefusedEventError
from pydantic import ValidationError

from exhaust.errors import Dependency
from exhaust.kafka.records import RejectedRecordError, RejectionCode
from exhaust.logs import bind_trace
from exhaust.metrics.catalogue import COMPLETIONS
from exhaust.postgres.inbox import EventIdentity
from exhaust.violations import violations_text
from schemas.events import COMPLETION
from services.status.claims import RefusedCompletionError
from services.status.request_states import Claim

if TYPE_CHECKING:
    from exhaust.kafka.records import Record
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.process.retry import Retries
    from exhaust.process.slots import Slots
    from services.status.change_notifier import ChangeNotifier
    from services.status.request_states import RequestStates

log = structlog.get_logger(__name__)


class CompletionConsumer:
    """Applies the completion events of the topic to the states of their requests."""

    def __init__(
        self, states: RequestStates, changes: ChangeNotifier, registry: MetricRegistry, retries: Retries
    ) -> None:
        self._retries = retries
        self._states = states
        self._changes = changes
        counter = registry.counter(COMPLETIONS)
        self._applied = {status: counter.labels(status) for status in STATUSES}

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
        bind_trace(claim.traceparent, request_id=str(completion.requestid))

        async def apply() -> None:
            await self._states.apply(claim)

        try:
            await self._retries.run(apply, needs=(Dependency.POSTGRES,))
        except RefusedCompletionError as error:
            raise RejectedRecordError(error.code, str(error), error.pointer) from error
        self._changes.notify(completion.requestid)
        self._applied[completion.status].inc()
        log.info("completion.taken_in", status=completion.status, attempt=completion.attempt)


def claim_in(record: Record) -> Claim:
    """Return what a record claims.

    Raises:
        RejectedRecordError: it does not follow the contract; `exhaust-events validate` says the same of it.
    """
    try:
        event = check(record.headers, None if record.tombstone else record.value)
        completion = COMPLETION.validate_python(event.value)
    except RefusedEventError as error:
        raise RejectedRecordError(RejectionCode(error.code), error.reason, error.pointer) from error
    except ValidationError as error:  # the schema is as strict as the type, which tests try to prove wrong
        raise RejectedRecordError(RejectionCode.SCHEMA, violations_text(error)) from error
    frame = event.headers
    digest = hashlib.sha256(frame["ce_type"].encode() + b"\0" + record.value).digest()
    return Claim(EventIdentity(frame["ce_source"], frame["ce_id"], digest), completion, frame.get("traceparent", ""))
