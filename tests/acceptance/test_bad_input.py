"""Raw objects that nobody should have written: each request ends as the operators' page says, and the worker lives."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from deploy.local.stack import read_stack
from exhaust.errors import FAILURE_SENTENCES, ErrorCode, error_document
from tests.acceptance.conftest import FOLDER
from tests.support.operator_view import outcome_of
from tests.support.partner import resource_of
from tests.support.raw_dataset import event, packed

if TYPE_CHECKING:
    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from tests.support.partner import Partner

DATASET, PREFIX = "eks-creation-metrics", "creation/metrics/"
FIRST = date(2026, 4, 1)
OWNER = f"in.channel.{uuid4().hex[:8]}"
MIB = 1024 * 1024
MOST_MEMORY = 256 * MIB
ONE = event(1, channel=OWNER)
SOUND = packed(*(event(number, channel=OWNER) for number in range(50)))
UNREADABLE, LIMIT = "SOURCE_OBJECT_UNREADABLE", "LIMIT_EXCEEDED"


def bomb(block: bytes, size: int) -> bytes:
    """A gzip stream that inflates to `size` bytes of one block, made as cheaply as it is stored."""
    deflating = zlib.compressobj(9, wbits=31)
    header = deflating.compress(block) + deflating.flush(zlib.Z_FULL_FLUSH)
    # After a full flush a block refers to nothing before it, so it may stand again and again.
    again = deflating.compress(block) + deflating.flush(zlib.Z_FULL_FLUSH)
    return header + again * (size // len(block) - 1) + b"\x03\0" + bytes(8)


@dataclass(frozen=True, slots=True)
class Case:
    """An object, and how a request for its day ends.

    Attributes:
        code: of the error; None when the request completes.
        says: what the reason holds.
        events: of a request that completes.
    """

    data: bytes
    code: str | None = None
    says: str = ""
    events: int = 0


CASES = {
    "truncated gzip": Case(SOUND[:-20], UNREADABLE, "ends in the middle"),
    "wrong checksum": Case(SOUND[:-8] + b"\0\1\2\3" + SOUND[-4:], UNREADABLE, "corrupt"),
    "trailing garbage": Case(SOUND + b"garbage", UNREADABLE, "no member begins"),
    "empty object": Case(b""),
    "a GiB of lines from a MB": Case(bomb((b"x" * 1023 + b"\n") * 1024, 1024 * MIB), LIMIT, "times its size"),
    "a GiB without a line end from a MB": Case(bomb(bytes(MIB), 1024 * MIB), LIMIT, "times its size"),
    "a line of 100 MiB from little": Case(bomb(b"x" * MIB, 100 * MIB), LIMIT, "times its size"),
    "a line of 60 MiB before an event": Case(packed(b"x" * (60 * MIB) + b"\n", ONE), events=1),
    "100,000 members": Case(packed(ONE) * 100_000, events=100_000),
    "byte order mark": Case(packed(b"\xef\xbb\xbf" + ONE, ONE), events=2),
    "CRLF": Case(packed(ONE.replace(b"\n", b"\r\n") * 2), events=2),
    "NUL": Case(packed(ONE, b"\0\n", ONE[:-1] + b"\0\n"), events=1),
    "invalid UTF-8": Case(packed(ONE, ONE.replace(b"IMP", b"\xff\xfe")), events=1),
    "arrays": Case(packed(b"[" + ONE[:-1] + b"]\n", b"[]\n", ONE), events=1),
}


def memory(pid: int) -> int:
    """Return the most memory that a worker and its scan workers have had, added up, in bytes (proc(5))."""
    children = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return sum(_peak(process) for process in (pid, *children))


def _peak(pid: int) -> int:
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


async def test_every_bad_object_ends_its_request_with_a_reason_and_the_worker_lives(
    partner: Partner, objects: ObjectStore, stack: Stack, owner_database: Database
) -> None:
    await partner.grant(OWNER)
    worker = read_stack(FOLDER).processes["aggregator"]

    async def outcome(number: int, kind: str) -> None:
        case = CASES[kind]
        day = FIRST + timedelta(days=number)
        key = f"{PREFIX}{day}-1775001600000.json.gz"
        await objects.put(stack.s3.raw_bucket, key, case.data)
        reply = await partner.submit(f"{DATASET}/{resource_of(OWNER)}/{day}/{day}", partner_id=OWNER)
        result = await partner.finished(reply.result["requestid"])
        if case.code is None:
            assert (result["status"], result["events"]) == ("complete", case.events), (kind, result)
            return
        assert result["status"] == "failed", kind
        code = ErrorCode(case.code)
        assert result["error"] == error_document(code, FAILURE_SENTENCES[code]) | {"day": str(day)}, kind
        error = await outcome_of(owner_database, reply.result["requestid"])
        assert (error["code"], error["day"], error["object"]) == (case.code, str(day), key), kind
        assert error["message"].startswith(f"{key}: "), kind
        assert case.says in error["message"], (kind, error)

    await asyncio.gather(*(outcome(number, kind) for number, kind in enumerate(CASES)))
    assert read_stack(FOLDER).processes["aggregator"] == worker
    peak = memory(worker)
    print(f"\npeak memory of the worker and its scan workers: {peak // MIB} MiB")
    assert peak < MOST_MEMORY


def test_a_bomb_is_what_it_says() -> None:
    small = bomb(b"0123456\n" * 100, 4000)
    assert zlib.decompressobj(wbits=31).decompress(small[:-8]) == b"0123456\n" * 500
    assert gzip.decompress(SOUND)
    assert 0.9 * MIB < len(CASES["a GiB without a line end from a MB"].data) < 2 * MIB
