"""Lines of telemetry, and the objects that they come in."""

from __future__ import annotations

import gzip
import json
from typing import Any


def line(channel: str | None = None, mid: str = "m", /, **members: Any) -> bytes:
    """A 3.0 event of a channel, with whatever members are given beside or in place of the usual ones."""
    context = {} if channel is None else {"channel": channel}
    event = {"eid": "IMPRESSION", "ver": "3.0", "mid": mid, "context": context, "edata": {}} | members
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode() + b"\n"


def packed(*lines: bytes) -> bytes:
    """The gzip object that holds these lines."""
    return gzip.compress(b"".join(lines), compresslevel=1, mtime=0)
