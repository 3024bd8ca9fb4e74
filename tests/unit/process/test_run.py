"""How a process ends: by a stop, or with an exit code and a sentence that say why."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import pytest
from pydantic import ValidationError

from exhaust.errors import ConfigurationError, unavailable
from exhaust.process.health import Health
from exhaust.process.run import run_process, run_until_stopped
from exhaust.settings import KafkaSettings


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Gives the signals back to the test session."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def ended_with(work: Callable[[], Awaitable[None]]) -> int | str | None:
    """The exit code of a process that runs a piece of work."""

    async def serve() -> None:
        await work()

    with pytest.raises(SystemExit) as exited:
        run_process(serve)
    return exited.value.code


async def run_a_loop_that_raises(error: Exception) -> None:
    async def loop() -> None:
        raise error

    health = Health()
    try:
        await run_until_stopped(health, loop())
    finally:
        assert health.stop.is_set()


async def test_sigterm_stops_the_loops() -> None:
    health = Health()
    stopped = asyncio.Event()

    async def loop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await health.stop.wait()
        stopped.set()

    async with asyncio.timeout(20):
        await run_until_stopped(health, loop())
    assert stopped.is_set()


async def test_a_process_serves_for_the_drain_delay_before_it_stops() -> None:
    health = Health()
    seen: list[dict[str, str]] = []

    async def loop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await health.draining.wait()
        seen.append(await health.unready())
        assert not health.stop.is_set()
        await health.stop.wait()

    async with asyncio.timeout(20):
        started = time.monotonic()
        await run_until_stopped(health, loop(), drain_delay=timedelta(seconds=0.3))
    assert time.monotonic() - started >= 0.3
    assert seen == [{"process": "draining"}]


async def test_a_second_signal_ends_the_drain_delay() -> None:
    health = Health()

    async def loop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await health.draining.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await health.stop.wait()

    async with asyncio.timeout(20):
        await run_until_stopped(health, loop(), drain_delay=timedelta(hours=1))


def test_a_wrong_configuration_ends_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    refused = ConfigurationError("the brokers refuse it")
    assert ended_with(lambda: run_a_loop_that_raises(refused)) == 2
    assert capsys.readouterr().err == "the brokers refuse it\n"


def test_a_wrong_setting_ends_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        KafkaSettings(kafka_bootstrap="kafka.test:port")

    async def serve() -> None:
        raise refused.value

    assert ended_with(serve) == 2
    assert capsys.readouterr().err.startswith("EXHAUST_KAFKA_BOOTSTRAP: ")


def test_a_server_that_is_away_at_the_start_ends_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve() -> None:
        raise unavailable("the database")

    assert ended_with(serve) == 1
    assert capsys.readouterr().err == "the database does not answer; try again in a few seconds\n"


async def test_a_defect_of_a_loop_is_raised() -> None:
    with pytest.raises(ExceptionGroup) as raised:
        await run_a_loop_that_raises(KeyError("defect"))
    assert raised.group_contains(KeyError, match="defect")
