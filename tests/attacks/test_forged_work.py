"""Records on dataset.requests and dataset.days that the gateway and the planner never sent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest

from schemas.events import (
    TOPIC_COMPLETIONS,
    TOPIC_DAYS,
    TOPIC_REQUESTS,
    TYPE_DAY_REQUESTED,
    TYPE_REQUESTED,
)
from tests.attacks.callers import new_owner, resource_of
from tests.attacks.downloads import opened
from tests.attacks.forgeries import CODES, frame
from tests.attacks.lines import line, packed
from tests.attacks.processes import frozen
from tests.attacks.topics import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.callers import Caller, Callers
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData
    from tests.attacks.topics import Topics

DATASET: Final = "eks-consumption-raw"
DAY: Final = "2025-01-17"
BROKEN_DAY: Final = "2025-01-18"
PATH: Final = f"{DATASET}/{{}}/{DAY}/{DAY}"
TYPES: Final = {TOPIC_REQUESTS: TYPE_REQUESTED, TOPIC_DAYS: TYPE_DAY_REQUESTED}
QUICK_S: Final = 6.0
# What a forged record of work says in place of the truth about an honest request.
LIES: Final[dict[str, Mapping[str, object]]] = {
    "resource": {"resourceid": "VICTIM"},
    "resource-and-owner": {"resourceid": "VICTIM", "owner": "VICTIM"},
    "no-tags": {"tags": []},
    "another-dataset": {"datasetid": "eks-consumption-metrics"},
    "unknown-dataset": {"datasetid": "no-such-dataset"},
    "broken-day": {"fromdate": DAY, "todate": BROKEN_DAY, "day": BROKEN_DAY},
    "owner-nobody": {"owner": "nobody"},
}


@dataclass(slots=True)
class Case:
    """An honest request that somebody publishes other work for."""

    topic: str
    lie: str
    owner: str = field(default_factory=new_owner)
    request_id: str = ""

    @property
    def mark(self) -> str:
        return f"{self.topic}/{self.lie}"

    def work(self, victim: str) -> dict[str, object]:
        named = {"resourceid": resource_of(victim), "owner": victim}
        lie = {name: named[name] if value == "VICTIM" else value for name, value in LIES[self.lie].items()}
        return work_of(self.request_id, self.owner, day=DAY, tags=["mine"]) | lie


@dataclass(frozen=True, slots=True)
class Stage:
    caller: Caller
    victim: str
    cases: dict[tuple[str, str], Case]


def work_of(request_id: str, owner: str, *, day: str, tags: list[str] | None = None) -> dict[str, object]:
    """The true work of a request of one day."""
    named = {"requestid": request_id, "attempt": 1, "datasetid": DATASET, "resourceid": resource_of(owner)}
    return {**named, "owner": owner, "fromdate": day, "todate": day, "tags": tags or [], "day": day}


async def send(topics: Topics, topic: str, mark: str, work: Mapping[str, object]) -> None:
    """Publish work as its rightful sender would frame it."""
    data = {name: value for name, value in work.items() if name != "day" or topic == TOPIC_DAYS}
    headers = frame(TYPES[topic], f"{work['requestid']}/1/{uuid4()}")
    await topics.publish(topic, mark, json.dumps(data).encode(), [*headers, (MARK, mark.encode())])


@pytest.fixture(scope="module")
async def stage(callers: Callers, raw: RawData, topics: Topics, rows: Rows) -> Stage:
    victim = new_owner()
    cases = [Case(topic, lie) for topic in (TOPIC_DAYS, TOPIC_REQUESTS) for lie in LIES]
    lines = [line(victim, "VICTIM", tags=["mine"]), line(victim, "VICTIM")]
    for case in cases:
        lines += [line(case.owner, case.owner, tags=["mine"]), line(case.owner, "not asked for")]
    await raw.put(f"raw/{DAY}-1737072000000.json.gz", packed(*lines))
    await raw.put(f"raw/{BROKEN_DAY}-1737158400000.json.gz", packed(*lines)[:-9])
    caller = await callers.new(*(case.owner for case in cases))
    with frozen("aggregator"):
        query = "?tags[]=mine"
        found = await asyncio.gather(*(caller.accepted(PATH, case.owner, query=query) for case in cases))
        for case, request_id in zip(cases, found, strict=True):
            case.request_id = request_id
            await send(topics, case.topic, case.mark, case.work(victim))
        await topics.flush()
    # Whoever is robbed of this attempt may have another: the reaper gives it.
    stood = await asyncio.gather(*(caller.stood(case.request_id, QUICK_S) for case in cases))
    for case, result in zip(cases, stood, strict=True):
        if result["status"] == "inprogress":
            await rows.look_abandoned(case.request_id)
    return Stage(caller, victim, {(case.topic, case.lie): case for case in cases})


every_lie = pytest.mark.parametrize("lie", LIES)
both_topics = pytest.mark.parametrize("topic", [TOPIC_DAYS, TOPIC_REQUESTS])


@both_topics
@every_lie
async def test_forged_work_gives_a_requester_nothing_but_its_own(stage: Stage, topic: str, lie: str) -> None:
    case = stage.cases[topic, lie]
    download = opened(await stage.caller.archive_of(case.request_id, 20))
    assert download.mids == [case.owner]
    asked = {"datasetid": DATASET, "resourceid": resource_of(case.owner), "fromdate": DAY, "todate": DAY}
    assert {name: download.manifest["request"][name] for name in asked} == asked
    assert download.manifest["request"]["tags"] == ["mine"]


@pytest.mark.parametrize("topic", [TOPIC_DAYS, TOPIC_REQUESTS])
async def test_work_for_an_owner_who_is_nobody_leaves_no_empty_day_for_others(
    callers: Callers, raw: RawData, topics: Topics, topic: str
) -> None:
    owner, day = new_owner(), {TOPIC_DAYS: "2025-01-19", TOPIC_REQUESTS: "2025-01-20"}[topic]
    await raw.put(f"raw/{day}-1737244800000.json.gz", packed(line(owner, "honest")))
    caller, mark, invented = await callers.new(owner), f"nobody/{topic}", str(uuid4())
    await send(topics, topic, mark, work_of(invented, owner, day=day) | {"owner": "nobody"})
    # Either it is refused, or somebody has worked on it.
    assert await topics.until(lambda: bool(topics.letters(mark) or _ended(topics, invented)), 20)
    request_id = await caller.accepted(f"{DATASET}/{{}}/{day}/{day}", owner)
    assert opened(await caller.archive_of(request_id)).mids == ["honest"]
    assert await topics.code(mark) in CODES


def _ended(topics: Topics, request_id: str) -> bool:
    told: list[dict[str, Any]] = [json.loads(seen.value) for seen in topics.of(TOPIC_COMPLETIONS, request_id)]
    return any(data["status"] != "inprogress" for data in told)


WRONG: Final[dict[str, tuple[str, Mapping[str, object]]]] = {
    "day-outside-the-range": (TOPIC_DAYS, {"day": "2025-02-01"}),
    "range-of-32-days": (TOPIC_DAYS, {"fromdate": "2025-01-01", "todate": "2025-02-01"}),
    "request-of-32-days": (TOPIC_REQUESTS, {"fromdate": "2025-01-01", "todate": "2025-02-01"}),
    "range-that-runs-backwards": (TOPIC_REQUESTS, {"fromdate": "2025-02-01", "todate": "2025-01-01"}),
    "day-of-year-1": (TOPIC_DAYS, {"fromdate": "0001-01-01", "todate": "0001-01-01", "day": "0001-01-01"}),
    "resource-that-climbs": (TOPIC_DAYS, {"resourceid": "../../requests"}),
    "attempt-0": (TOPIC_REQUESTS, {"attempt": 0}),
    "owner-that-is-not-the-resource": (TOPIC_DAYS, {"owner": "nobody"}),
}


@pytest.mark.parametrize("name", WRONG)
async def test_work_that_nobody_may_ask_for_becomes_a_dead_letter_with_a_code(topics: Topics, name: str) -> None:
    topic, wrong = WRONG[name]
    work = work_of(str(uuid4()), new_owner(), day=DAY) | dict(wrong)
    await send(topics, topic, f"wrong/{name}", work)
    assert await topics.code(f"wrong/{name}", 10) in CODES
    assert topics.of(TOPIC_COMPLETIONS, str(work["requestid"])) == []
