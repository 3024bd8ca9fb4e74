"""Reading from servers that may be away or hang: what is not there in time is not seen, and said to be so."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from exhaust.errors import Dependency, ExhaustError
from exhaust.postgres.database import TABLES_DIFFER

if TYPE_CHECKING:
    from collections.abc import Coroutine

WITHIN: Final = timedelta(seconds=1.5)  # a page is there within 2 s
_Found = TypeVar("_Found")


class Reading:
    """What a page reads, side by side, and what it could not see.

    Attributes:
        unseen: each a sentence without its full stop.
    """

    def __init__(self, within: timedelta = WITHIN) -> None:
        self.unseen: list[str] = []
        self._ends = asyncio.get_running_loop().time() + within.total_seconds()

    async def see(
        self, reading: Coroutine[Any, Any, _Found], what: str, where: Dependency = Dependency.POSTGRES
    ) -> _Found | None:
        """Return what is read, or None when it could not be seen.

        A driver that waits for a frozen server may not end soon when it is cancelled, so nobody waits for that.

        Args:
            reading: it may raise ExhaustError.
            what: is read, as the page names it.
            where: it is read from.

        Raises:
            ExhaustError: anything but SERVICE_UNAVAILABLE.
        """
        task = asyncio.ensure_future(reading)
        left = max(self._ends - asyncio.get_running_loop().time(), 0)
        await asyncio.wait({task}, timeout=left)
        if not task.done():
            task.cancel()
            self.unseen.append(f"{what}, because {where} does not answer")
            return None
        try:
            return task.result()
        except ExhaustError as error:
            if not error.retryable:
                raise
            self.unseen.append(f"{what}, because {error.message.partition(';')[0]}")
        except TABLES_DIFFER:
            self.unseen.append(f"{what}, because the tables, or the rights to read them, are of another version")
        return None
