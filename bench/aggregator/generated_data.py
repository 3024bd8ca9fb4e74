"""The raw telemetry of the benchmark: a few blocks that are generated once, and objects that are composed of them.

A block is a sound gzip file of about 55 MB of JSON lines, at zlib's level 6 as uploaders write it. Larger amounts are
more objects of one block, or objects of many blocks: several gzip members in a row are a gzip file too (RFC 1952, 2.2).
"""

from __future__ import annotations

import hashlib
import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import telemetry.workflows
from bench.aggregator import event_templates

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCKS: Final = 8
EVENTS_PER_BLOCK: Final = 46_000
CHANNELS: Final = tuple(f"org.example.channel.{number:02d}" for number in range(20))
FIRST_DAY: Final = date(2024, 1, 1)
_DAY_MS: Final = 86_400_000
_LEVEL: Final = 6
_GZIP_WBITS: Final = 31  # a window of 32 KiB (15) in gzip's frame (+ 16), whose header then holds no time
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True)
class Recipe:
    """The contents of a block: how many events, and of which channels."""

    events: int = EVENTS_PER_BLOCK
    channels: tuple[str, ...] = CHANNELS


@dataclass(frozen=True, slots=True)
class Block:
    """A block on the disk.

    Attributes:
        stored: bytes of the gzip file.
        raw: bytes of the JSON lines in it.
    """

    path: Path
    stored: int
    raw: int


@dataclass(frozen=True, slots=True)
class GeneratedObject:
    """One raw object: its name in the bucket, its day, and its blocks."""

    name: str
    day: date
    blocks: tuple[Block, ...]

    @property
    def stored(self) -> int:
        """Bytes of the object."""
        return sum(block.stored for block in self.blocks)

    @property
    def raw(self) -> int:
        """Bytes of the JSON lines in it."""
        return sum(block.raw for block in self.blocks)

    def chunks(self) -> Iterator[bytes]:
        """Yield the object's bytes, one block in memory at a time."""
        return (block.path.read_bytes() for block in self.blocks)


def gzip_block(number: int, recipe: Recipe) -> tuple[bytes, int]:
    """Generate a block; equal arguments give equal bytes, for one version of zlib.

    Returns:
        The gzip file, and the bytes of the JSON lines in it.
    """
    start_ms = _midnight_ms(FIRST_DAY) + number * _DAY_MS // BLOCKS
    made = event_templates.lines(event_templates.scripts(), recipe.channels, seed=f"block {number}", start_ms=start_ms)
    compressor = zlib.compressobj(_LEVEL, wbits=_GZIP_WBITS)
    packed = []
    raw = 0
    for left in range(recipe.events, 0, -_BATCH):
        piece = b"".join(islice(made, min(left, _BATCH)))
        raw += len(piece)
        packed.append(compressor.compress(piece))
    return b"".join((*packed, compressor.flush())), raw


def blocks(cache: Path, count: int = BLOCKS, recipe: Recipe | None = None) -> list[Block]:
    """Return the first blocks of a recipe, generated on all cores unless the cache has them.

    Args:
        cache: a folder; blocks lie in it below the key of all that decides their bytes.
        count: how many.
        recipe: the usual one when it is None.
    """
    recipe = recipe or Recipe()
    folder = cache / content_key(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(partial(_cached_block, folder, recipe), range(count)))


def content_key(recipe: Recipe) -> str:
    """Return a hash of all that decides the bytes of a recipe's blocks: the code, the recipe and zlib's version."""
    sources = [Path(__file__), Path(event_templates.__file__)]
    sources += sorted(path for folder in telemetry.workflows.__path__ for path in Path(folder).glob("*.py"))
    digest = hashlib.sha256(repr((recipe, zlib.ZLIB_RUNTIME_VERSION)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def day_objects(day: date, made: list[Block], count: int, blocks_each: int = 1) -> list[GeneratedObject]:
    """Return the objects of one day, spread over it, from the blocks in turn.

    Args:
        day: the UTC day on which they are received.
        made: the blocks to take.
        count: how many objects.
        blocks_each: how many gzip members each of them has.
    """
    objects = []
    for number in range(count):
        last_ms = _midnight_ms(day) + (number + 1) * _DAY_MS // count - 1
        taken = tuple(made[(number * blocks_each + place) % len(made)] for place in range(blocks_each))
        objects.append(GeneratedObject(f"{day.isoformat()}-{last_ms}.json.gz", day, taken))
    return objects


def days_from(first: date, count: int) -> list[date]:
    """Return days in a row."""
    return [first + timedelta(days=number) for number in range(count)]


def _cached_block(folder: Path, recipe: Recipe, number: int) -> Block:
    path = folder / f"{number}.json.gz"
    size = folder / f"{number}.size"
    if not size.exists():
        data, raw = gzip_block(number, recipe)
        path.write_bytes(data)
        written = size.with_suffix(".new")
        written.write_text(str(raw))
        written.replace(size)  # last, and at once: where there is a size, the block is whole
    return Block(path, path.stat().st_size, int(size.read_text()))


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
