"""A real receiver of webhooks, and a deliverer on the real database."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import web
from pydantic import SecretStr
from standardwebhooks.webhooks import Webhook

from exhaust.domain.state_machine import State, StateVersion
from exhaust.http.listener import open_listener
from exhaust.postgres.database import Database
from exhaust.postgres.notifications import listen
from exhaust.postgres.request_progress import lock_request, move_request
from exhaust.postgres.webhook_deliveries import CHANNEL
from exhaust.postgres.webhooks import Webhook as StoredWebhook
from exhaust.postgres.webhooks import WebhookOwner
from exhaust.process.health import Health
from exhaust.webhooks.secrets import SecretSeal, new_secret, written_secret
from schemas.webhooks import REQUEST_COMPLETE, REQUEST_FAILED
from services.status.webhooks.deliverer import Deliverer, Lane
from services.status.webhooks.sender import open_sender
from tests.integration.conftest import RESOURCE, RequestFactory
from tests.support.s3_proxy import closed_port

KEYS = {1: SecretStr("a key of webhooks with more than enough characters")}
LOOPBACK = (IPv4Network("127.0.0.0/8"),)
WITHIN = timedelta(seconds=10)


@dataclass
class Receiver:
    """A receiver of webhooks that answers as it is told, and keeps what arrived.

    Attributes:
        statuses: of the next answers; then 204.
        retry_after: header of all answers; none when it is empty.
        hold: while it is set to an event, answers wait for that.
    """

    base: str
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self.changed:
            self.arrived.append((dict(request.headers), body))
            self.changed.notify_all()
        if self.hold is not None:
            await self.hold.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        headers = {"Location": f"{self.base}/elsewhere"} if 300 <= status < 400 else {}
        if self.retry_after:
            headers["Retry-After"] = self.retry_after
        return web.Response(status=status, headers=headers)

    async def wait_for(self, number: int) -> list[tuple[dict[str, str], bytes]]:
        """Wait until so many messages arrived."""
        async with asyncio.timeout(WITHIN.total_seconds()), self.changed:
            await self.changed.wait_for(lambda: len(self.arrived) >= number)
        return self.arrived


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    port = closed_port()
    receiver = Receiver(f"http://127.0.0.1:{port}")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.receive)
    async with open_listener(app, "127.0.0.1", port):
        yield receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


async def no_lookup(host: str) -> Sequence[str]:
    """A lookup of names where only addresses are called."""
    raise OSError(host)


@dataclass(frozen=True)
class Hooks:
    """Webhooks, and requests that end, without the services around them."""

    database: Database
    requests: RequestFactory
    seal: SecretSeal = field(default_factory=lambda: SecretSeal(KEYS))
    secrets: dict[UUID, str] = field(default_factory=dict)

    async def user(self) -> int:
        """A holder who may read what requests of the tests ask for."""
        user = await self.requests.user()
        grant = "INSERT INTO data_exhaust_users_resources (user_id, resource_id) VALUES ($1, $2)"
        async with self.database.transaction() as connection:
            await connection.execute(grant, user, RESOURCE)
        return user

    async def create(
        self, url: str, *, user_id: int, events: Sequence[str] = (REQUEST_COMPLETE, REQUEST_FAILED)
    ) -> tuple[StoredWebhook, Webhook]:
        """A webhook, and what verifies its messages."""
        webhook_id, secret = uuid4(), new_secret()
        owner = WebhookOwner(self.database, user_id)
        stored = await owner.create(webhook_id, url=url, events=events, secret=self.seal.seal(secret, webhook_id))
        self.secrets[webhook_id] = written_secret(secret)
        return stored, Webhook(written_secret(secret))

    async def end_request(self, user_id: int, state: State = State.COMPLETE, **outcome: Any) -> UUID:
        """A request that has just ended."""
        request_id = await self.requests.request(user_id=user_id)
        await self.move(request_id, state, **outcome)
        return request_id

    async def move(self, request_id: UUID, state: State, *, attempt: int = 1, **outcome: Any) -> None:
        async with self.database.transaction() as connection:
            await lock_request(connection, request_id)
            await move_request(connection, request_id, StateVersion.of(attempt, state, outcome), outcome)

    async def deliveries(self) -> list[dict[str, Any]]:
        rows = await self.database.fetch("SELECT * FROM webhook_deliveries ORDER BY created_at, delivery_id")
        return [dict(row) for row in rows]

    async def until(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """The deliveries, once a condition holds; what records them tells nobody, so they are read again."""
        async with asyncio.timeout(WITHIN.total_seconds()):
            while not condition(found := await self.deliveries()):
                await self.database.fetch("SELECT pg_sleep(0.02)")
        return found

    @asynccontextmanager
    async def deliverer(self, *, listening: SecretStr | None = None) -> AsyncIterator[Deliverer]:
        """A deliverer at work, that looks by itself once a minute."""
        health = Health()
        async with AsyncExitStack() as stack:
            senders = [await stack.enter_async_context(open_sender(no_lookup, LOOPBACK)) for _ in range(2)]
            lanes = (
                Lane(slow=False, places=64, share=4, sender=senders[0]),
                Lane(slow=True, places=16, share=1, sender=senders[1]),
            )
            deliverer = Deliverer(self.database, self.seal, lanes, health.registry)
            async with asyncio.TaskGroup() as group:
                group.create_task(deliverer.run(health, timedelta(minutes=1)))
                if listening is not None:
                    group.create_task(listen(listening, CHANNEL, deliverer.wake, health.stop))
                try:
                    yield deliverer
                finally:
                    health.stop.set()


@pytest.fixture
def hooks(database: Database, request_factory: RequestFactory) -> Hooks:
    return Hooks(database, request_factory)
