"""The handler of watch calls: the status of a request once it is another one than the caller has seen."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from exhaust.domain.requests import parse_request_id
from exhaust.http.disconnects import until_disconnected
from exhaust.http.endpoint import Answer
from schemas.operations import StatusRead
from services.status.status_calls import caller_of

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.request_views import RequestView
    from schemas.operations import WatchBody
    from services.status.request_reader import RequestReader
    from services.status.status_calls import StatusCalls


class WatchCalls:
    """Answers watch calls."""

    def __init__(self, reader: RequestReader, statuses: StatusCalls) -> None:
        self._reader = reader
        self._statuses = statuses

    async def watch(self, call: Call[WatchBody]) -> Answer:
        """Answer with a status and its version, at once if it is another one than was seen, else after that time."""
        read = StatusRead(caller_of(call), parse_request_id(call.path("requestid")))
        wait = timedelta(seconds=call.body.wait)
        waiting = self._reader.read_until(read, lambda view: version_of(view) != call.body.seen, wait)
        view = await until_disconnected(call.http, waiting)
        version = version_of(view)
        if version == call.body.seen:
            return Answer({"version": version, "ended": view.state.is_terminal})
        status = await self._statuses.build(read.user_id, view)
        return Answer({"version": version, "ended": view.state.is_terminal, "status": status})


def version_of(view: RequestView) -> str:
    """Return what grows with each change: the attempt, the state's rank in it, and the finished days."""
    return f"{view.attempt}.{view.state.rank}.{view.days_done}"
