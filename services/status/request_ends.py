"""The ends of requests: how many there are, why they failed, and how long they took; for metrics and the log."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

import structlog

from exhaust.domain.state_machine import State
from exhaust.errors import FAILURE_SENTENCES, ErrorCode
from exhaust.metrics.catalogue import REQUEST_SECONDS, REQUESTS_ENDED

if TYPE_CHECKING:
    from exhaust.domain.catalogue import Catalogue
    from exhaust.metrics.registry import MetricRegistry
    from exhaust.postgres.request_progress import EndedRequest

UNKNOWN_DATASET: Final = "other"  # of an earlier catalogue; ids of requests become no labels
_OUTCOMES: Final = (
    (State.COMPLETE.value, ""),
    *((State.FAILED.value, code.value) for code in FAILURE_SENTENCES),
    (State.CANCELLED.value, ErrorCode.CANCELLED.value),
)

log = structlog.get_logger(__name__)


class RequestEnds:
    """Counts and logs each request that ends, once its end is committed."""

    def __init__(self, registry: MetricRegistry, catalogue: Catalogue) -> None:
        self._datasets = sorted({dataset.id for dataset in catalogue.by_name.values()} | {UNKNOWN_DATASET})
        each = [(dataset, *outcome) for dataset, outcome in product(self._datasets, _OUTCOMES)]
        self._ended = registry.counter(REQUESTS_ENDED, each)
        self._seconds = registry.histogram(REQUEST_SECONDS)

    def note(self, ended: EndedRequest | None) -> None:
        """Note the end of a request; of None nothing."""
        if ended is None:
            return
        seconds = max(ended.after.total_seconds(), 0.0)
        dataset = ended.dataset if ended.dataset in self._datasets else UNKNOWN_DATASET
        self._ended.labels(dataset, ended.outcome, ended.code).inc()
        self._seconds.observe(seconds)
        log.info(
            "request.ended",
            request_id=str(ended.request_id),
            dataset=ended.dataset,
            outcome=ended.outcome,
            code=ended.code,
            seconds=round(seconds, 3),
        )
