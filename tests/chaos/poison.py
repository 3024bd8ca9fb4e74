"""Poison: records on the topics that nobody can work on. Each carries a mark, by which its dead letter is known."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from aiokafka import AIOKafkaProducer

from tests.attacks.topics import kafka_options
from tests.chaos.checks.facts import COMPLETIONS, DAYS, REQUESTS
from tests.chaos.checks.invariants import POISON_MARK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.chaos.scenario import Run

NOT_JSON: Final = b"this is no JSON"
CODECS: Final = (None, "gzip", "snappy", "lz4", "zstd")
_ID: Final = "7d0b1c57-3c52-4a2c-8f0a-5f0c4f6f6c11"
_WORK: Final[dict[str, object]] = {
    "requestid": _ID,
    "attempt": 1,
    "datasetid": "eks-consumption-raw",
    "resourceid": "0" * 32,
    "fromdate": "2015-01-01",
    "todate": "2015-01-02",
    "tags": [],
}
_DAY: Final = _WORK | {"day": "2015-01-01"}
_ENDED: Final[dict[str, object]] = {
    "requestid": _ID,
    "attempt": 1,
    "workid": "0" * 16,
    "status": "inprogress",
    "daystotal": 2,
}
_FRAME: Final = {
    "ce_specversion": b"1.0",
    "ce_id": b"chaos",
    "ce_source": b"/telemetry-exhaust/aggregator",
    "ce_type": b"telemetry-exhaust.dataset.progress.v1",
    "content-type": b"application/json",
}

Poison = tuple[str, bytes, dict[str, bytes]]


def _json(body: Mapping[str, object], **change: object) -> bytes:
    return json.dumps({**body, **change}).encode()


def _without(body: Mapping[str, object], name: str) -> bytes:
    return json.dumps({key: value for key, value in body.items() if key != name}).encode()


def kinds() -> list[Poison]:
    """Forty kinds of records that must become dead letters: topic, value, and headers beside the mark."""
    nothing: tuple[bytes, ...] = (
        NOT_JSON, b"", b"[]", b"7", b"null", b'"text"', b"{", b"{}", b"\xff\xfe\x00", b'{"a": NaN}',
        b"[" * 2000 + b"]" * 2000, b"\x00" * 64, b'{"requestid": "' + b"x" * 200_000 + b'"}',
    )  # fmt: skip
    found: list[Poison] = [(topic, value, {}) for topic in (REQUESTS, COMPLETIONS) for value in nothing[:7]]
    found += [(DAYS, value, {}) for value in nothing[7:]]
    work: tuple[dict[str, object], ...] = (
        {"requestid": "no id"}, {"attempt": 0}, {"attempt": "one"}, {"attempt": 10**9}, {"resourceid": "../x"},
        {"resourceid": ".."}, {"fromdate": "2015-02-30"}, {"fromdate": "2015-01-03"}, {"fromdate": "1969-12-31"},
        {"todate": "2015-06-30"}, {"tags": "none"}, {"owner": "somebody else"},
    )  # fmt: skip
    found += [(REQUESTS, _json(_WORK, **change), {}) for change in work]
    found += [(DAYS, _json(_DAY, day="2016-01-01"), {}), (DAYS, _without(_DAY, "day"), {})]
    ended = _json(_ENDED)
    frames = ({"ce_id": b""}, {"ce_specversion": b"0.3"}, {"ce_type": b"telemetry-exhaust.dataset.completed.v1"})
    found += [(COMPLETIONS, ended, {**_FRAME, **change}) for change in frames]
    found += [(COMPLETIONS, ended, {**_FRAME, "ce_id": b"\xff\xfe"}), (COMPLETIONS, ended, dict(_FRAME))]
    found += [(COMPLETIONS, ended, {})]
    return found


@asynccontextmanager
async def open_producer(run: Run, **options: Any) -> AsyncIterator[Any]:
    """A producer with all rights."""
    producer = AIOKafkaProducer(**kafka_options(run.rig.stack), acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def plant(run: Run, producer: Any, poison: Poison) -> None:
    """Send one record with a mark of its own; from now on its dead letter is due."""
    topic, value, headers = poison
    mark = uuid4().hex
    await producer.send_and_wait(
        topic, value, key=mark.encode(), headers=[(POISON_MARK, mark.encode()), *headers.items()]
    )
    run.rig.history.planted.add(mark)


async def plant_text(run: Run, topic: str = REQUESTS) -> None:
    """Plant a record that is no JSON."""
    async with open_producer(run) as producer:
        await plant(run, producer, (topic, NOT_JSON, {}))
