"""The environment of the templates of pages, and the formats that they share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import ByteSize

from exhaust.lag.sentences import shown

SHARED: Final = Path(__file__).with_name("templates")
ABSENT: Final = "\N{EN DASH}"


def page_environment(folder: Path) -> Environment:
    """Build the environment of the templates in a folder; they may extend base.html, the frame of all pages.

    All they show is text, and a missing value is an error.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "size": size, "duration": duration, "moment": moment, "exact": exact}
    return environment


def number(value: float | None) -> str:
    """Return a number with its thousands marked."""
    return ABSENT if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """Return a number of bytes as people read it."""
    return ABSENT if value is None else ByteSize(value).human_readable(separator=" ")


def duration(seconds: float | None) -> str:
    """Return a duration as people say it."""
    return ABSENT if seconds is None else shown(timedelta(seconds=seconds))


def moment(written: str | datetime | None) -> str:
    """Return a time of day in UTC, with its date unless that is today."""
    at = _parsed(written)
    if at is None:
        return ABSENT
    return f"{at:%H:%M:%S}" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d %H:%M:%S}"


def exact(written: str | datetime | None) -> str:
    """Return a time for machines, as the attribute datetime wants it."""
    at = _parsed(written)
    return "" if at is None else at.isoformat(timespec="seconds")


def _parsed(written: str | datetime | None) -> datetime | None:
    at = datetime.fromisoformat(written) if isinstance(written, str) else written
    return None if at is None else at.astimezone(UTC)
