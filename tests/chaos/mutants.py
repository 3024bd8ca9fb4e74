"""Mutants: faults that are put into the product on purpose, to see whether the checker notices each.

A mutant replaces functions of the product in the services of a run, before a service imports them. No code of the
product knows of any.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import os
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SEPARATOR: Final = "|"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault of the product.

    Attributes:
        where: module and name, with a dot between class and method.
        mutated: given the right function, returns the wrong one.
        invariants: of which at least one must be found broken.
        failpoints: at which the run crashes; without any, it replays records.
        also: further places, each with its own wrong function.
        says: words of the violation, where others of the run break the same invariant.
    """

    where: str
    mutated: Callable[[Any], Any]
    invariants: frozenset[str]
    failpoints: tuple[str, ...] = ()
    also: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    says: str = ""


def apply_mutants(names: str) -> None:
    """Put faults into this process, before any of its modules is imported.

    Args:
        names: of mutants, with SEPARATOR between them.
    """
    for name in names.split(SEPARATOR):
        mutant = MUTANTS[name]
        for where, mutated in {mutant.where: mutant.mutated, **mutant.also}.items():
            place, function = place_of(where)
            right = getattr(place, function)
            wrong = mutated(right)
            # Modules that a mutant before this one has imported know the function by themselves.
            for holder in (place, *sys.modules.values()):
                if getattr(holder, "__dict__", {}).get(function) is right:
                    setattr(holder, function, wrong)


def place_of(where: str) -> tuple[Any, str]:
    """Return the module or class and the name in it that a mutant replaces.

    Raises:
        AttributeError: the product has no such function any more.
    """
    module, _, path = where.partition(":")
    place: Any = importlib.import_module(module)
    *classes, function = path.split(".")
    for part in classes:
        place = getattr(place, part)
    getattr(place, function)
    return place, function


def _nothing(_: Any) -> Any:
    async def do_nothing(*_args: Any, **_kwargs: Any) -> int:
        return 0

    return do_nothing


def _true(_: Any) -> Any:
    async def say_yes(*_args: Any, **_kwargs: Any) -> bool:
        return True

    return say_yes


def _now_and_then(instead: Any) -> Callable[[Any], Any]:
    """Return a mutation that does something else each third time."""

    def mutated(right: Any) -> Any:
        turns = itertools.count(1)

        async def wrong(*args: Any, **kwargs: Any) -> Any:
            return await (right if next(turns) % 3 else instead)(*args, **kwargs)

        return wrong

    return mutated


async def _do_nothing(*_args: Any, **_kwargs: Any) -> None:
    return None


def _lose_for_some(right: Any) -> Any:
    """Lose the days of a fourth of all requests, also when such a request comes again."""

    async def publish_day(self: Any, request: Any, *args: Any) -> None:
        if str(request.requestid)[0] not in "0123":
            await right(self, request, *args)

    return publish_day


def _drop_a_line(right: Any) -> Any:
    def flush(self: Any) -> Any:
        return [lines[lines.find(b"\n") + 1 :] if lines.count(b"\n") > 2 else lines for lines in right(self)]

    return flush


def _take_everybodys(right: Any) -> Any:
    """Let events without a channel of their own be everybody's."""

    def match(self: Any, event: dict[str, object]) -> Any:
        return range(len(self._selections)) if str(event.get("mid", ""))[-1:] in "01" else right(self, event)

    return match


def _commit_at_start(right: Any) -> Any:
    def take(self: Any, offset: int) -> bool:
        is_new = bool(right(self, offset))
        self._unfinished.discard(offset)
        return is_new

    return take


def _go_back(right: Any) -> Any:
    turns = itertools.count(1)

    def next_offset(self: Any) -> Any:
        offset = right(self)
        return offset if offset is None or next(turns) % 5 else max(0, offset - 2)

    return next_offset


def _whatever_comes(_: Any) -> Any:
    """Let each report that is of the present attempt move the request, ended or not."""

    def after_report(present: Any, reported: Any) -> Any:
        return reported if reported.attempt == present.attempt else present

    return after_report


def _another_digest(right: Any) -> Any:
    async def write(*args: Any, **kwargs: Any) -> Any:
        await right(*args, **kwargs)
        return "0" * 64

    return write


def _forget_the_end(right: Any) -> Any:
    """Store a download without its last bytes."""

    async def put(self: Any, bucket: str, key: str, data: bytes, **options: Any) -> None:
        await right(
            self, bucket, key, data[:-1] if key.startswith("requests/") and key.endswith(".zip") else data, **options
        )

    return put


def _leave_staging(right: Any) -> Any:
    async def mark(self: Any, request: Any, summary: Any) -> None:
        await self._objects.put(self._bucket, f"requests/{request.requestid}/staging-{request.day}", b"x")
        await right(self, request, summary)

    return mark


def _log_the_key(right: Any) -> Any:
    async def find_holder(self: Any, license_key: str) -> Any:
        logging.getLogger("chaos").warning("asked with %s", license_key)
        return await right(self, license_key)

    return find_holder


def _write_late(right: Any) -> Any:
    """Report a download before it is written."""
    late: set[Any] = set()

    async def write(self: Any, key: str, parts: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(20)
            await right(self, key, parts)

        late.add(asyncio.create_task(later()))

    return write


def _open_files(right: Any) -> Any:
    async def apply(self: Any, claim: Any) -> Any:
        os.open(os.devnull, os.O_RDONLY)
        return await right(self, claim)

    return apply


def _raise_unseen(right: Any) -> Any:
    async def apply(self: Any, claim: Any) -> Any:
        async def fail() -> None:
            raise RuntimeError("chaos")

        unseen = asyncio.create_task(fail())
        del unseen
        return await right(self, claim)

    return apply


def _link_of_failed(right: Any) -> Any:
    async def build_status(*args: Any) -> Any:
        result = await right(*args)
        return result | {"downloadurl": "http://127.0.0.1/x"} if result.get("status") == "failed" else result

    return build_status


def _only_tell(_: Any) -> Any:
    """Answer a cancel call, and leave the request as it is."""

    async def cancel_request(_database: Any, request_id: Any, **_options: Any) -> Any:
        commands = importlib.import_module("exhaust.postgres.request_commands")
        return commands.Cancellation(request_id, 1, datetime.now(UTC))

    return cancel_request


def _always_create(_: Any) -> Any:
    async def create_once(*args: Any) -> Any:
        return await args[-1]()

    return create_once


def _found(*names: str) -> frozenset[str]:
    return frozenset(names)


_ASSEMBLER: Final = "services.aggregator.assemble:Assembler"
_WRITER: Final = "services.aggregator.download_writer:DownloadWriter"
_STATES: Final = "services.status.request_states:RequestStates"
MUTANTS: Final[dict[str, Mutant]] = {
    "drop a line": Mutant("services.aggregator.scan.selector:Selector.flush", _drop_a_line, _found("I4")),
    "swap a tenant": Mutant("services.aggregator.scan.selector:Selector._match", _take_everybodys, _found("I7")),
    "skip the abort of an upload": Mutant(
        "exhaust.s3.multipart:MultipartUpload._abort",
        _nothing,
        _found("I5"),
        ("upload.after_part",),
        {"exhaust.s3.store:ObjectStore.abort_abandoned_uploads": _nothing},
    ),
    "commit an offset before the work": Mutant(
        "exhaust.kafka.offsets:OffsetTracker.take", _commit_at_start, _found("I1"), ("upload.before_complete",)
    ),
    "commit an earlier offset": Mutant(
        "exhaust.kafka.offsets:OffsetTracker.next_offset", _go_back, _found("I12", "I6")
    ),
    "forget the inbox": Mutant("exhaust.postgres.inbox:record_event", _true, _found("I11")),
    "lose a request of the outbox": Mutant(
        "services.gateway.relay:RequestPublisher.publish", _now_and_then(_do_nothing), _found("I3", "I1")
    ),
    "report a download before it is written": Mutant(f"{_WRITER}._write", _write_late, _found("I1", "I6", "I4")),
    "store a download without its end": Mutant(
        "exhaust.s3.store:ObjectStore.put", _forget_the_end, _found("I1", "I4", "I6")
    ),
    "skip a digest": Mutant(f"{_WRITER}._write", _another_digest, _found("I4"), says="another SHA-256"),
    "leave a staging object": Mutant(f"{_ASSEMBLER}.mark", _leave_staging, _found("I5")),
    "ignore that a request has ended": Mutant(
        "exhaust.domain.state_machine:after_report", _whatever_comes, _found("I2")
    ),
    "log a license key": Mutant("services.gateway.auth.access:Access._find_holder", _log_the_key, _found("I8")),
    "lose a dead letter": Mutant("exhaust.kafka.dead_letters:DeadLetters.send", _nothing, _found("I6")),
    "lose a day": Mutant("services.aggregator.plan:Planner._publish_day", _lose_for_some, _found("I1")),
    "keep files open": Mutant(f"{_STATES}.apply", _open_files, _found("I9")),
    "let a task fail unseen": Mutant(f"{_STATES}.apply", _raise_unseen, _found("I10")),
    "tell a link of a failed request": Mutant(
        "services.status.answers:AnswerBuilder.build_status", _link_of_failed, _found("I4"), says="failed with a link"
    ),
    "forget what an Idempotency-Key stands for": Mutant(
        "services.gateway.idempotency:create_once", _always_create, _found("I1"), says="made 2 requests"
    ),
    "forget a cancellation": Mutant(
        "exhaust.postgres.request_commands:cancel_request", _only_tell, _found("I1"), says="should be cancelled"
    ),
}

# Those that break different invariants share a run.
GROUPS: Final = (
    (
        "leave a staging object",
        "log a license key",
        "keep files open",
        "let a task fail unseen",
        "forget the inbox",
        "commit an earlier offset",
        "ignore that a request has ended",
        "skip a digest",
    ),
    (
        "drop a line",
        "lose a dead letter",
        "tell a link of a failed request",
        "forget what an Idempotency-Key stands for",
        "forget a cancellation",
    ),
    ("swap a tenant",),
    ("skip the abort of an upload",),
    ("commit an offset before the work",),
    ("lose a request of the outbox",),
    ("lose a day",),
    ("report a download before it is written",),
    ("store a download without its end",),
)
