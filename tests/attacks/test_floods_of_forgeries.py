"""Floods of forged records: they become dead letters, and the consumer goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest

from schemas.events import TOPIC_DAYS, TOPIC_REQUESTS
from tests.attacks.callers import new_owner
from tests.attacks.downloads import opened
from tests.attacks.forgeries import frame
from tests.attacks.lines import line, packed
from tests.attacks.test_forged_work import DATASET, TYPES, work_of
from tests.attacks.topics import MARK

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.callers import Callers
    from tests.attacks.store import RawData
    from tests.attacks.topics import Topics

FLOOD: Final = 120  # more than twice the default of EXHAUST_DEAD_LETTER_LIMIT
DAY: Final = "2025-01-21"
# Of work that nobody may ask for.
WRONG: Final[dict[str, Mapping[str, object]]] = {
    "unknown-dataset": {"datasetid": "no-such-dataset"},
    "attempt-0": {"attempt": 0},
    "day-of-year-9999": {"fromdate": "9999-12-31", "todate": "9999-12-31", "day": "9999-12-31"},
}


@pytest.mark.parametrize("topic", [TOPIC_DAYS, TOPIC_REQUESTS])
@pytest.mark.parametrize("name", WRONG)
async def test_a_flood_of_a_stranger_stops_no_consumer(
    callers: Callers, raw: RawData, topics: Topics, topic: str, name: str
) -> None:
    owner, mark = new_owner(), f"flood/{topic}/{name}"
    await raw.put(f"raw/{DAY}-1737417600000.json.gz", packed(line(owner, "honest")))
    for _ in range(FLOOD):
        work = work_of(str(uuid4()), owner, day=DAY) | dict(WRONG[name])
        data = {field: value for field, value in work.items() if field != "day" or topic == TOPIC_DAYS}
        headers = frame(TYPES[topic], str(uuid4()), {"ce_source": "/org.example/job"})
        await topics.publish(topic, str(uuid4()), json.dumps(data).encode(), [*headers, (MARK, mark.encode())])
    await topics.flush()
    caller = await callers.new(owner)
    request_id = await caller.accepted(f"{DATASET}/{{}}/{DAY}/{DAY}", owner)
    assert opened(await caller.archive_of(request_id)).mids == ["honest"]
