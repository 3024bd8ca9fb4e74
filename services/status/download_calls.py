"""The handler of download calls: it signs the link of a request anew, and records that it is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.failures import RequestFailure
from exhaust.domain.requests import parse_request_id
from exhaust.domain.state_machine import State
from exhaust.errors import CANCELLED_SENTENCE, ErrorCode, ExhaustError
from exhaust.http.endpoint import Answer
from schemas.operations import FINISHED_PART, StatusRead
from services.status.status_calls import caller_of

if TYPE_CHECKING:
    from exhaust.http.endpoint import Call
    from exhaust.postgres.request_views import RequestView
    from schemas.bodies import EmptyBody
    from services.status.answers import AnswerBuilder
    from services.status.link_audit import LinkAudit
    from services.status.partial_downloads import PartialDownloads
    from services.status.request_reader import RequestReader


class DownloadCalls:
    """Answers download calls."""

    def __init__(
        self, reader: RequestReader, answers: AnswerBuilder, partials: PartialDownloads, audit: LinkAudit
    ) -> None:
        self._reader = reader
        self._answers = answers
        self._partials = partials
        self._audit = audit

    async def link(self, call: Call[EmptyBody]) -> Answer:
        """Answer with a freshly signed link to the download; with `?method=HEAD` for HEAD, which is no download.

        With `?part=finished` it is the partial download of a request that has failed.
        """
        finished, head = _choice(call, "part", FINISHED_PART), _choice(call, "method", "HEAD")
        read = StatusRead(caller_of(call), parse_request_id(call.path("requestid")))
        (view,) = await self._reader.read([read])
        if isinstance(view, ExhaustError):
            raise view
        partial = finished and view.state is State.FAILED
        url = await self._partial_link(view, head=head) if partial else await self._link(view, head=head)
        if not head:
            await self._audit.record_download(read.user_id, view.request_id, part=FINISHED_PART if partial else "")
        return Answer({"url": url})

    async def _link(self, view: RequestView, *, head: bool) -> str:
        if self._answers.has_link(view):
            return await self._answers.archive_link(view, head=head)
        if view.state is State.COMPLETE:
            raise ExhaustError(
                ErrorCode.EXPIRED, "the download has expired; submit the request again, which is quick for days in use"
            )
        if view.state is State.CANCELLED:
            raise ExhaustError(ErrorCode.REQUEST_FAILED, CANCELLED_SENTENCE)
        if view.state is State.FAILED:
            raise ExhaustError(
                ErrorCode.REQUEST_FAILED,
                f"the request failed: {RequestFailure.of(view.outcome).message}; its other days, if there are any, come"
                f" with ?part={FINISHED_PART}",
            )
        raise ExhaustError(
            ErrorCode.NOT_COMPLETE,
            f"the request is {view.state.wire}: {view.days_done} of {len(view.days)} days are done; try again later, or"
            " wait for its end with the status",
        )

    async def _partial_link(self, view: RequestView, *, head: bool) -> str:
        if not self._answers.may_have_partial(view):
            raise ExhaustError(ErrorCode.EXPIRED, "the partial download has expired; submit the request again")
        found = (await self._partials.find([view])).get(view.request_id)
        if found is None:
            raise ExhaustError(
                ErrorCode.REQUEST_FAILED,
                f"the request failed: {RequestFailure.of(view.outcome).message}; there is no download of its other days"
                " (yet)",
            )
        return await self._answers.partial_link(view, found, head=head)


def _choice(call: Call[EmptyBody], name: str, word: str) -> bool:
    """Return True when a query parameter is the one word that it may be, False without it."""
    said = call.http.query.get(name)
    if said not in {None, word}:
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"{name} must be {word}, or left out")
    return said is not None
