"""The stream of a request's progress: what it sends, how it goes on, and how it ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aiohttp

from exhaust.kafka.producer import Producer
from exhaust.postgres.database import Database
from exhaust.postgres.license_keys import KeyStore
from exhaust.s3.store import ObjectStore
from schemas.events import Failed, Failure, Progress
from services.gateway.handlers.request_events import WAIT
from services.status.request_states import RequestStates
from tests.integration.conftest import PEPPERS, Gateway, RequestFactory, open_gateway, with_grants
from tests.integration.status.conftest import DAYS, FinishedDownloads, Status
from tests.integration.status.test_retry_and_delete import late_day
from tests.support.completions import claim

WITHIN_S = 30
Event = dict[str, Any]


@asynccontextmanager
async def streamed(door: Gateway, request_id: object, last: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {"X-API-Key": door.license_key} | ({"Last-Event-ID": last} if last else {})
    url = f"{door.base}/v2/datasets/requests/{request_id}/events"
    async with asyncio.timeout(WITHIN_S), door.session.get(url, headers=headers) as answer:
        yield answer


async def next_event(answer: aiohttp.ClientResponse) -> Event | None:
    """The next event that is not a hint or a comment; None at the end of the stream."""
    event: Event = {}
    async for line in answer.content:
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name in {"id", "event"}:
            event[name] = value
        elif name == "data":
            event[name] = json.loads(value)
        elif not name and event:
            return event
    return None


async def test_each_change_comes_as_an_event_and_the_end_as_the_last(
    door: Gateway, own: UUID, states: RequestStates, downloads: FinishedDownloads
) -> None:
    async with streamed(door, own) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert "Content-Encoding" not in answer.headers
        first = await next_event(answer)
        assert first is not None
        assert (first["id"], first["data"]["status"]) == ("1.0.0", "inprogress")
        await states.apply(claim(Progress(requestid=own, attempt=1, daystotal=DAYS)))
        await states.apply(claim(late_day(own)))
        seen = [first["id"]]
        while (event := await next_event(answer)) is not None and event["data"]["progress"]["daysdone"] == 0:
            seen.append(event["id"])
        assert event is not None
        assert (event["id"], event["data"]["progress"]["daysdone"]) == ("1.1.1", 1)
        assert seen == sorted(seen)
        await states.apply(claim(await downloads.write(own)))
        complete = await next_event(answer)
        assert complete is not None
        assert (complete["data"]["status"], "downloadurl" in complete["data"]) == ("complete", True)
        assert await next_event(answer) == {"event": "end", "data": {"ended": True}}
        assert await next_event(answer) is None
    async with streamed(door, own, last=event["id"]) as answer:
        assert await next_event(answer) is not None
    async with streamed(door, own, last=complete["id"]) as answer:
        assert answer.status == 204


async def test_what_was_seen_is_skipped(door: Gateway, own: UUID, states: RequestStates) -> None:
    async with streamed(door, own, last="1.0.0") as answer:
        await states.apply(
            claim(Failed(requestid=own, attempt=1, error=Failure(code="LIMIT_EXCEEDED", message="for operators")))
        )
        event = await next_event(answer)
        assert event is not None
        assert (event["id"], event["data"]["status"]) == ("1.2.0", "failed")


async def test_a_stream_ends_when_the_key_is_revoked(door: Gateway, own: UUID, owner_database: Database) -> None:
    async with streamed(door, own) as answer:
        assert await next_event(answer)
        await owner_database.fetch("UPDATE license_keys SET revoked_at = now()")
        end = await next_event(answer)
        assert end is not None
        assert (end["event"], end["data"]["err"]) == ("end", "LOGIN_FAILED")
        assert await next_event(answer) is None


async def test_a_stream_ends_when_the_grant_is_withdrawn(door: Gateway, own: UUID, owner_database: Database) -> None:
    async with streamed(door, own) as answer:
        assert await next_event(answer)
        await owner_database.fetch("DELETE FROM data_exhaust_users_resources")
        end = await next_event(answer)
        assert end is not None
        assert (end["event"], end["data"]["err"]) == ("end", "AUTHORIZATION_FAILED")


async def test_a_gateway_that_is_about_to_end_closes_its_streams_at_once(
    status: Status, database: Database, owner_database: Database, producer: Producer, away_objects: ObjectStore
) -> None:
    draining = asyncio.Event()
    async with open_gateway(database, producer, away_objects, status=status.base, draining=draining) as opened:
        door = await with_grants(opened, owner_database)
        client = await KeyStore(database, PEPPERS).authenticate(door.license_key)
        assert client is not None
        request_id = await RequestFactory(database).request(user_id=client.user_id, days=DAYS, waiting=False)
        async with streamed(door, request_id) as answer:
            assert await next_event(answer)
            draining.set()
            async with asyncio.timeout(WAIT.total_seconds() * 0.6):  # not only when the wait for a change is over
                assert await next_event(answer) is None


async def test_a_foreign_request_answers_like_an_unknown_one(door: Gateway, request_factory: RequestFactory) -> None:
    told = []
    for request_id in (await request_factory.request(partner="org.example.else", waiting=False), uuid4()):
        async with streamed(door, request_id) as answer:
            assert answer.status == 404
            told.append((await answer.json())["params"]["errmsg"])
    assert told[0] == told[1]


async def test_a_key_has_its_share_of_streams_and_gets_it_back(door: Gateway, own: UUID) -> None:
    most = 16
    async with asyncio.timeout(WITHIN_S):
        streams = [streamed(door, own) for _ in range(most)]
        for stream in streams:
            assert (await stream.__aenter__()).status == 200
        async with streamed(door, own) as refused:
            assert refused.status == 429
        for stream in streams:
            await stream.__aexit__(None, None, None)
        while True:
            async with streamed(door, own) as answer:
                if answer.status == 200:
                    return
