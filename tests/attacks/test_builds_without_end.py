"""A caller whose submits ask for other tags each time, so that every day is built anew."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.attacks.callers import new_owner
from tests.attacks.conftest import DAYS_BUILT
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.callers import Caller, Callers, Reply
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData

DAYS: Final = 31
FIRST: Final = "2025-03-01"
PATH: Final = f"D001/{{}}/{FIRST}/2025-03-31"
STAMP: Final = 1740823200000
TAGS: Final = tuple(f"?tags[]=nobody-{number}" for number in range(4 * DAYS_BUILT // DAYS))
USED: Final = """
SELECT sum(days_built)::integer FROM key_usage k JOIN data_exhaust_users u ON u.id = k.user_id WHERE client_name = $1
"""


async def submits_until_refused(caller: Caller, owner: str, tags: Iterator[str]) -> tuple[int, Reply | None]:
    """Submit and wait for each request, as often as there are tags; how many were built, and the refusal."""
    built = 0
    for query in tags:
        reply = await caller.submit(PATH, owner, query=query)
        if reply.status != 202:
            return built, reply
        assert (await caller.stood(str(reply.result["requestid"])))["status"] == "complete"
        built += 1
    return built, None


async def test_unique_sets_of_tags_are_built_up_to_the_quota_and_no_further(
    callers: Callers, raw: RawData, rows: Rows
) -> None:
    owner, tags = new_owner(), iter(TAGS)
    await raw.put(f"public/{owner}/{FIRST}-{STAMP}.json.gz", packed(line(owner, "one")))
    greedy, modest = await callers.new(owner), await callers.new(owner)
    built, refusal = await submits_until_refused(greedy, owner, tags)
    assert refusal is not None
    assert refusal.told == (429, "RATE_LIMITED")
    midnight = datetime.now(UTC).date() + timedelta(days=1)
    assert f"{midnight}T00:00:00Z" in refusal.json["params"]["errmsg"]
    left = datetime(midnight.year, midnight.month, midnight.day, tzinfo=UTC) - datetime.now(UTC)
    assert abs(int(refusal.headers["Retry-After"]) - left.total_seconds()) < 60
    # All that was built was counted, once; the last request that was accepted may pass the quota.
    assert await rows.value(USED, greedy.name) == built * DAYS
    assert DAYS_BUILT <= built * DAYS < DAYS_BUILT + DAYS
    # No other door leads on, and none of them writes anything.
    before = await rows.requests_of(greedy.name)
    others = await asyncio.gather(
        greedy.download(PATH, owner), *(greedy.submit(PATH, owner, query=query) for query in tags)
    )
    assert {reply.told for reply in others} == {(429, "RATE_LIMITED")}
    assert await rows.requests_of(greedy.name) == before
    # Another key is not concerned; what exists costs it nothing.
    await modest.archive_of(await modest.accepted(PATH, owner, query=TAGS[0]))
    assert await rows.value(USED, modest.name) is None
