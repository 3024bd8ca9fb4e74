"""Rows that no request of ours would write: whatever reads them goes on with the next one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from deploy.local.stack import read_stack
from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed
from tests.attacks.processes import FOLDER, SERVICES, Log, start_again, unready, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.attacks.callers import Caller, Callers
    from tests.attacks.rows import Rows
    from tests.attacks.store import RawData

DAY: Final = "2025-01-23"
PATH: Final = f"D001/{{}}/{DAY}/{DAY}"
OLD: Final = "2020-01-01T00:00:00Z"
HONEST_WITHIN_S: Final = 12.0
# By column, what is different from an honest request.
POISONS: Final[dict[str, Mapping[str, object]]] = {
    "from-minus-infinity": {"from_date": "-infinity"},
    "to-infinity": {"to_date": "infinity"},
    "both-infinite": {"from_date": "-infinity", "to_date": "infinity"},
    "year-1-bc": {"from_date": "0001-01-01 BC", "to_date": "0001-01-01 BC"},
    "year-5-million": {"from_date": "5874897-12-31", "to_date": "5874897-12-31"},
    "range-of-60-days": {"from_date": "2025-01-01", "to_date": "2025-03-01"},
    "range-that-runs-backwards": {"from_date": "2025-01-24", "to_date": "2025-01-23"},
    "tag-null": {"tags": [None]},
    "tags-500": {"tags": [str(number) for number in range(500)]},
    "tag-empty": {"tags": [""]},
    "dataset-unknown": {"dataset_id": "no-such-dataset"},
    "dataset-that-climbs": {"dataset_id": "../../requests"},
    "resource-that-climbs": {"resource": "../../requests"},
    "resource-of-1000": {"resource": "x" * 1000},
    "partner-of-1000": {"partner_id": "x" * 1000},
    "username-of-2-mib": {"username": "x" * 2**21},
    "partner-empty": {"partner_id": ""},
    "attempt-0": {"attempt": 0},
    "attempt-minus-1": {"attempt": -1},
    "attempt-1001": {"attempt": 1001},
    "attempt-greatest": {"attempt": 2**31 - 1},
    "traceparent-odd": {"traceparent": "\r\nx-evil: 1" * 1000},
    "traceparent-of-2-mib": {"traceparent": "x" * 2**21},
    "created-infinity": {"created_at": "infinity"},
    "created-minus-infinity": {"created_at": "-infinity"},
}
OUTCOMES: Final[dict[str, object]] = {
    "outcome-text": "text",
    "outcome-list": [1, 2],
    "outcome-number": 5,
    "outcome-key-number": {"key": 5, "size": "x"},
    "outcome-missing": None,
    "outcome-deep": json.loads("[" * 400 + "]" * 400),
}


@dataclass(frozen=True, slots=True)
class Honest:
    """A caller with a finished request, which poisons are made from, and with the right to make others."""

    caller: Caller
    finished: str
    later: str
    written: list[str]

    async def goes_on(self, pids: Mapping[str, int]) -> None:
        """An honest request completes, every service is ready, and none had to be started again."""
        request_id = await self.caller.accepted(PATH, self.later)
        assert opened(await self.caller.archive_of(request_id, HONEST_WITHIN_S)).mids == ["later"]
        assert await unready(self.caller.http) == []
        assert pids_now() == pids


@pytest.fixture(scope="module")
async def prepared(callers: Callers, raw: RawData) -> Honest:
    owner, later = new_owner(), new_owner()
    await raw.put(f"public/{owner}/{DAY}-1737590400000.json.gz", packed(line(owner, "honest")))
    await raw.put(f"public/{later}/{DAY}-1737590400000.json.gz", packed(line(later, "later")))
    caller = await callers.new(owner, later)
    finished = await caller.accepted(PATH, owner)
    await caller.archive_of(finished)
    return Honest(caller, finished, later, [])


@pytest.fixture
async def honest(prepared: Honest, rows: Rows) -> AsyncIterator[Honest]:
    """The same, and what a test writes is gone after it."""
    yield prepared
    await rows.forget(prepared.written)
    prepared.written.clear()
    if await unready(prepared.caller.http):
        await start_again()


def pids_now() -> dict[str, int]:
    return {name: read_stack(FOLDER).processes[name] for name in SERVICES}


@pytest.mark.parametrize("name", POISONS)
async def test_a_poisoned_row_that_waits_for_its_release_stops_nobody(honest: Honest, rows: Rows, name: str) -> None:
    pids, logs = pids_now(), [Log(service) for service in SERVICES]
    change = {"state": "submitted", "ended_at": None, "outcome": None} | dict(POISONS[name])
    poisoned = await rows.copy(honest.finished, change, waits=True)
    honest.written.extend([poisoned] if poisoned else [])
    await honest.goes_on(pids)
    if poisoned and name not in RELEASED:
        # Set aside, and operators can see which.
        await until(lambda: any(_tells_of(entry, poisoned) for log in logs for entry in log.entries), within=5)


# What can be released like any other: whoever builds it says what is wrong.
RELEASED: Final = frozenset(
    {
        *("tag-empty", "tags-500", "dataset-unknown", "partner-empty", "partner-of-1000", "username-of-2-mib"),
        *("created-infinity", "created-minus-infinity", "traceparent-odd", "resource-of-1000"),
        "traceparent-of-2-mib",
    }
)


def _tells_of(entry: Mapping[str, object], request_id: str) -> bool:
    return entry["level"] in {"warning", "error", "critical"} and request_id in json.dumps(entry)


@pytest.mark.parametrize("name", POISONS)
async def test_a_poisoned_row_without_progress_stops_nobody(honest: Honest, rows: Rows, name: str) -> None:
    pids = pids_now()
    change = {"state": "inprogress", "ended_at": None, "outcome": None, "moved_at": OLD} | dict(POISONS[name])
    poisoned = await rows.copy(honest.finished, change)
    honest.written.extend([poisoned] if poisoned else [])
    stuck = await rows.copy(
        honest.finished, {"state": "inprogress", "outcome": None, "moved_at": OLD, "tags": ["stuck"]}
    )
    assert stuck is not None
    honest.written.append(stuck)
    await honest.goes_on(pids)
    # The reaper came past the poison to the honest one that was stuck too.
    assert (await honest.caller.stood(stuck, HONEST_WITHIN_S))["status"] == "complete"


@pytest.mark.parametrize("name", OUTCOMES)
async def test_a_finished_request_with_an_odd_outcome_hides_no_other(honest: Honest, rows: Rows, name: str) -> None:
    caller, finished = honest.caller, honest.finished
    poisoned = await rows.copy(finished, {"outcome": OUTCOMES[name]})
    honest.written.extend([poisoned] if poisoned else [])
    owner = await rows.value("SELECT partner_id FROM requests WHERE request_id = $1", finished)
    listed = await caller.page(owner)
    assert listed.status == 200, listed
    assert finished in {entry["requestid"] for entry in listed.result["requests"]}
    assert (await caller.status(finished)).result["status"] == "complete"
    if poisoned:
        assert (await caller.status(poisoned)).status < 500
