"""Writing an object from a stream, when the bytes that stand before it are only known at its end.

A store takes parts in any order. So the first part is sent last, and until then it waits in a file without a name: of
many objects that are written at the same time, the first parts would be too much for the memory.
"""

from __future__ import annotations

import asyncio
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from exhaust.s3.multipart import MultipartUpload


async def upload_stream(
    upload: MultipartUpload, chunks: AsyncIterator[bytes], leading_bytes: Callable[[], bytes]
) -> bytearray | None:
    """Make an object of what `leading_bytes` gives and the chunks.

    Args:
        upload: where parts go, when there is more than one.
        chunks: the stream.
        leading_bytes: called when the chunks have ended.

    Returns:
        None when the object is made; its bytes when they are too few for two parts, so that nothing was sent.
    """
    buffer = bytearray()
    first = 0
    with tempfile.TemporaryFile() as file:
        async for chunk in chunks:
            buffer += chunk
            while len(buffer) > (size := upload.part_size):
                if first:
                    await upload.add_part_from(buffer, size)
                else:
                    first = upload.reserve_part_number()
                    await asyncio.to_thread(file.write, bytes(memoryview(buffer)[:size]))
                    del buffer[:size]
        if not first:
            buffer[:0] = leading_bytes()
            return buffer

        def first_part() -> bytes:
            file.seek(0)
            return leading_bytes() + file.read()

        await upload.add_part_from(buffer, len(buffer))
        await upload.add_part(lambda: asyncio.to_thread(first_part), number=first)
        await upload.complete()
        return None
