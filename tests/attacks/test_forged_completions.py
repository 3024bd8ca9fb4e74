"""Events on dataset.completions that are not true, before, between and after the true ones.

The status service rests while requests are made and built. What the aggregator told meanwhile is passed over, and told
again in the order that a case wants, with the forged event in its place.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.events import TOPIC_COMPLETIONS
from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.forgeries import FORGERIES, Forgery, Target
from tests.attacks.lines import line, packed
from tests.attacks.processes import LOGS, stopped
from tests.attacks.topics import CODE, MARK, kafka_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.stack import Stack
    from tests.attacks.callers import Caller, Callers
    from tests.attacks.store import RawData, Store
    from tests.attacks.topics import Seen, Topics

DAY: Final = "2025-01-15"
PATH: Final = f"eks-consumption-raw/{{}}/{DAY}/{DAY}"
BROKEN_PATH: Final = f"D001/{{}}/{DAY}/{DAY}"
GROUP: Final = "status"  # of consumers of dataset.completions
PLACES: Final = ("before", "between", "after")
# Forged ends that must not win over a true failure either.
AGAINST_FAILURE: Final = ("complete-missing-object", "complete-anothers-archive", "failed-attempt-500")
BY_NAME: Final = {forgery.name: forgery for forgery in FORGERIES}
ENDED: Final = frozenset({"complete", "failed"})
BUILT_WITHIN_S: Final = 60.0
ALL_ENDED_WITHIN_S: Final = 30.0
LETTERS_WITHIN_S: Final = 15.0


@dataclass(slots=True)
class Case:
    """One request, one forged event, one place for it among the true ones."""

    forgery: Forgery
    place: str
    fails: bool
    owner: str = field(default_factory=new_owner)
    request_id: str = ""
    true: list[Seen] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        return f"{self.forgery.name}/{self.place}/{self.fails}"

    @property
    def end(self) -> dict[str, Any]:
        """The data of the true end."""
        data: dict[str, Any] = json.loads(self.true[-1].value)
        return data

    @property
    def archive(self) -> dict[str, Any]:
        archive: dict[str, Any] = self.end["archive"]
        return archive


@dataclass(frozen=True, slots=True)
class Stage:
    """All cases, played at once."""

    caller: Caller
    cases: dict[tuple[str, str, bool], Case]

    def play(self, name: str, place: str, *, fails: bool = False) -> Case:
        return self.cases[name, place, fails]


@pytest.fixture(scope="module")
async def stage(callers: Callers, raw: RawData, store: Store, stack: Stack, topics: Topics) -> Stage:
    cases = [Case(forgery, place, fails=False) for forgery in FORGERIES for place in PLACES]
    cases += [Case(BY_NAME[name], place, fails=True) for name in AGAINST_FAILURE for place in PLACES]
    await raw.put(f"raw/{DAY}-1736899200000.json.gz", packed(*(line(case.owner, case.owner) for case in cases)))
    torn = packed(*(line("anybody", str(number)) for number in range(50)))[:-20]
    failing = [case for case in cases if case.fails]
    await asyncio.gather(*(raw.put(f"public/{case.owner}/{DAY}-1736899200000.json.gz", torn) for case in failing))
    caller = await callers.new(*(case.owner for case in cases))
    async with stopped("status"):
        await build(caller, topics, cases)
        await pass_over(stack, topics)
        await tell(store, stack.s3.exhaust_bucket, topics, cases)
    await look(caller, cases)
    wanted = [case for case in cases if case.forgery.codes]
    await topics.until(lambda: all(topics.letters(case.mark) for case in wanted), LETTERS_WITHIN_S)
    return Stage(caller, {(case.forgery.name, case.place, case.fails): case for case in cases})


async def build(caller: Caller, topics: Topics, cases: Sequence[Case]) -> None:
    """Submit every case's request, and wait until the aggregator has told the end of each."""
    for some in _batches(cases):
        paths = (BROKEN_PATH if case.fails else PATH for case in some)
        found = await asyncio.gather(
            *(caller.accepted(path, case.owner) for path, case in zip(paths, some, strict=True))
        )
        for case, request_id in zip(some, found, strict=True):
            case.request_id = request_id
    assert await topics.until(lambda: all(_has_ended(topics, case) for case in cases), BUILT_WITHIN_S)
    for case in cases:
        case.true = topics.of(TOPIC_COMPLETIONS, case.request_id)
        assert case.end["status"] == ("failed" if case.fails else "complete"), case.end


def _batches(cases: Sequence[Case]) -> list[Sequence[Case]]:
    return [cases[start : start + 16] for start in range(0, len(cases), 16)]


def _has_ended(topics: Topics, case: Case) -> bool:
    told = topics.of(TOPIC_COMPLETIONS, case.request_id)
    return any(json.loads(seen.value)["status"] in ENDED for seen in told)


async def pass_over(stack: Stack, topics: Topics) -> None:
    """Commit, for the group that rests, all that lies on the topic."""
    consumer = AIOKafkaConsumer(**kafka_options(stack), group_id=GROUP, enable_auto_commit=False)
    await consumer.start()
    numbers = await topics.producer.partitions_for(TOPIC_COMPLETIONS)
    partitions = [TopicPartition(TOPIC_COMPLETIONS, number) for number in numbers]
    consumer.assign(partitions)
    await consumer.commit(await consumer.end_offsets(partitions))
    await consumer.stop()


async def tell(store: Store, bucket: str, topics: Topics, cases: Sequence[Case]) -> None:
    """Publish the true events of each case again, and its forged one in its place."""
    sound = [case for case in cases if not case.fails]
    for case in cases:
        # Another request's: never the case's own.
        other = sound[0] if sound[0] is not case else sound[1]
        target = await _target(store, bucket, case, other)
        records = [(seen.value, seen.headers) for seen in case.true]
        place = {"before": 0, "between": len(records) - 1, "after": len(records)}[case.place]
        headers = [*case.forgery.headers(target), (MARK, case.mark.encode())]
        for value, framed in [*records[:place], (case.forgery.value(target), headers), *records[place:]]:
            await topics.publish(TOPIC_COMPLETIONS, case.request_id, value, framed)
    await topics.flush()


async def _target(store: Store, bucket: str, case: Case, other: Case) -> Target:
    if case.fails:  # it has no archive, so a forged one is told as another's would be, at its own place
        prefix = f"requests/{case.request_id}/attempt-1/"
        archive = {**other.archive, "key": f"{prefix}D001_{DAY}_{DAY}.zip"}
        completed = {"requestid": case.request_id, "attempt": 1, "status": "complete", "archive": archive}
        return Target(case.request_id, DAY, completed, {}, other.archive)
    beside = await store.list(bucket, f"requests/{case.request_id}/")
    beside.pop(case.archive["key"])
    return Target(case.request_id, DAY, case.end, beside, other.archive)


async def look(caller: Caller, cases: Sequence[Case]) -> None:
    """Wait for the end of each request, all within one time."""
    deadline = time.monotonic() + ALL_ENDED_WITHIN_S
    for case in cases:
        case.result = await caller.stood(case.request_id, max(0.0, deadline - time.monotonic()))


every_place = pytest.mark.parametrize("place", PLACES)


@every_place
@pytest.mark.parametrize("name", BY_NAME)
async def test_the_true_end_wins_over_a_forged_event(stage: Stage, name: str, place: str) -> None:
    case = stage.play(name, place)
    assert (case.result["status"], case.result.get("size")) == ("complete", case.archive["size"])
    download = await stage.caller.archive_of(case.request_id)
    assert len(download) == case.archive["size"]
    assert opened(download).mids == [case.owner]


@every_place
@pytest.mark.parametrize("name", AGAINST_FAILURE)
def test_a_true_failure_wins_over_a_forged_event(stage: Stage, name: str, place: str) -> None:
    result = stage.play(name, place, fails=True).result
    assert (result["status"], "downloadurl" in result) == ("failed", False)


@every_place
@pytest.mark.parametrize("name", [name for name, forgery in BY_NAME.items() if forgery.codes])
def test_a_forged_event_becomes_a_dead_letter_with_a_code(stage: Stage, topics: Topics, name: str, place: str) -> None:
    case = stage.play(name, place)
    letters = topics.letters(case.mark)
    assert letters, "no dead letter"
    assert {letter.header(CODE) for letter in letters} <= case.forgery.codes
    assert letters[0].value == next(
        seen.value for seen in topics.of(TOPIC_COMPLETIONS, case.request_id) if seen.header(MARK) == case.mark
    )


def test_the_log_names_the_code_and_the_place_of_what_was_refused(stage: Stage) -> None:
    assert stage.cases
    entries = [json.loads(text) for text in (LOGS / "status.log").read_text().splitlines() if text.startswith("{")]
    refused = [entry for entry in entries if entry.get("event") == "kafka.dead_letter"]
    expected = {next(iter(forgery.codes)) for forgery in FORGERIES if len(forgery.codes) == 1}
    assert expected - {entry.get("code") for entry in refused} == set()
    assert any("/archive/size" in json.dumps(entry) for entry in refused if entry.get("code") == "SCHEMA")


async def test_the_metrics_count_what_was_refused_by_its_code(stage: Stage, stack: Stack) -> None:
    async with stage.caller.http.get(f"{stack.status_internal}/metrics") as answer:
        text = await answer.text()
    for code in ("ARCHIVE_MISSING", "ATTEMPT_UNKNOWN", "NOT_YOURS"):
        assert any(f'"{code}"' in counted and not counted.endswith(" 0.0") for counted in text.splitlines()), code
