"""Closing a client of the driver to the end, whether Kafka answers or not.

The driver's own `stop` waits for Kafka without a limit: for events that are not sent yet, for the answer to a member
that leaves. When it is cancelled on the way, its tasks and connections stay behind.
"""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import ProducerClosed

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import timedelta

    from aiokafka.client import AIOKafkaClient

Client: TypeAlias = AIOKafkaProducer | AIOKafkaConsumer
_ROUNDS: Final = 10  # a task may catch one cancellation and wait for another task
_ROUND_S: Final = 1.0


async def stop_client(client: Client, limit: timedelta) -> None:
    """Stop a producer or a consumer of the driver, and leave no task and no connection of it behind.

    Args:
        client: started or not.
        limit: how long it may flush and leave its group; then its tasks are cancelled. What was not sent fails.
    """
    stopping = asyncio.ensure_future(client.stop())
    try:
        await asyncio.wait({stopping}, timeout=limit.total_seconds())
    finally:
        await _end_tasks(client, stopping)
        await _end_connections(client)


async def _end_tasks(client: Client, stopping: asyncio.Future[None]) -> None:
    for _ in range(_ROUNDS):
        left = {task for task in (stopping, *_tasks(client)) if not task.done()}
        if not left:
            break
        if isinstance(client, AIOKafkaProducer):
            _fail_unsent(client)
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_ROUND_S)
        for task in left:
            _take_note(task)
    _take_note(stopping)


async def _end_connections(client: Client) -> None:
    connections = list(_network(client)._conns.values())
    for connection in connections:
        if connection._writer is not None:
            # Its close() would wait until a Kafka that may be frozen has read what was written.
            connection._writer.transport.abort()
    closed = [connection.close() for connection in connections]
    if closed:
        await asyncio.wait(closed, timeout=_ROUND_S)


def _network(client: Client) -> AIOKafkaClient:
    return client.client if isinstance(client, AIOKafkaProducer) else client._client


def _tasks(client: Client) -> set[asyncio.Future[Any]]:
    """Return the unfinished tasks that run a method of a client's objects. The driver keeps no list of them."""
    if isinstance(client, AIOKafkaProducer):
        parts = [client.client, client._sender, client._message_accumulator]
    else:
        parts = [client._client, client._coordinator, client._fetcher]
    return {task for task in asyncio.all_tasks() if _runs_method_of(task, parts)}


def _runs_method_of(task: asyncio.Task[Any], parts: Collection[object]) -> bool:
    frame = getattr(task.get_coro(), "cr_frame", None)
    owner = None if frame is None else frame.f_locals.get("self")
    return owner is not None and any(owner is part for part in parts)


def _fail_unsent(producer: AIOKafkaProducer) -> None:
    """Fail the events that were not sent, so that nobody waits for them."""
    accumulator = producer._message_accumulator
    reason = ProducerClosed()
    accumulator._exception = reason
    # One that waits for its next try is not among the pending, and the driver takes it out of them when it ends.
    accumulator._pending_batches.update(chain(*accumulator._batches.values()))
    for batch in accumulator._pending_batches:
        batch.failure(reason)
        for future in (batch.future, batch._drain_waiter):
            _take_note(future)


def _take_note(ended: asyncio.Future[Any]) -> None:
    """Look at the exception of a future. What a client meets that nobody uses any more is not worth a log line."""
    if ended.done() and not ended.cancelled():
        ended.exception()
