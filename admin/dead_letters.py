"""The command that shows dead letters."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import orjson
import typer

from admin.connection import topic_settings
from admin.options import as_utc
from admin.tables import print_table
from exhaust.kafka.dead_letter_list import FoundDeadLetter, find_dead_letters
from exhaust.kafka.records import RejectionCode

RECENT: Final = timedelta(days=1)
_SHOWN: Final = ("dl_code", "dl_topic", "dl_partition", "dl_offset", "ce_source", "dl_pointer", "dl_error")


def dead_letters(
    *,
    code: Annotated[RejectionCode | None, typer.Option(help="Why: the code.")] = None,
    topic: Annotated[str | None, typer.Option(help="From which topic, such as dataset.days.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this UTC time on; the last day if left out.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Dead letters at most, the latest.")] = 100,
) -> None:
    """Show records that could not be worked on, the oldest first."""
    wanted = {name: value for name, value in (("dl_code", code), ("dl_topic", topic)) if value}
    begun = as_utc(since) or datetime.now(UTC) - RECENT
    letters = asyncio.run(find_dead_letters(topic_settings(), since=begun, wanted=wanted, limit=limit))
    print_table(
        ("at", "code", "topic", "partition", "offset", "source", "pointer", "error", "request"),
        [(letter.at, *(letter.headers.get(name) for name in _SHOWN), _request_of(letter)) for letter in letters],
    )


def _request_of(letter: FoundDeadLetter) -> str | None:
    """Return the id of the request that the record is about, when it tells one."""
    try:
        told = orjson.loads(letter.value)
    except orjson.JSONDecodeError:
        return None
    return str(told["requestid"]) if isinstance(told, dict) and "requestid" in told else None
