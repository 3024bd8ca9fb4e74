"""No text that another service wrote reaches a partner; what the partner reads is our sentence for the code."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from schemas.events import TOPIC_COMPLETIONS, TYPE_FAILED
from tests.attacks.callers import Reply, new_owner, resource_of
from tests.attacks.forgeries import frame
from tests.attacks.lines import line, packed
from tests.attacks.processes import Log, frozen

if TYPE_CHECKING:
    from tests.attacks.callers import Caller, Callers
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData
    from tests.attacks.topics import Topics

DAY: Final = "2025-01-21"
DATASET: Final = "eks-consumption-raw"
PATH: Final = f"{DATASET}/{{}}/{DAY}/{DAY}"
CANARY: Final = "CANARY-7f3a"
UNREADABLE: Final = "SOURCE_OBJECT_UNREADABLE"
TOLD: Final = {
    "code": UNREADABLE,
    "message": f"<script>{CANARY}</script> pay to {CANARY}",
    "object": f"raw/{CANARY}-of-a-rival.json.gz",
    "day": DAY,
}
ODD_CODE: Final = TOLD | {"code": f"{CANARY}_CODE"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a partner reads of a failed request, wherever it is shown."""

    status: dict[str, Any]
    entry: dict[str, Any]
    held: Reply

    @property
    def text(self) -> str:
        return json.dumps([self.status, self.entry, self.held.body.decode()])


async def failed_elsewhere(caller: Caller, topics: Topics, rows: Rows, owner: str, error: dict[str, str]) -> Told:
    """What is shown of a request that another service reports as failed, in its own words."""
    with frozen("aggregator"):
        holding = asyncio.create_task(caller.download(PATH, owner, partnerid=owner))
        request_id = await rows.newest_of(resource_of(owner), DATASET)
        data = {"requestid": request_id, "attempt": 1, "status": "failed", "error": error}
        headers = frame(TYPE_FAILED, f"{request_id}/1/failed/{DAY}")
        await topics.publish(TOPIC_COMPLETIONS, request_id, json.dumps(data).encode(), headers)
        await topics.flush()
        status = await caller.stood(request_id, 8)
        held = await asyncio.wait_for(holding, 10)
        entry, *_ = (await caller.page(owner)).result["requests"]
    return Told(status, entry, held)


@pytest.fixture(scope="module")
async def caller_and_owners(callers: Callers, raw: RawData) -> tuple[Caller, list[str]]:
    owners = [new_owner() for _ in range(4)]
    torn = packed(*(line(owners[3], str(number)) for number in range(200)))[:-20]
    await raw.put(f"public/{owners[2]}/{DAY}-1737417600000-{CANARY}.json.gz", torn)
    wrong = bytearray(packed(line(owners[3])))
    wrong[-6] ^= 0xFF  # the checksum
    await raw.put(f"public/{owners[3]}/{DAY}-1737417600000-{CANARY}.json.gz", bytes(wrong))
    return await callers.new(*owners), owners


@pytest.mark.parametrize("error", [TOLD, ODD_CODE], ids=["known-code", "odd-code"])
async def test_the_words_of_a_failed_event_reach_no_partner(
    caller_and_owners: tuple[Caller, list[str]], topics: Topics, rows: Rows, error: dict[str, str]
) -> None:
    caller, owners = caller_and_owners
    told = await failed_elsewhere(caller, topics, rows, owners[error is ODD_CODE], error)
    assert told.status["status"] == "failed"
    assert CANARY not in told.text
    assert told.held.status >= 500
    assert told.status["error"]["message"]


@pytest.mark.parametrize("number", [2, 3], ids=["cut-short", "wrong-checksum"])
async def test_an_object_that_cannot_be_read_is_told_in_our_words_and_named_to_operators(
    caller_and_owners: tuple[Caller, list[str]], topics: Topics, rows: Rows, number: int
) -> None:
    caller, owners = caller_and_owners
    log, path = Log("aggregator"), f"D001/{{}}/{DAY}/{DAY}"
    status = await caller.stood(await caller.accepted(path, owners[number]))
    assert (status["status"], status["error"]["code"]) == ("failed", UNREADABLE)
    assert CANARY not in json.dumps(status), "the object's name"
    for word in ("zlib", "gzip", "Error -", "incorrect", "checksum", "CRC", "stream", "Traceback", "public/"):
        assert word not in status["error"]["message"], word
    assert any(CANARY in json.dumps(entry) for entry in log.entries if entry.get("event") == "day.failed")
    # One sentence for one code, whoever reports it.
    forged = await failed_elsewhere(caller, topics, rows, owners[number], TOLD)
    assert forged.status["error"]["message"] == status["error"]["message"]
