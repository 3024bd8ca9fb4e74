"""The times of calls to a server."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from exhaust.metrics.catalogue import DEPENDENCY_SECONDS
from exhaust.metrics.registry import MetricRegistry

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from prometheus_client import Histogram

    from exhaust.errors import Dependency


class CallTimes:
    """Measures the calls to one server, by a few operations."""

    def __init__(self, registry: MetricRegistry | None, dependency: Dependency) -> None:
        """Prepare.

        Args:
            registry: of the process; None where nobody exports it.
            dependency: the server.
        """
        histogram = (registry or MetricRegistry()).histogram(DEPENDENCY_SECONDS)
        self._of_operation = lru_cache(maxsize=None)(lambda name: histogram.labels(dependency.name.lower(), name))

    def measure(self, operation: str) -> AbstractContextManager[None]:
        """Measure the block, also one that raises."""
        return _Measured(self._of_operation(operation))

    def observe(self, operation: str, seconds: float) -> None:
        """Note a call that was measured elsewhere."""
        self._of_operation(operation).observe(seconds)


class _Measured:
    """A block that is measured. It is a class because a generator takes three times as long, and every call waits."""

    __slots__ = ("_histogram", "_started")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.monotonic()

    def __exit__(self, *_raised: object) -> None:
        self._histogram.observe(time.monotonic() - self._started)
