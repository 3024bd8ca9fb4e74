"""Uploads of a stream whose leading bytes are only known at its end.

A store accepts parts in any order, so the first part is uploaded last. Until then it waits in a temporary file: the
first parts of many concurrent uploads would need too much memory.
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
    """Upload the leading bytes and the chunks behind them as one object.

    Args:
        upload: receives the parts, if there are two or more.
        chunks: the bytes of the stream.
        leading_bytes: returns the leading bytes; it is called when the chunks have ended.

    Returns:
        None when the object is complete; all of its bytes when they are too few for two parts: then nothing was
        uploaded.
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
