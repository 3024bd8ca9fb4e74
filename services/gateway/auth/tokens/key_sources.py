"""Where an issuer's keys come from. Rotated keys are picked up without a restart."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from services.gateway.auth.tokens.jwks import KeySet, parse_jwks
from services.gateway.auth.tokens.keys import UnusableKeyError, VerificationKey, read_key_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

USABLE_FOR_S: Final = 24 * 3600.0
CLOCK_TICK_NS: Final = 50_000_000  # well over the ticks in which file systems count (4 or 10 ms)

log = structlog.get_logger(__name__)


class KeySource(Protocol):
    """An issuer's keys."""

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """The key that a token means; None when there is none.

        Args:
            kid: the token's key id, empty when it has none.
            algorithm: the token's.
        """


class FixedKey:
    """One key for all tokens. It has no key id, so it does not matter what theirs is."""

    def __init__(self, key: VerificationKey) -> None:
        self._key = key

    async def find(self, _kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource."""
        return self._key if self._key.algorithm == algorithm else None


@dataclass(slots=True)
class LastGood:
    """The keys that were last seen in order, and when (seconds of the clock). They serve for a day."""

    keys: KeySet = field(default_factory=KeySet)
    at: float = -math.inf

    def find(self, kid: str, algorithm: str, now: float) -> VerificationKey | None:
        """The key that a token means; None when there is none, or when all are too old."""
        return self.keys.find(kid, algorithm) if now - self.at <= USABLE_FOR_S else None


class JwksFile:
    """A JWKS file, read again when it changes. While it is away or broken, its last good keys serve."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._good = LastGood()
        self._version: tuple[int, ...] | None = ()
        self._in_order = False

    async def find(self, kid: str, algorithm: str, /) -> VerificationKey | None:
        """See KeySource."""
        # Blocks, but briefly: a stat, and after a change a local file of at most MAX_JWKS_BYTES.
        version = self._look()
        if version != self._version:
            self._version = version
            self._in_order = self._read()
        now = self._clock()
        if self._in_order:
            self._good.at = now
        return self._good.find(kid, algorithm, now)

    def _look(self) -> tuple[int, ...] | None:
        """What tells one version of the file from the next; None when there is no file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        now = time.time_ns()
        # A file changed a moment ago may change again without a new mtime: then the time of looking tells them apart.
        settled = now - found.st_mtime_ns > CLOCK_TICK_NS
        return (found.st_mtime_ns, found.st_size, found.st_ino, 0 if settled else now)

    def _read(self) -> bool:
        try:
            self._good.keys = parse_jwks(read_key_file(self._path))
        except UnusableKeyError as error:
            log.warning("jwks.file_refused", file=str(self._path), reason=str(error))
            return False
        return True
