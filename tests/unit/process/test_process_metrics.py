"""What every process exports of itself: readiness, successes of its loops, retries, times of calls."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from exhaust.errors import Dependency, unavailable
from exhaust.metrics.call_times import CallTimes
from exhaust.metrics.registry import MetricRegistry
from exhaust.process.dependencies import open_gates
from exhaust.process.health import READINESS_WITHIN, Health
from exhaust.process.periodic import run_periodically
from exhaust.process.retry import Patience, Retries
from exhaust.process.slots import Slots

DEADLINE_S = 20
SHORT = timedelta(milliseconds=1)
SOON = timedelta(seconds=1)


def value(registry: MetricRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


async def answer() -> None:
    """A server that answers."""


async def refuse() -> None:
    raise unavailable(Dependency.KAFKA)


async def hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(("ping", "ready"), [(answer, 1), (refuse, 0), (hang, 0)], ids=["answers", "away", "hangs"])
async def test_ready_is_what_the_servers_answer_and_a_scrape_waits_for_none(
    ping: Callable[[], Awaitable[None]], ready: float
) -> None:
    health = Health(checks={"it": ping})
    async with asyncio.timeout(READINESS_WITHIN.total_seconds() + 2):
        await health.note_readiness()
    assert value(health.registry, "exhaust_ready") == ready


async def test_a_process_that_drains_is_not_ready() -> None:
    health = Health(checks={"it": answer})
    await health.note_readiness()
    assert value(health.registry, "exhaust_ready") == 1
    health.draining.set()
    await health.note_readiness()
    assert value(health.registry, "exhaust_ready") == 0


async def turns(*outcomes: Exception | bool | None) -> MetricRegistry:
    """The metrics of a loop whose turns end so, one after the other."""
    health = Health()
    left = list(outcomes)

    async def work() -> bool | None:
        outcome = left.pop(0)
        if not left:
            health.stop.set()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with asyncio.timeout(DEADLINE_S):
        await run_periodically(health, "test", work, interval=SHORT)
    return health.registry


async def test_a_loop_tells_its_last_success_and_0_before_the_first() -> None:
    for outcomes in ((unavailable(Dependency.KAFKA), ValueError("a defect")), (False,)):
        assert value(await turns(*outcomes), "exhaust_last_success_timestamp_seconds", what="test") == 0
    registry = await turns(unavailable(Dependency.KAFKA), None, unavailable(Dependency.S3))
    assert (value(registry, "exhaust_last_success_timestamp_seconds", what="test") or 0) > 1_700_000_000
    counted = [value(registry, "exhaust_retries_total", dependency=name) for name in ("kafka", "s3", "postgres")]
    assert counted == [1, 1, 0]


async def test_work_that_is_tried_again_counts_for_the_server_that_failed_it() -> None:
    registry = MetricRegistry()
    failures = [unavailable(Dependency.S3), unavailable("a scanning process"), unavailable(Dependency.S3)]

    async def work() -> None:
        if failures:
            raise failures.pop()

    async with asyncio.timeout(DEADLINE_S), open_gates(registry, {Dependency.S3: answer}) as gates:
        await Retries(Slots(1), Patience(SOON * 5, ()), gates).run(work)
    assert value(registry, "exhaust_retries_total", dependency="s3") == 2
    assert value(registry, "exhaust_retries_total", dependency="kafka") == 0


def test_calls_are_measured_also_those_that_fail() -> None:
    registry = MetricRegistry()
    times = CallTimes(registry, Dependency.POSTGRES)
    with times.measure("statement"):
        pass
    with pytest.raises(LookupError), times.measure("statement"):
        raise LookupError
    labels = {"dependency": "postgres", "operation": "statement"}
    assert value(registry, "exhaust_dependency_seconds_count", **labels) == 2
    assert value(registry, "exhaust_dependency_seconds_bucket", **labels, le="0.5") == 2
