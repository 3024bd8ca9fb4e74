"""What a caller is told about a request, at once or after waiting."""

import asyncio
from uuid import UUID

import pytest

from exhaust.errors import FAILURE_SENTENCES, ErrorCode, error_document
from schemas.events import Failed, Failure, FinishedDay, Progress
from services.status.request_states import RequestStates
from tests.integration.conftest import LONG_AGO, assert_refused, envelope
from tests.integration.status.conftest import DAYS, FinishedDownloads, Status, headers, path_of
from tests.support.completions import claim


async def test_progress_is_shown_and_no_link_before_the_end(
    status: Status, states: RequestStates, request_id: UUID, caller: int
) -> None:
    nothing = {"daysdone": 0, "daystotal": DAYS, "events": 0, "bytes": 0}
    assert await status.result(request_id, caller) == {
        "status": "inprogress",
        "progress": nothing,
        "phase": "building",
        "because": "its days are being built",
    }
    day = FinishedDay(day=LONG_AGO, state="ok", events=7, bytes=700, unreadable=1, reused=False)
    await states.apply(claim(Progress(requestid=request_id, attempt=1, daystotal=DAYS, day=day)))
    progress = {"daysdone": 1, "daystotal": DAYS, "events": 7, "bytes": 700}
    found = await status.result(request_id, caller)
    assert (found["status"], found["progress"]) == ("inprogress", progress)
    assert (found["phase"], found["because"]) == ("building", "1 of its 3 days is finished")
    assert set(found) == {"status", "progress", "phase", "because", "eta"}


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("SOURCE_OBJECT_UNREADABLE", ErrorCode.SOURCE_OBJECT_UNREADABLE),
        ("LOGIN_FAILED", ErrorCode.INTERNAL_ERROR),
        ("<script>", ErrorCode.INTERNAL_ERROR),
    ],
)
async def test_a_failed_request_says_why_in_our_words(
    status: Status, states: RequestStates, request_id: UUID, caller: int, code: str, shown: ErrorCode
) -> None:
    error = Failure(code=code, message="raw/a.json.gz: is cut short", day=LONG_AGO, object="raw/a")
    await states.apply(claim(Failed(requestid=request_id, attempt=1, error=error)))
    found = await status.result(request_id, caller)
    # The words of whoever reported it are for operators.
    assert (found["status"], found["error"]) == (
        "failed",
        error_document(shown, FAILURE_SENTENCES[shown]) | {"day": str(LONG_AGO)},
    )
    assert "downloadurl" not in found


async def test_a_call_can_wait_for_the_end(
    status: Status, states: RequestStates, downloads: FinishedDownloads, caller: int, request_id: UUID
) -> None:
    waiting = asyncio.create_task(status.call(f"{path_of(request_id)}?wait=30", envelope({}), headers=headers(caller)))
    event = await downloads.write(request_id)
    # Another replica applies the event: nobody notifies the call that waits.
    await states.apply(claim(event))
    reply = await asyncio.wait_for(waiting, 15)
    assert reply.body["result"]["status"] == "complete"


async def test_a_wait_that_is_too_long_is_refused(status: Status, caller: int, request_id: UUID) -> None:
    reply = await status.call(f"{path_of(request_id)}?wait=31", envelope({}), headers=headers(caller))
    assert_refused(reply, 400, "INVALID_DATA_ERROR")
