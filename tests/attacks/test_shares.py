"""What one caller holds never makes another wait: long polls, slow readers, long lists."""

from __future__ import annotations

import asyncio
import base64
import itertools
import os
import socket
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks.callers import new_owner, resource_of
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from tests.attacks.callers import Caller, Callers, Reply
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData

DAY: Final = "2025-01-27"
PATH: Final = f"D001/{{}}/{DAY}/{DAY}"
STAMP: Final = 1737936000000
POLLS, READERS, LISTERS, LISTED = 110, 60, 8, 120
PROMPT_S: Final = 3.0
# More than the buffers of both ends of a connection hold, so that a reader who stops holds the server up.
LARGE_BYTES: Final = 12 * 1024 * 1024
GREEDY: Final = frozenset({200, 429})  # what the greedy one is answered
# A poll writes nothing; a submit writes its own row.
AUDITED: Final = "SELECT count(*) FROM audit WHERE action <> 'submit'"
LINKED_TWICE: Final = """
SELECT count(*) - count(DISTINCT (actor, subject)) FROM audit WHERE action = 'download-link'
"""
MANY: Final = """
INSERT INTO requests SELECT (jsonb_populate_record(r, jsonb_build_object('request_id', gen_random_uuid()))).*
FROM requests r, generate_series(1, $2) WHERE request_id = $1
"""


@dataclass(slots=True)
class Place:
    """A greedy caller, and a modest one who has nothing to do with it."""

    greedy: Caller
    greedy_owner: str
    finished: str
    held: str
    modest: Caller
    modest_owner: str
    modest_finished: str
    numbers: itertools.count[int]

    async def modest_calls(self) -> list[tuple[str, int, float]]:
        """List, status and submit of the modest caller: what, how it was answered, after how many seconds."""
        found = []
        tag = f"?tags[]=nobody-{next(self.numbers)}"
        calls: dict[str, Callable[[], Awaitable[Reply]]] = {
            "list": lambda: self.modest.page(self.modest_owner),
            "status": lambda: self.modest.status(self.modest_finished),
            "submit": lambda: self.modest.submit(PATH, self.modest_owner, query=tag),
        }
        for name, call in calls.items():
            began = time.monotonic()
            try:
                async with asyncio.timeout(2 * PROMPT_S):
                    status = (await call()).status
            except TimeoutError:
                status = 0
            found.append((name, status, round(time.monotonic() - began, 2)))
        return found


@pytest.fixture(scope="module")
async def place(callers: Callers, raw: RawData, rows: Rows) -> Place:
    greedy_owner, modest_owner = new_owner(), new_owner()
    greedy, modest = await callers.new(greedy_owner), await callers.new(modest_owner)
    noise = base64.b64encode(os.urandom(LARGE_BYTES)).decode()
    size = len(noise) // 20
    lines = [line(greedy_owner, str(n), edata={"noise": noise[n * size : (n + 1) * size]}) for n in range(20)]
    await raw.put(f"public/{greedy_owner}/{DAY}-{STAMP}.json.gz", packed(*lines))
    await raw.put(f"public/{modest_owner}/{DAY}-{STAMP}.json.gz", packed(line(modest_owner, "modest")))
    finished = await greedy.accepted(PATH, greedy_owner)
    modest_finished = await modest.accepted(PATH, modest_owner)
    await greedy.archive_of(finished)
    await modest.archive_of(modest_finished)
    held = await rows.copy(finished, {"state": "inprogress", "ended_at": None, "outcome": None, "tags": ["held"]})
    assert held is not None
    numbers = itertools.count()
    return Place(greedy, greedy_owner, finished, held, modest, modest_owner, modest_finished, numbers)


def slow_or_refused(calls: Sequence[tuple[str, int, float]]) -> list[tuple[str, int, float]]:
    return [
        (name, status, seconds) for name, status, seconds in calls if status not in {200, 202} or seconds > PROMPT_S
    ]


async def stop_all(tasks: Sequence[asyncio.Task[Reply]]) -> list[int]:
    """Cancel the calls that still run; the statuses of those that were answered."""
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    return [outcome.status for outcome in outcomes if not isinstance(outcome, BaseException)]


async def test_long_polls_of_one_key_make_nobody_else_wait(place: Place) -> None:
    slow = []
    for _ in range(2):
        polls = [asyncio.create_task(place.greedy.status(place.held, "?wait=30")) for _ in range(POLLS)]
        await asyncio.wait(polls, timeout=1)
        slow += slow_or_refused(await place.modest_calls())
        assert set(await stop_all(polls)) <= GREEDY
        slow += slow_or_refused(await place.modest_calls())
    assert slow == []


async def test_who_holds_too_many_long_polls_is_answered_at_once(place: Place) -> None:
    polls = [asyncio.create_task(place.greedy.status(place.held, "?wait=20")) for _ in range(POLLS)]
    done, _ = await asyncio.wait(polls, timeout=3)
    replies = [poll.result() for poll in done]
    await stop_all(polls)
    # As the request stands, or that it is too much; either way most of them hold nothing.
    assert len(replies) >= POLLS // 3
    assert {reply.told for reply in replies} <= {(200, ""), (429, "RATE_LIMITED")}
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in replies if reply.status == 429)


@asynccontextmanager
async def slow_readers(place: Place) -> AsyncIterator[None]:
    """Callers with the greedy one's key who ask for a large download and hardly read it."""
    port = int(place.greedy.stack.gateway.rpartition(":")[2])
    path = f"/v1/datasets/{PATH.format(resource_of(place.greedy_owner))}"
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {place.greedy.license_key}\r\n\r\n".encode()
    loop, sockets = asyncio.get_running_loop(), [socket.socket() for _ in range(READERS)]
    try:
        for each in sockets:
            each.settimeout(0)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.bind(("127.78.0.1", 0))
            await loop.sock_connect(each, ("127.0.0.1", port))
            await loop.sock_sendall(each, head)
        begun = [asyncio.create_task(loop.sock_recv(each, 256)) for each in sockets]
        await asyncio.wait(begun, timeout=2)
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        yield
    finally:
        for each in sockets:
            with suppress(OSError):
                each.close()


async def test_slow_readers_of_one_key_make_nobody_else_wait(place: Place) -> None:
    async with slow_readers(place):
        began = time.monotonic()
        async with asyncio.timeout(4 * PROMPT_S):
            reply = await place.modest.download(PATH, place.modest_owner)
        seconds = time.monotonic() - began
        slow = slow_or_refused(await place.modest_calls())
    assert opened(reply.body).mids == ["modest"]
    assert seconds < PROMPT_S
    assert slow == []


@pytest.fixture(scope="module")
async def long_list(place: Place, rows: Rows) -> Place:
    """The greedy one has more finished requests than a page holds."""
    await rows.pool.execute(MANY, place.finished, LISTED)
    return place


async def test_loops_of_long_lists_make_nobody_else_wait_and_audit_each_link_once(long_list: Place, rows: Rows) -> None:
    place, stop, statuses = long_list, asyncio.Event(), set()

    async def loop() -> None:
        while not stop.is_set():
            statuses.add((await place.greedy.page(place.greedy_owner, "?limit=100")).status)

    loops = [asyncio.create_task(loop()) for _ in range(LISTERS)]
    slow = []
    for _ in range(5):
        slow += slow_or_refused(await place.modest_calls())
    stop.set()
    await asyncio.gather(*loops)
    assert slow == []
    assert statuses <= GREEDY
    # A link that is handed out is audited, once an hour however often the list is asked for.
    assert await rows.value(LINKED_TWICE) == 0


async def test_a_status_poll_is_no_download_to_the_audit(place: Place, rows: Rows) -> None:
    before = await rows.value(AUDITED)
    replies = [await place.modest.status(place.modest_finished) for _ in range(10)]
    replies.append(await place.modest.status(place.modest_finished, "?wait=1"))
    assert {reply.result["status"] for reply in replies} == {"complete"}
    assert await rows.value(AUDITED) == before
