"""The invariants of what processes write: no planted secret anywhere, and no sign of a fault that nobody handled."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.checks.facts import Facts

SERVICES: Final = ("gateway-", "aggregator-", "status-")
_SHOWN: Final = 160
_SIGNS: Final = re.compile(
    rb"Task was destroyed|exception was never retrieved|[Uu]nclosed|never awaited|BrokenPipe|Segmentation|Traceback"
)
# A dead letter of a defect tells its traceback on purpose; the checker asks for each dead letter by itself.
# PostgreSQL's driver shows why it could not connect, and tries again. A full disk is shown to whoever can make room.
_TRACED: Final = (
    "kafka.dead_letter",
    "Failed to restore the pool connection floor; retrying",
    "temporary_files.failed",
)
# The servers' own files of credentials, which only their process reads.
_PRIVATE_LOGS: Final = re.compile(r"maven|kafka-format|postgres-init")


def no_secret_anywhere(facts: Facts, secrets: Mapping[str, str], objects: Mapping[str, bytes]) -> Iterator[str]:
    """I8. `objects` are the bytes of the small objects in the exhaust bucket."""
    places: dict[str, bytes] = {f"log {name}": data for name, data in facts.logs.items()}
    places |= {f"table {name}": "\n".join(rows).encode() for name, rows in facts.texts.items()}
    places |= {f"object {key}": data for key, data in objects.items()}
    for topic, records in facts.topics.items():
        parts = (
            (record.key or b"", record.value or b"", *(value for _, value in record.headers)) for record in records
        )
        places[f"topic {topic}"] = b"\n".join(b"\n".join(part) for part in parts)
    for name, secret in secrets.items():
        for place, data in places.items():
            if secret.encode() in data:
                yield f"the secret {name} stands in {place}"


def no_unhandled_fault(facts: Facts) -> Iterator[str]:
    """I10."""
    for name, data in facts.logs.items():
        if not name.startswith(SERVICES):
            continue
        for number, line in enumerate(data.splitlines(), start=1):
            found = _complaint(line)
            if found:
                yield f"{name}:{number} {found}"


def _complaint(line: bytes) -> str | None:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return f"is no log line: {line[:_SHOWN].decode(errors='replace')}" if line.strip() else None
    if not isinstance(entry, dict):
        return "is no log entry"
    what = str(entry.get("event", entry.get("message")))
    if what.startswith(_TRACED):  # with the number of repetitions behind it
        return None
    if "exception" in entry:
        return f"{what}: {str(entry['exception']).strip().splitlines()[-1][:_SHOWN]}"
    sign = _SIGNS.search(line)
    return f"{sign[0].decode()}: {what[:_SHOWN]}" if sign else None
