"""Members of a day archive from raw bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.aggregator.archive.deflate import DeflatedMember

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from services.aggregator.archive.day_archive import DayArchiveWriter


def write_member(
    writer: DayArchiveWriter, name: str, chunks: Iterable[bytes], *, large: bool = False
) -> Iterator[bytes]:
    """The bytes of the zip that hold one member, as they become ready."""
    yield writer.begin_member(name, large=large)
    member = DeflatedMember()
    for chunk in chunks:
        yield writer.add(member.write(chunk))
    yield writer.add(member.finish())
    yield writer.end_member(member.content)


def write_known_member(writer: DayArchiveWriter, name: str, data: bytes) -> Iterator[bytes]:
    """The bytes of the zip that hold one member whose sizes are known before it is written."""
    member = DeflatedMember()
    deflated = member.write(data) + member.finish()
    yield writer.begin_member(name, member.content)
    yield writer.add(deflated)
    yield writer.end_member(member.content)
