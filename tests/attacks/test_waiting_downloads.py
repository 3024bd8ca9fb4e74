"""Downloads that wait: authority is checked when the answer leaves, and a partner is one, however it is named."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks.callers import KEY_NAME, Caller, Reply, ask, new_owner, resource_of
from tests.attacks.conftest import OPEN_REQUESTS
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed
from tests.attacks.processes import frozen, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from tests.attacks.callers import Callers
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData

DATASET: Final = "eks-consumption-raw"
DAY: Final = "2025-01-24"
DAYS: Final = tuple(f"2025-06-{number:02}" for number in range(1, 29))
PATH: Final = f"{DATASET}/{{}}/{DAY}/{DAY}"
LOGIN, ACCESS = (401, "LOGIN_FAILED"), (403, "AUTHORIZATION_FAILED")
COUNT: Final = "SELECT count(*) FROM requests WHERE resource = $1"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits for data, and may lose the right to it meanwhile."""

    caller: Caller
    owner: str

    @property
    def url(self) -> str:
        return f"{DATASET}/{resource_of(self.owner)}/{DAY}/{DAY}"

    async def admin(self, operation: str, **change: object) -> None:
        stack = self.caller.stack
        named = {"clientName": self.caller.name, "licenseKeyName": KEY_NAME} | change
        token = {"Authorization": f"Bearer {stack.service_token}"}
        reply = await ask(self.caller.http, f"{stack.gateway_internal}/v1/admin/{operation}", named, headers=token)
        assert reply.status == 200, reply


async def by_post(who: Waiting) -> Reply:
    return await who.caller.download(PATH, who.owner)


async def by_get(who: Waiting) -> Reply:
    headers = {"X-API-Key": who.caller.license_key}
    url = f"{who.caller.stack.gateway}/v1/datasets/{who.url}"
    return await ask(who.caller.http, url, None, headers=headers, method="GET")


async def by_channel(who: Waiting) -> Reply:
    headers = {"X-API-Key": who.caller.license_key, "X-Channel-ID": who.owner}
    url = f"{who.caller.stack.gateway}/data/v3/datasets/{who.url}"
    return await ask(who.caller.http, url, None, headers=headers, method="GET")


async def by_long_poll(who: Waiting) -> Reply:
    request_id = await who.caller.accepted(PATH, who.owner)
    return await who.caller.status(request_id, "?wait=30")


async def revoke(who: Waiting, _rows: Rows) -> None:
    await who.admin("keys/revoke")


async def remove(who: Waiting, _rows: Rows) -> None:
    await who.admin("grants/remove", resourceId=resource_of(who.owner))


async def expire(who: Waiting, rows: Rows) -> None:
    query = "UPDATE data_exhaust_users_resources SET expires_at = now() WHERE resource = $1"
    await rows.pool.execute(query, resource_of(who.owner))


async def leave(_who: Waiting, _rows: Rows) -> None:
    """Withdraw nothing."""


WAYS: Final[dict[str, Callable[[Waiting], Coroutine[Any, Any, Reply]]]] = {
    "v1-post": by_post,
    "v1-get": by_get,
    "v3-channel": by_channel,
    "v2-long-poll": by_long_poll,
}
WITHDRAWALS: Final[dict[str, tuple[Callable[[Waiting, Rows], Awaitable[None]], tuple[int, str]]]] = {
    "key-revoked": (revoke, LOGIN),
    "grant-removed": (remove, ACCESS),
    "grant-expired": (expire, ACCESS),
    "nothing-withdrawn": (leave, (200, "")),
}


@pytest.fixture(scope="module")
async def answers(callers: Callers, raw: RawData, rows: Rows) -> dict[tuple[str, str], Reply]:
    """What each was answered who waited in some way while something was withdrawn."""
    kinds = [(way, withdrawal) for way in WAYS for withdrawal in WITHDRAWALS]
    owners = [new_owner() for _ in kinds]
    await raw.put(f"raw/{DAY}-1737676800000.json.gz", packed(*(line(owner, owner) for owner in owners)))
    waiting = [Waiting(await callers.new(owner), owner) for owner in owners]
    with frozen("aggregator"):
        asking = [asyncio.create_task(WAYS[way](who)) for (way, _), who in zip(kinds, waiting, strict=True)]
        for who in waiting:
            await rows.newest_of(resource_of(who.owner), DATASET)
        for (_, withdrawal), who in zip(kinds, waiting, strict=True):
            await WITHDRAWALS[withdrawal][0](who, rows)
    return dict(zip(kinds, await asyncio.gather(*asking), strict=True))


@pytest.mark.parametrize("withdrawal", WITHDRAWALS)
@pytest.mark.parametrize("way", WAYS)
def test_who_lost_the_right_while_waiting_gets_nothing(
    answers: dict[tuple[str, str], Reply], way: str, withdrawal: str
) -> None:
    reply, (status, code) = answers[way, withdrawal], WITHDRAWALS[withdrawal][1]
    assert reply.told == (status, code)
    if status != 200:
        assert b"PK" not in reply.body
        assert b"downloadurl" not in reply.body


async def test_a_submit_that_is_like_a_waiting_download_can_be_read_by_its_caller(callers: Callers, rows: Rows) -> None:
    owner, path = new_owner("partner"), f"{DATASET}/{{}}/{DAYS[0]}/{DAYS[0]}"
    caller = await callers.new(owner)
    with frozen("aggregator"):
        holding = asyncio.create_task(caller.download(path, owner))  # it does not say whose resource it is
        await rows.newest_of(resource_of(owner), DATASET)
        request_id = await caller.accepted(path, owner)
        read, listed = await caller.status(request_id), await caller.page(owner)
    held = await holding
    assert (read.told, listed.told, held.status) == ((200, ""), (200, ""), 200)
    assert request_id in {entry["requestid"] for entry in listed.result["requests"]}
    assert opened(await caller.archive_of(request_id)).mids == []


async def test_a_partner_and_its_hash_share_one_limit_of_open_requests(callers: Callers, rows: Rows) -> None:
    owner = new_owner("partner")
    caller, half = await callers.new(owner), OPEN_REQUESTS // 2
    refused: list[tuple[int, str]] = []
    holding: list[asyncio.Task[Any]] = []
    with frozen("aggregator"):
        paths = [f"{DATASET}/{{}}/{day}/{day}" for day in DAYS[1 : 1 + half]]
        holding += [asyncio.create_task(caller.download(path, owner)) for path in paths]
        await until(lambda: _are(rows, owner, half), within=10)
        for day in DAYS[1 + half : 1 + 2 * half]:
            await caller.accepted(f"{DATASET}/{{}}/{day}/{day}", owner)
        path = f"{DATASET}/{{}}/{DAYS[-1]}/{DAYS[-1]}"
        refused.append((await caller.submit(path, owner)).told)
        holding.append(asyncio.create_task(caller.download(path, owner)))
        await asyncio.wait({holding[-1]}, timeout=2)
    replies = await asyncio.gather(*holding)
    refused.append(replies.pop().told)
    assert refused == [(429, "RATE_LIMITED")] * 2
    assert [reply.status for reply in replies] == [200] * half


async def _are(rows: Rows, owner: str, number: int) -> bool:
    return bool(await rows.value(COUNT, resource_of(owner)) == number)
