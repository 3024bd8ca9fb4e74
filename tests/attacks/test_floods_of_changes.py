"""Floods of calls that change requests: one key gets its share, and others are answered meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.attacks.callers import ask, new_owner

if TYPE_CHECKING:
    from deploy.local.stack import Stack
    from tests.attacks.callers import Caller, Callers

CALLS: Final = 200
IN_TIME_S: Final = 5.0
DAYS: Final = "eks-consumption-raw/{}/2020-01-01/2020-01-02"


async def test_a_flood_of_retries_and_deletions_holds_up_nobody_else(callers: Callers, stack: Stack) -> None:
    requests = f"{stack.gateway}/v2/datasets/requests"

    async def ended(owner: str) -> tuple[Caller, str]:
        caller = await callers.new(owner)
        request_id = await caller.accepted(DAYS, owner)
        assert (await caller.stood(request_id))["status"] == "complete"
        return caller, request_id

    hostile, of_hostile = await ended(new_owner())
    quiet, of_quiet = await ended(new_owner())
    url, headers = f"{requests}/{of_hostile}/retry", {"X-API-Key": hostile.license_key}
    flood = [asyncio.create_task(ask(hostile.http, url, None, headers=headers)) for _ in range(CALLS)]
    start = time.monotonic()
    cancel = await ask(quiet.http, f"{requests}/status/{of_quiet}", quiet.key, method="DELETE")
    assert time.monotonic() - start < IN_TIME_S
    assert cancel.told == (409, "INVALID_DATA_ERROR")
    told = Counter(reply.told for reply in await asyncio.gather(*flood))
    assert told[429, "RATE_LIMITED"] > 0
    assert set(told) == {(409, "INVALID_DATA_ERROR"), (429, "RATE_LIMITED")}
    deletion = await ask(quiet.http, f"{requests}/{of_quiet}", quiet.key, method="DELETE")
    assert deletion.status == 200
    for query in ("", "?wait=1"):
        assert (await quiet.status(of_quiet, query)).told == (404, "INVALID_REQUESTID")
