"""Clients that submit, ask, lose answers, and ask again, as partners' programs do; everything goes into the history."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import aiohttp

from tests.attacks.callers import Reply, ask
from tests.chaos.rawdata import PARTNERS, resource_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.chaos.history import Asked, Submit
    from tests.chaos.rig import Rig

AGAIN_AFTER_S: Final = 0.3
POLL_WAIT_S: Final = 5
RETRY_WITHIN_S: Final = 30.0
MOST_AT_WORK: Final = 80  # a client that waits for its data asks for no more
_ACCEPTED, _OK, _CONFLICT, _SERVER_ERROR, _TOO_MANY = 202, 200, 409, 500, 429
_KEYED_SHARE: Final = 0.7
NO_ANSWER: Final = (aiohttp.ClientError, TimeoutError, OSError)


@dataclass(slots=True)
class Clients:
    """Registered clients, one for each partner, and what they have under way.

    Attributes:
        keys: license keys by partner.
        names: client names by partner.
        rest: while it is set, nobody asks anything new.
    """

    rig: Rig
    keys: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    working: set[asyncio.Task[None]] = field(default_factory=set)
    rest: asyncio.Event = field(default_factory=asyncio.Event)

    async def register(self) -> None:
        """Register a client for each partner, and grant it the partner's resource."""
        for partner in PARTNERS:
            name, key = await self.register_client()
            self.names[partner], self.keys[partner] = name, key
            url = f"{self.rig.internal}/v1/associate/{resource_of(partner)}"
            headers = {"Authorization": f"Bearer {self.rig.stack.service_token}"}
            reply = await ask(self.rig.http, url, {"licenseKey": key}, headers=headers)
            assert reply.status == _OK, reply

    async def register_client(self) -> tuple[str, str]:
        """Register a client, and remember its key as a secret; return its name and key."""
        name = f"client-{uuid4().hex[:12]}"
        reply = await self.call(f"{self.rig.public}/v1/client", {"clientName": name, "licenseKeyName": "main"})
        key = str(reply.result["licenseKey"])
        self.rig.history.secrets[f"license key of {name}"] = key
        return name, key

    async def call(self, url: str, request: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Reply:
        """Call an operation, and count its answer."""
        try:
            reply = await ask(self.rig.http, url, request, headers=headers)
        except NO_ANSWER:
            self.rig.history.answered(0)
            raise
        self.rig.history.answered(reply.status)
        return reply

    def begin(self, asked: Asked, *, keyed: bool | None = None, cancel_after: float | None = None) -> Submit:
        """Begin a submit, which goes on in the background until its request has ended.

        Args:
            asked: what is asked for.
            keyed: with an Idempotency-Key; by chance if None.
            cancel_after: seconds after which the client cancels what was accepted.
        """
        with_key = self.rig.random.random() < _KEYED_SHARE if keyed is None else keyed
        submit = self.rig.history.new(asked, self.names[asked.partner], keyed=with_key)
        submit.cancel_after = cancel_after
        self._in_background(self._carry_through(submit))
        return submit

    async def retry(self, submit: Submit) -> None:
        """Have an operator try a request again that has ended, and follow it to its next end."""
        command = (sys.executable, "-m", "admin.command", "retry", str(submit.request_id), "--reason", "it is repaired")
        environment = os.environ | {"EXHAUST_POSTGRES_OWNER_DSN": self.rig.stack.postgres, "LOGNAME": "chaos"}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=PIPE, stderr=STDOUT)
        told, _ = await asyncio.wait_for(process.communicate(), RETRY_WITHIN_S)
        assert process.returncode == 0, told.decode()
        submit.retried += 1
        submit.seen.clear()
        self._in_background(self._await_end(submit))

    async def submit_again(self, submit: Submit) -> Reply:
        """Send a submit that may have been sent before."""
        asked = submit.asked
        url = f"{self.rig.public}/v2/datasets/{asked.dataset}/{asked.resource}/{asked.first}/{asked.last}"
        query = "&".join(f"tags={tag}" for tag in asked.tags)
        body = {
            "licenseKey": self.keys[asked.partner],
            "partnerid": asked.partner,
            "username": submit.username,
        }
        headers = {"Idempotency-Key": submit.key} if submit.key else {}
        return await self.call(f"{url}?{query}" if query else url, body, headers)

    async def status(self, submit: Submit, wait: int = 0) -> dict[str, Any] | None:
        """Ask how a request stands; None without an answer that says so."""
        url = f"{self.rig.public}/v2/datasets/requests/status/{submit.request_id}"
        try:
            reply = await self.call(
                f"{url}?wait={wait}" if wait else url, {"licenseKey": self.keys[submit.asked.partner]}
            )
        except NO_ANSWER:
            return None
        if reply.status != _OK:
            return None
        submit.saw(reply.result)
        return reply.result

    async def finish(self, within: float) -> None:
        """Begin nothing more, and wait until all that is under way has ended, or the time is over."""
        self.rest.set()
        if self.working:
            await asyncio.wait(self.working, timeout=within)
        for task in self.working:
            task.cancel()
        outcomes = await asyncio.gather(*self.working, return_exceptions=True)
        broken = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if broken:
            raise broken[0]

    def _in_background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self.working.add(task)
        task.add_done_callback(lambda done: None if done.cancelled() or done.exception() else self._forget(done))

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.working.discard(task)

    async def _carry_through(self, submit: Submit) -> None:
        while submit.request_id is None:
            try:
                reply = await self.submit_again(submit)
            except NO_ANSWER:
                submit.unanswered += 1
            else:
                if reply.status == _ACCEPTED:
                    submit.request_id = str(reply.result["requestid"])
                    break
                if reply.status >= _SERVER_ERROR:
                    submit.unanswered += 1
                elif reply.status != _TOO_MANY:
                    submit.refused = reply.told
                    return
            if submit.key is None:
                return  # nobody sends it again: whether it counts is not known
            await asyncio.sleep(AGAIN_AFTER_S)
        if submit.cancel_after is not None:
            await asyncio.sleep(submit.cancel_after)
            await self._cancel(submit)
        await self._await_end(submit)

    async def _cancel(self, submit: Submit) -> None:
        """Cancel a request, again and again until the answer says what became of it."""
        url = f"{self.rig.public}/v2/datasets/requests/status/{submit.request_id}"
        headers = {"X-API-Key": self.keys[submit.asked.partner]}
        submit.cancel = "asked"
        while submit.cancel == "asked":
            try:
                async with self.rig.http.delete(url, headers=headers) as answer:
                    self.rig.history.answered(answer.status)
                    if answer.status in {_OK, _CONFLICT}:
                        submit.cancel = "told" if answer.status == _OK else "ended"
                        self.rig.timeline.fired[f"a cancel is {submit.cancel}"] += 1
                        return
            except NO_ANSWER:
                self.rig.history.answered(0)
            await asyncio.sleep(AGAIN_AFTER_S)

    async def _await_end(self, submit: Submit) -> None:
        while not submit.has_ended:
            if await self.status(submit, wait=POLL_WAIT_S) is None:
                await asyncio.sleep(AGAIN_AFTER_S)


@asynccontextmanager
async def load(clients: Clients, per_second: float) -> AsyncIterator[None]:
    """Submit so many requests a second while the block runs."""

    async def submit() -> None:
        due = time.monotonic()
        while not clients.rest.is_set():
            if len(clients.working) < MOST_AT_WORK:
                clients.begin(clients.rig.raw.ask(clients.rig.random))
            due += 1 / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    submitting = asyncio.create_task(submit())
    try:
        yield
    finally:
        submitting.cancel()
        await asyncio.gather(submitting, return_exceptions=True)
