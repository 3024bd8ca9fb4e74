"""How the console carries out each action, with the functions that `exhaustctl` uses too."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exhaust.domain.dead_letters import LetterFilter, LetterPlace
from exhaust.kafka.producer import open_producer
from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.operations.dead_letter_index import index_dead_letters
from exhaust.operations.orders import BATCH
from exhaust.operations.pausing import pause, paused_dataset, paused_partner, paused_resource, resume
from exhaust.operations.redrive import Redrive, open_letters, plan_redrive
from exhaust.operations.request_actions import cancel_requests, datasets_of, failed_requests, retry_requests
from exhaust.postgres.database import open_database
from exhaust.postgres.request_lists import RequestFilter
from services.console.action_fields import MAX_TARGETS, CauseAsk, LettersAsk, PauseAsk, RequestsAsk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AsyncExitStack
    from uuid import UUID

    from exhaust.domain.catalogue import Catalogue
    from exhaust.operations.orders import ItemResult, Order
    from exhaust.postgres.database import Database
    from exhaust.postgres.pauses import PauseTarget
    from exhaust.settings import KafkaSettings
    from services.console.settings import ConsoleSettings


@dataclass(frozen=True, slots=True)
class Tools:
    """What actions work with.

    Attributes:
        operator: the database, as the role of actions.
        console: the database, as the console's own role, which keeps the index of dead letters.
    """

    operator: Database
    console: Database
    kafka: KafkaSettings
    catalogue: Catalogue


@asynccontextmanager
async def open_tools(settings: ConsoleSettings, console: Database, catalogue: Catalogue) -> AsyncIterator[Tools | None]:
    """Open what actions work with for the time of a block; None without the role of actions."""
    dsn = settings.postgres_operator_dsn
    if dsn is None:
        yield None
        return
    idle = settings.postgres_idle_timeout
    async with open_database(dsn, pool_size=BATCH, idle_timeout=idle, connect=False) as operator:
        yield Tools(operator, console, settings, catalogue)


@dataclass(frozen=True, slots=True)
class Run:
    """An action at work.

    Attributes:
        items: all that it is about, as results name them.
        results: as they come.
        more: True when there are more of the cause than one call takes.
    """

    items: Sequence[str]
    results: AsyncIterator[ItemResult]
    more: bool = False


async def retry(tools: Tools, ask: RequestsAsk, order: Order, _stack: AsyncExitStack) -> Run:
    """Try requests again."""
    return _of_requests(ask.targets, retry_requests(tools.operator, ask.targets, order))


async def retry_cause(tools: Tools, ask: CauseAsk, order: Order, _stack: AsyncExitStack) -> Run:
    """Try all requests again that failed by one cause."""
    datasets = datasets_of(tools.catalogue, ask.dataset, ask.source)
    cause = RequestFilter(datasets=datasets, code=ask.code, object=ask.object)
    found = await failed_requests(tools.operator, cause, limit=MAX_TARGETS + 1)
    some = found[:MAX_TARGETS]
    return _of_requests(some, retry_requests(tools.operator, some, order), more=len(found) > MAX_TARGETS)


async def cancel(tools: Tools, ask: RequestsAsk, order: Order, _stack: AsyncExitStack) -> Run:
    """Cancel requests."""
    return _of_requests(ask.targets, cancel_requests(tools.operator, ask.targets, order))


async def pause_target(tools: Tools, ask: PauseAsk, order: Order, _stack: AsyncExitStack) -> Run:
    """Pause a partner or a dataset."""
    return _of_target(tools, ask, order, pause)


async def resume_target(tools: Tools, ask: PauseAsk, order: Order, _stack: AsyncExitStack) -> Run:
    """Resume a partner or a dataset."""
    return _of_target(tools, ask, order, resume)


async def redrive(tools: Tools, ask: LettersAsk, order: Order, stack: AsyncExitStack) -> Run:
    """Send the records of dead letters to their topics once more. A dry run goes by the index alone."""
    cause = LetterFilter(ask.code, ask.source, ask.object, ask.topic)
    named = [LetterPlace.parse(letter) for letter in ask.targets]
    if order.dry_run:
        places = named or await open_letters(tools.operator, cause)
        results = plan_redrive(tools.operator, places[:MAX_TARGETS])
    else:
        reader = await stack.enter_async_context(open_topic_reader(tools.kafka))
        await index_dead_letters(tools.console, reader)
        places = named or await open_letters(tools.operator, cause)
        producer = await stack.enter_async_context(open_producer(tools.kafka))
        results = Redrive(tools.operator, reader, producer, order).run(places[:MAX_TARGETS])
    items = [f"dead-letter/{place}" for place in dict.fromkeys(places[:MAX_TARGETS])]
    return Run(items, results, more=len(places) > MAX_TARGETS)


def _of_requests(ids: Sequence[UUID], results: AsyncIterator[ItemResult], *, more: bool = False) -> Run:
    return Run([f"request/{request_id}" for request_id in dict.fromkeys(ids)], results, more=more)


def _of_target(
    tools: Tools,
    ask: PauseAsk,
    order: Order,
    action: Callable[[Database, PauseTarget, Order], Awaitable[ItemResult]],
) -> Run:
    target = target_of(tools.catalogue, ask)

    async def result() -> AsyncIterator[ItemResult]:
        yield await action(tools.operator, target, order)

    return Run([target.subject], result())


def target_of(catalogue: Catalogue, ask: PauseAsk) -> PauseTarget:
    """Return what is to be paused or resumed.

    Raises:
        ExhaustError: INVALID_DATA_ERROR.
    """
    if ask.partner is not None:
        return paused_partner(ask.partner)
    if ask.resource is not None:
        return paused_resource(ask.resource)
    return paused_dataset(catalogue, ask.dataset or "")
