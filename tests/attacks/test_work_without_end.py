"""One record on dataset.requests that asks for the days of thirty years."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from schemas.events import TOPIC_DAYS, TOPIC_REQUESTS
from tests.attacks.callers import new_owner
from tests.attacks.forgeries import CODES
from tests.attacks.test_forged_work import send, work_of

if TYPE_CHECKING:
    from tests.attacks.topics import Topics

MARK: Final = "thirty years"
MOST_DAYS: Final = 31


async def test_a_request_for_thirty_years_makes_no_flood_of_days(topics: Topics) -> None:
    request_id = str(uuid4())
    work = work_of(request_id, new_owner(), day="1990-01-01") | {"todate": "2020-12-31"}
    await send(topics, TOPIC_REQUESTS, MARK, work)

    def days() -> int:
        told = [seen.value for seen in topics.records if seen.topic == TOPIC_DAYS]
        return sum(json.loads(value)["requestid"] == request_id for value in told if request_id.encode() in value)

    await topics.until(lambda: bool(topics.letters(MARK)) or days() > MOST_DAYS, 20)
    assert days() == 0
    assert await topics.code(MARK, 5) in CODES
