"""The actions of operators: POST /actions/<name>, with a form or JSON, and a result for each item."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog
from aiohttp import web

from exhaust.domain.dead_letters import LetterPlace
from exhaust.errors import ErrorCode, ExhaustError, unavailable
from exhaust.http.accept import prefers_html
from exhaust.kafka.topic_reader import open_topic_reader
from exhaust.operations.dead_letter_index import show_letter
from exhaust.operations.orders import ItemResult, Order
from exhaust.postgres.database import TABLES_DIFFER
from schemas.events import TOPIC_DEAD_LETTERS
from services.console import action_runs
from services.console.access import READ_ONLY
from services.console.action_fields import (
    Ask,
    CauseAsk,
    LettersAsk,
    PauseAsk,
    PayloadAsk,
    RequestsAsk,
    parse_ask,
)
from services.console.fields import FIELDS
from services.console.pages import html_response
from services.console.payload import payload_document
from services.console.roles import OPERATOR_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from services.console.action_runs import Run, Tools
    from services.console.frame import Frame
    from services.console.pages import Document

    Start = Callable[[Tools, Any, Order, AsyncExitStack], Awaitable[Run]]

WITHIN: Final = timedelta(seconds=25)  # a call; whoever stands between waits for 30 s at least
AT_ONCE: Final = 4  # calls
SHOW_PAYLOAD: Final = "show-payload"
TITLES: Final = {"action.html": "Action", "payload.html": "Dead letter"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Action:
    """An action.

    Attributes:
        name: as in its path.
        model: of its fields.
        start: begins it.
    """

    name: str
    model: type[Ask]
    start: Start


ACTIONS: Final = (
    Action("retry", RequestsAsk, action_runs.retry),
    Action("retry-cause", CauseAsk, action_runs.retry_cause),
    Action("cancel", RequestsAsk, action_runs.cancel),
    Action("pause", PauseAsk, action_runs.pause_target),
    Action("resume", PauseAsk, action_runs.resume_target),
    Action("redrive", LettersAsk, action_runs.redrive),
)


@dataclass(slots=True)
class Outcome:
    """What became of an action.

    Attributes:
        items: all that it is about.
        more: True when there are more of its cause than one call takes.
        stopped: why some items have no result; empty when all have one.
    """

    action: str
    order: Order
    items: Sequence[str] = ()
    results: list[ItemResult] = field(default_factory=list)
    more: bool = False
    stopped: str = ""

    def document(self) -> Document:
        """Return what page and JSON show."""
        done = sum(result.done for result in self.results)
        settled = {result.item for result in self.results}
        return {
            "action": self.action,
            "dryrun": self.order.dry_run,
            "reason": self.order.reason,
            "done": done,
            "refused": len(self.results) - done,
            "results": [result.to_json() for result in self.results],
            "left": [item for item in self.items if item not in settled],
            "stopped": self.stopped,
            "more": self.more,
        }


class Actions:
    """Carries out what operators ask for. The gate lets nobody else come here."""

    def __init__(self, tools: Tools | None, frame: Frame, *, within: timedelta = WITHIN) -> None:
        """Prepare.

        Args:
            tools: what actions work with; None where nobody may act.
            frame: of pages.
            within: the time for a call; what is not done by then is told.
        """
        self._tools = tools
        self._frame = frame
        self._within = within.total_seconds()
        self._at_work = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        """Build the routes."""
        start = f"{self._frame.prefix}/actions"
        return [
            *(web.post(f"{start}/{action.name}", self._handler(action)) for action in ACTIONS),
            web.post(f"{start}/{SHOW_PAYLOAD}", self._show_payload),
        ]

    def _handler(self, action: Action) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def act(request: web.Request) -> web.Response:
            fields = request[FIELDS]
            ask = parse_ask(action.model, fields.values)
            # What a form asks for is shown first; its second form says that this was seen.
            order = _order(request, ask, dry_run=ask.dryrun or (fields.of_form and not ask.confirmed))
            outcome = await self._act(action, ask, order)
            log.info("console.action", action=action.name, dry_run=order.dry_run, items=len(outcome.items))
            return self._answer(request, outcome, ask)

        return act

    async def _act(self, action: Action, ask: Ask, order: Order) -> Outcome:
        """Carry out an action, as far as its time goes."""
        outcome = Outcome(action.name, order)
        async with self._one_of_few() as tools, AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._within):
                    run = await action.start(tools, ask, order, stack)
                    outcome.items, outcome.more = run.items, run.more
                    async for result in run.results:
                        outcome.results.append(result)
            except TimeoutError:
                outcome.stopped = "the time of one call is over; send the rest again"
            except ExhaustError as error:
                if not error.retryable:
                    raise
                outcome.stopped = error.message
        return outcome

    async def _show_payload(self, request: web.Request) -> web.Response:
        ask = parse_ask(PayloadAsk, request[FIELDS].values)
        order, place = _order(request, ask, dry_run=ask.dryrun), LetterPlace.parse(ask.targets[0])
        async with self._one_of_few() as tools, open_topic_reader(tools.kafka) as reader:
            if order.dry_run:
                record = await reader.read_one(TOPIC_DEAD_LETTERS, place.partition, place.offset)
            else:
                record = await show_letter(tools.operator, reader, place, actor=order.actor, reason=order.reason)
        if record is None:
            raise ExhaustError(ErrorCode.NOT_FOUND, f"Kafka has no dead letter {place}")
        if order.dry_run:
            size = f"{len(record.value)} bytes would be shown, and the audit would keep that you looked"
            result = ItemResult(f"dead-letter/{place}", done=True, what=size)
            return self._answer(request, Outcome(SHOW_PAYLOAD, order, [result.item], [result]), ask)
        return self._shown(request, "payload.html", payload_document(record))

    @asynccontextmanager
    async def _one_of_few(self) -> AsyncIterator[Tools]:
        """Work on one of a few actions at a time."""
        if self._tools is None:
            raise ExhaustError(ErrorCode.AUTHORIZATION_FAILED, READ_ONLY)
        if self._at_work.locked():
            raise ExhaustError(ErrorCode.RATE_LIMITED, f"{AT_ONCE} actions are at work; try again in a few seconds")
        async with self._at_work:
            try:
                yield self._tools
            except TABLES_DIFFER as error:
                raise unavailable("a right of EXHAUST_POSTGRES_OPERATOR_DSN (see `exhaustctl migrate`)") from error

    def _answer(self, request: web.Request, outcome: Outcome, ask: Ask) -> web.Response:
        status = HTTPStatus.SERVICE_UNAVAILABLE if outcome.stopped else HTTPStatus.OK
        return self._shown(request, "action.html", outcome.document(), status=status, again=ask.again())

    def _shown(
        self, request: web.Request, template: str, document: Document, *, status: int = 200, **more: object
    ) -> web.Response:
        if prefers_html(request):
            text = self._frame.render(request, template, title=TITLES[template], page=document, **more)
            return html_response(text, status)
        return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


def _order(request: web.Request, ask: Ask, *, dry_run: bool) -> Order:
    """Return the order of the person who calls; the database puts its own role before the name."""
    return Order(f"operator/{request[OPERATOR_NAME]}", ask.reason, dry_run)
