"""The description of a metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Kind(StrEnum):
    """The type of a metric, as Prometheus names it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Process(StrEnum):
    """A process that exports metrics."""

    GATEWAY = "gateway"
    AGGREGATOR = "aggregator"
    STATUS = "status"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, as one or several processes export it.

    Attributes:
        name: as exported; of a counter it ends in `_total`.
        help: one sentence for operators.
        processes: that export it.
        labels: by name, all values that it can have; none where only what happens tells which.
        buckets: the upper bounds of a histogram, without +Inf.
    """

    name: str
    kind: Kind
    help: str
    processes: tuple[Process, ...]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()

    def each(self) -> Iterator[tuple[str, ...]]:
        """Yield each combination of label values, where all are known; nothing of a metric without labels."""
        return product(*self.labels.values()) if self.labels else iter(())
