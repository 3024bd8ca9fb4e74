"""Counts the events among the lines of a member, in little memory whatever the lines are."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Final

from telemetry.line import decode_metadata
from telemetry.ownership import is_event

MAX_LINE_BYTES: Final = 1024 * 1024  # its newline included; a longer line is no event
_CHUNK: Final = 256 * 1024


def count_events(member: IO[bytes]) -> tuple[int, int]:
    """Read a member to its end.

    Returns:
        Its events, and its bytes.
    """
    events = size = 0
    partial = b""  # of the line whose end has not come yet; once it is too long, no more is kept of it
    while chunk := member.read(_CHUNK):
        size += len(chunk)
        if len(partial) > MAX_LINE_BYTES:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, partial = chunk[end + 1 :], b""
        lines = BytesIO(partial + chunk).readlines()
        partial = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        events += _events(lines)
    return events + _events([partial]), size


def _events(lines: list[bytes]) -> int:
    short = [line for line in lines if len(line) <= MAX_LINE_BYTES and not line.isspace()]
    return sum(map(is_event, decode_metadata(short)))
