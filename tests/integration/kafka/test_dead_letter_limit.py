"""A defect buries a few records, not all: the consumer holds, keeps its membership, and goes on when it is mended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ExhaustError
from schemas.events import TOPIC_DEAD_LETTERS
from tests.integration.kafka.conftest import DRAIN, TIMEOUT_S, Handled, Scene

if TYPE_CHECKING:
    from exhaust.kafka.records import Record

LIMIT, RECORDS = 5, 40


async def test_a_bad_release_does_not_bury_all_traffic(scene: Scene) -> None:
    limits = {"dead_letter_limit": LIMIT, "dead_letter_window": timedelta(seconds=2)}
    scene = Scene(scene.settings.model_copy(update=limits), scene.producer, scene.topic)
    tried, done, buried = Handled(), Handled(), Handled()
    mended = asyncio.Event()

    async def work(record: Record) -> None:
        await tried.note(record)
        if not mended.is_set():
            raise ValueError("a defect of this release")
        await done.note(record)

    async def note(record: Record) -> None:
        if record.header("dl_topic") == scene.topic:
            await buried.note(record)

    values = [str(number) for number in range(RECORDS)]
    await scene.send(*values)
    loop, stop = scene.consumer_loop(work, 4), asyncio.Event()
    reader = Scene(scene.settings, scene.producer, TOPIC_DEAD_LETTERS)
    async with asyncio.timeout(TIMEOUT_S), reader.member(note), asyncio.TaskGroup() as running:
        running.create_task(loop.run(stop, lambda: None, DRAIN))
        await buried.until(lambda seen: len(seen) == LIMIT - 1)
        await tried.until(lambda seen: len(seen) > len(set(seen)))  # one is tried again: it holds
        with pytest.raises(ExhaustError, match="holds"):
            await loop.check()
        assert loop.partition_count() == 1
        assert len(set(tried.values)) < RECORDS / 2
        mended.set()
        await done.until(lambda seen: len(seen) == RECORDS - len(buried.values))
        stop.set()
    assert sorted([*done.values, *buried.values], key=int) == values
    assert len(buried.values) == LIMIT - 1
    assert await scene.uncommitted() == []
