"""Failpoints: named steps at which a test ends the process without any clean-up, as a crash would.

A failpoint does nothing unless EXHAUST_FAILPOINTS names it. The variable holds entries with commas between them:
`relay.after_publish` ends the process when it comes there, `relay.after_publish:2` when it comes there the second
time, and `relay.after_publish:2=pause` stops it there (SIGSTOP) until somebody sends SIGCONT.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from typing import Final, Literal, NamedTuple

import orjson

from exhaust.errors import ConfigurationError

VARIABLE: Final = "EXHAUST_FAILPOINTS"
CRASH_EXIT_CODE: Final = 86  # of no other end of a process
STDERR: Final = 2

# Each name stands at one place of the code. What has happened when a process comes there:
FAILPOINTS: Final = {
    "register.before_commit": "the rows of a client and its key are written, and not committed",
    "register.before_answer": "the client and its key are committed, and nobody knows the key",
    "idempotency.after_take": "an Idempotency-Key is taken, and its request not yet created",
    "idempotency.after_create": "a request is created behind its Idempotency-Key",
    "idempotency.before_commit": "all rows of a submit with an Idempotency-Key are written, and not committed",
    "submit.before_accept": "a submit is authorized, and none of its rows written",
    "submit.after_commit": "a submit is committed, and the relay not yet woken",
    "submit.before_answer": "a submit is committed, and not answered",
    "relay.after_claim": "requests are claimed from the outbox, and that is not committed",
    "relay.before_publish": "requests are claimed from the outbox",
    "relay.after_publish": "Kafka has the requests, which are still in the outbox",
    "relay.after_commit": "the released requests are deleted from the outbox",
    "plan.before_started": "a request is read from its topic",
    "plan.after_started": "the start of a request is published, and none of its days",
    "plan.after_day": "one day of a request is published",
    "plan.after_days": "all days of a request are published, and its offset is not committed",
    "day.after_listing": "the source objects of a day are listed",
    "day.before_summary": "a day archive is durable, and its summary is not",
    "day.after_summary": "a day archive and its summary are durable",
    "day.before_event": "the archive of a day is found or built",
    "day.after_event": "the end of a day is published, and its marker not written",
    "day.after_marker": "the marker of a day is written",
    "assemble.after_listing": "all markers of a request are seen",
    "assemble.before_upload": "the download of a request is planned",
    "assemble.after_upload": "the download of a request is durable, and its outcome not written",
    "assemble.after_outcome": "the outcome of a request is written",
    "partial.before_upload": "the download of the finished days of a failed request is planned",
    "partial.after_upload": "the download of the finished days of a failed request is durable, and nothing names it",
    "day.before_completed": "the download of a request is known, and its end not published",
    "day.after_completed": "the end of a request is published",
    "day.after_work": "all work on a day is done, and its offset is not committed",
    "day.before_failed": "a day cannot be built, and that is not published",
    "day.after_failed": "the failure of a day is published",
    "upload.after_start": "the store has begun a multipart upload, which has no part",
    "upload.after_part": "a part of a multipart upload is stored",
    "upload.before_complete": "all parts of a multipart upload are stored",
    "upload.after_complete": "a multipart upload has become an object",
    "status.before_inbox": "a completion event is checked, and nothing written",
    "status.after_inbox": "a completion event is in the inbox, and not yet applied",
    "status.before_commit": "a completion event is applied, and not committed",
    "status.after_commit": "a completion event is committed, and its offset is not",
    "cancel.before_commit": "a request is cancelled, and that is not committed",
    "cancel.after_commit": "a cancellation is committed, and neither answered nor told to aggregators",
    "cancel.after_markers": "aggregators are told of cancellations, which still wait to be told",
    "delete.before_commit": "a request is marked as deleted, and that is not committed",
    "delete.after_commit": "a deletion is committed, and not answered",
    "delete.after_objects": "the objects of a deleted request are removed, and that is not noted",
    "update.before_commit": "an update is applied, and not committed",
    "update.after_commit": "an update is committed, and not answered",
    "reaper.after_attempt": "the next attempt of a request is begun, and not yet in the outbox",
    "reaper.before_commit": "requests without progress are tried again or failed, and that is not committed",
    "reaper.after_commit": "a reaping is committed",
    "dead_letter.before_send": "a record is rejected, and not yet in the dead-letter topic",
    "dead_letter.after_send": "a dead letter is sent, and the offset of its record not committed",
    "redrive.after_claim": "dead letters are in hand, and none of their records sent",
    "redrive.after_send": "Kafka has the records of dead letters that are in hand, and not marked",
    "webhook.after_claim": "deliveries to webhooks are claimed, and none is sent",
    "webhook.after_send": "a message to a webhook is answered, and that is not recorded",
    "consumer.before_commit": "work has finished, and its offsets are about to be committed",
    "consumer.after_commit": "offsets are committed",
}

_ENTRY: Final = re.compile(r"(?P<name>[a-z_.]+)(:(?P<hit>[1-9][0-9]*))?(=(?P<action>crash|pause))?")


class ArmedFailpoint(NamedTuple):
    """A failpoint that acts at one of its hits, counted from 1."""

    name: str
    hit: int
    action: Literal["crash", "pause"]


# For the whole process: failpoints stand at any depth, where nothing could be handed down without a cost.
_armed: Final[dict[tuple[str, int], ArmedFailpoint]] = {}
_hits: Final[Counter[str]] = Counter()


def failpoint(name: str) -> None:
    """Crash or pause the process here if a test asked for it. Otherwise this costs as much as an empty call.

    Args:
        name: one of FAILPOINTS.
    """
    if _armed:
        _act(name)


def arm_failpoints(text: str) -> None:
    """Let failpoints act from now on, in place of those that did before.

    Args:
        text: as in EXHAUST_FAILPOINTS; empty for none.

    Raises:
        ConfigurationError: an entry is not written as it should be, or names no failpoint.
    """
    entries = [_parse(entry.strip()) for entry in text.split(",") if entry.strip()]
    _armed.clear()
    _hits.clear()
    _armed.update({(entry.name, entry.hit): entry for entry in entries})


def _parse(text: str) -> ArmedFailpoint:
    found = _ENTRY.fullmatch(text)
    if found is None or found["name"] not in FAILPOINTS:
        raise ConfigurationError(
            f"{VARIABLE} names no failpoint with {text!r}; an entry is <name>, <name>:<hit> or <name>:<hit>=pause, and"
            " the names are in exhaust/process/failpoints.py. It is for tests: unset it"
        )
    return ArmedFailpoint(found["name"], int(found["hit"] or 1), "pause" if found["action"] == "pause" else "crash")


def _act(name: str) -> None:
    _hits[name] += 1
    entry = _armed.get((name, _hits[name]))
    if entry is None:
        return
    told = {"event": "failpoint.hit", "level": "critical", "failpoint": name, "hit": entry.hit, "action": entry.action}
    os.write(STDERR, orjson.dumps(told) + b"\n")
    if entry.action == "pause":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os._exit(CRASH_EXIT_CODE)
