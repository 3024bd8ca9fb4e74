"""Members of a day archive from raw bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.aggregator.archive.deflate import DeflatedMember

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.aggregator.archive.day_archive import DayArchiveWriter


def write_member(
    writer: DayArchiveWriter, name: str, chunks: Iterable[bytes], *, maybe_large: bool = False
) -> Iterator[bytes]:
    """The bytes of the zip that hold one member, as they become ready."""
    yield writer.begin_member(name, maybe_large=maybe_large)
    member = DeflatedMember()
    for chunk in chunks:
        yield writer.add(member.write(chunk))
    yield writer.add(member.finish())
    yield writer.end_member(member.content)
