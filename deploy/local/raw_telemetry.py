"""Raw telemetry for a local stack, generated or read from a folder, and its upload into the raw bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from deploy.local.raw_files import read_folder
from deploy.local.s3_settings import s3_settings
from exhaust.s3.store import open_object_store
from telemetry.generator import GeneratorPlan, RawObject, generate

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from deploy.local.stack import Stack

RAW_PREFIX: Final = "raw/"
SEED: Final = 1
CHANNELS: Final = 5
PARTNERS: Final = 4
TAGS: Final = 6
EVENTS_PER_DAY: Final = 5000
OBJECTS_PER_DAY: Final = 3


class ForeignTelemetryError(Exception):
    """A raw bucket that holds other telemetry, which must not be mixed with ours."""


@dataclass(frozen=True, slots=True)
class SourceObject:
    """One object of the raw bucket: its day, its name without a folder, and a way to get its gzip bytes."""

    day: date
    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class RawTelemetry:
    """Telemetry to load.

    Attributes:
        title: Where it comes from, for people.
        objects: In order of day and name.
        owners: The ids to choose an owner from; empty when every channel and partner may be chosen.
    """

    title: str
    objects: tuple[SourceObject, ...]
    owners: frozenset[str]

    @property
    def days(self) -> list[date]:
        """The days that hold objects, each once, in order."""
        return sorted({source.day for source in self.objects})

    @property
    def extent(self) -> str:
        """The numbers of objects and days, as text."""
        objects, days = len(self.objects), len(self.days)
        return f"{objects:,} object{'s' * (objects != 1)} of {days:,} day{'s' * (days != 1)}"

    def of_day(self, day: str) -> dict[str, bytes]:
        """Return the gzip objects of a day (YYYY-MM-DD) by name."""
        return {source.name: source.read() for source in self.objects if source.day.isoformat() == day}


def generate_telemetry(today: date, days: int) -> RawTelemetry:
    """Generate telemetry for the last days, ending yesterday."""
    plan = GeneratorPlan(
        seed=SEED,
        days=tuple(today - timedelta(days=before) for before in range(days, 0, -1)),
        channels=CHANNELS,
        partners=PARTNERS,
        tags=TAGS,
        events_per_day=EVENTS_PER_DAY,
        objects_per_day=OBJECTS_PER_DAY,
    )
    objects = tuple(SourceObject(made.day, made.name, partial(_data_of, made)) for made in generate(plan))
    return RawTelemetry("made-up telemetry", objects, frozenset(plan.partner_ids))


def _data_of(made: RawObject) -> bytes:
    return made.data


def from_folder(folder: Path, today: date, days: int) -> RawTelemetry:
    """Read the telemetry files of a folder.

    Args:
        folder: Any folder of .json, .jsonl and .gz files.
        today: The present day.
        days: Over how many days, ending yesterday, files without a date in their name are spread.

    Raises:
        RawFilesError: If the folder holds no such file, or one that cannot be loaded.
    """
    files = read_folder(folder, today, days)
    return RawTelemetry(
        f"the files of {folder}", tuple(SourceObject(file.day, file.name, file.read) for file in files), frozenset()
    )


async def load_telemetry(stack: Stack, telemetry: RawTelemetry) -> int:
    """Put telemetry into the raw bucket, where the dataset eks-consumption-raw looks for it.

    Returns:
        The compressed bytes that were put.

    Raises:
        ForeignTelemetryError: If other telemetry is there already.
        ExhaustError: If the bucket cannot be used.
    """
    bucket = stack.s3.raw_bucket
    size = 0
    async with open_object_store(s3_settings(stack.s3)) as objects:
        ours = {RAW_PREFIX + source.name for source in telemetry.objects}
        if others := [found.key async for found in objects.list(bucket, RAW_PREFIX) if found.key not in ours]:
            raise ForeignTelemetryError(f"bucket {bucket} holds other telemetry, such as {others[0]}: use an empty one")
        for source in telemetry.objects:
            data = source.read()
            size += len(data)
            await objects.put(bucket, RAW_PREFIX + source.name, data)
    return size
