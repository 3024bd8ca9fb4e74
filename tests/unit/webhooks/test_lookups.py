"""A server of names that does not answer holds one thread for each host, and nobody else."""

import asyncio
import threading
from collections import Counter

import pytest

from exhaust.webhooks.resolver import open_lookup


async def test_many_who_look_for_one_host_hold_one_thread() -> None:
    answer, asked = threading.Event(), Counter[str]()

    def find(host: str) -> list[str]:
        asked[host] += 1
        if host == "dead.example.org":
            answer.wait(10)
            raise OSError(host)
        return ["8.8.8.8"]

    with open_lookup(2, find) as lookup:
        dead = [asyncio.ensure_future(lookup("dead.example.org")) for _ in range(8)]
        await asyncio.sleep(0)
        dead[0].cancel()
        assert await asyncio.wait_for(lookup("receiver.example.org"), 5) == ["8.8.8.8"]
        answer.set()
        ends = await asyncio.gather(*dead, return_exceptions=True)
        assert [type(end) for end in ends] == [asyncio.CancelledError] + [OSError] * 7
        assert asked == {"dead.example.org": 1, "receiver.example.org": 1}
        with pytest.raises(OSError, match="dead"):
            await lookup("dead.example.org")
    assert asked["dead.example.org"] == 2


async def test_names_are_looked_up_as_this_machine_does() -> None:
    with open_lookup(1) as lookup:
        assert set(await lookup("localhost")) <= {"127.0.0.1", "::1"}
        assert await lookup("8.8.8.8") == ["8.8.8.8"]
