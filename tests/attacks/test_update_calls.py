"""The update API in the hands of somebody who has a service token."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks.callers import Reply, ask, new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed
from tests.attacks.processes import frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from deploy.local.stack import Stack
    from tests.attacks.callers import Caller, Callers
    from tests.attacks.store import RawData, Store

DAY: Final = "2025-01-16"
PATH: Final = f"eks-consumption-raw/{{}}/{DAY}/{DAY}"
REFUSED: Final = frozenset({400, 403, 404, 409, 422})


@dataclass(frozen=True, slots=True)
class Place:
    """A partner's finished request, what lies under its prefix, and the archive of another partner."""

    caller: Caller
    owner: str
    request_id: str
    beside: list[str]
    other_archive: str

    async def shown(self) -> dict[str, Any]:
        """What the partner sees of the request, without the signature, which is new each time."""
        result = (await self.caller.status(self.request_id)).result
        return result | {"downloadurl": result.get("downloadurl", "").partition("?")[0]}


@dataclass(frozen=True, slots=True)
class Stage:
    """A place for each claim, since a claim that is believed must not spoil the next."""

    caller: Caller
    places: dict[str, Place]
    unfinished_owner: str


async def update(caller: Caller, request_id: str, status: str, downloadurl: str) -> Reply:
    """Call as one who holds the service token."""
    url = f"{caller.stack.gateway_internal}/v2/datasets/requests/update/{request_id}"
    token = {"Authorization": f"Bearer {caller.stack.service_token}"}
    return await ask(caller.http, url, {"status": status, "downloadurl": downloadurl}, headers=token)


@pytest.fixture(scope="module")
async def stage(callers: Callers, raw: RawData, store: Store, stack: Stack) -> Stage:
    owners = [new_owner() for _ in range(len(CLAIMS) + 1)]
    await raw.put(f"raw/{DAY}-1736985600000.json.gz", packed(*(line(owner, owner) for owner in owners)))
    caller = await callers.new(*owners)
    ids = await asyncio.gather(*(caller.accepted(PATH, owner) for owner in owners[:-1]))
    await asyncio.gather(*map(caller.archive_of, ids))
    exhaust = stack.s3.exhaust_bucket
    for request_id in ids:
        await store.put(exhaust, f"requests/{request_id}/attempt-1/late.zip", b"PK\x05\x06" + bytes(18))
    found = [list(await store.list(exhaust, f"requests/{request_id}/")) for request_id in ids]
    archives = [next(key for key in keys if DAY in key and key.endswith(".zip")) for keys in found]
    places = (
        Place(caller, owner, request_id, keys, other)
        for owner, request_id, keys, other in zip(owners[:-1], ids, found, archives[1:] + archives[:1], strict=True)
    )
    return Stage(caller, dict(zip(CLAIMS, places, strict=True)), owners[-1])


CLAIMS: Final[dict[str, tuple[str, Callable[[Place], str]]]] = {
    "complete-outcome-json": ("complete", lambda place: _ending(place, "outcome.json")),
    "complete-day-marker": ("complete", lambda place: _ending(place, f"{DAY}.json")),
    "complete-later-object": ("complete", lambda place: _ending(place, "late.zip")),
    "complete-url-of-later-object": (
        "complete",
        lambda place: f"https://elsewhere.example/bucket/{_ending(place, 'late.zip')}",
    ),
    "complete-anothers-archive": ("complete", lambda place: place.other_archive),
    "complete-climbing-path": ("complete", lambda place: f"requests/{place.request_id}/../{place.other_archive}"),
    "complete-encoded-climbing-path": (
        "complete",
        lambda place: f"s3://x/requests/{place.request_id}/%2e%2e/%2e%2e/{place.other_archive}",
    ),
    "complete-missing-object": ("complete", lambda place: f"requests/{place.request_id}/attempt-1/none.zip"),
    "failed": ("failed", lambda _: ""),
    "inprogress": ("inprogress", lambda _: ""),
}


def _ending(place: Place, ending: str) -> str:
    return next(key for key in place.beside if key.endswith(ending))


@pytest.mark.parametrize("name", CLAIMS)
async def test_an_update_of_a_finished_request_changes_nothing(stage: Stage, name: str) -> None:
    place, (status, claimed) = stage.places[name], CLAIMS[name]
    before = await place.shown()
    reply = await update(stage.caller, place.request_id, status, claimed(place))
    assert reply.status == 200 or reply.status in REFUSED, reply
    assert await place.shown() == before
    assert opened(await stage.caller.archive_of(place.request_id)).mids == [place.owner]


async def test_an_update_of_an_open_request_with_what_is_not_its_archive_is_refused(stage: Stage) -> None:
    owner, other = stage.unfinished_owner, stage.places["failed"].other_archive
    with frozen("aggregator"):
        request_id = await stage.caller.accepted(PATH, owner)
        prefix = f"requests/{request_id}"
        claims = [other, f"{prefix}/attempt-1/none.zip", f"{prefix}/../{other}", "raw/x"]
        replies = [await update(stage.caller, request_id, "complete", claim) for claim in claims]
        stands = (await stage.caller.status(request_id)).result["status"]
    assert [reply.status in REFUSED for reply in replies] == [True] * len(claims), replies
    assert stands == "inprogress"
    assert opened(await stage.caller.archive_of(request_id)).mids == [owner]
