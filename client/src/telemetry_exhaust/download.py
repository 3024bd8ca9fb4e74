"""Downloads an object into a file: resumed where it broke off, verified, under its name as a whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import IO, TYPE_CHECKING, Callable, Final

from urllib3.exceptions import HTTPError

from telemetry_exhaust.errors import ExhaustError
from telemetry_exhaust.http import reason
from telemetry_exhaust.part_state import RANGES, Object, PartState
from telemetry_exhaust.ranged_reads import AnotherObjectError, RangedReader
from telemetry_exhaust.safe_text import safe_text
from telemetry_exhaust.whole_files import move_whole

if TYPE_CHECKING:
    from pathlib import Path

_CHUNK: Final = 256 * 1024
_HASHED: Final = 1024 * 1024
_BREAKS: Final = 8  # that bring nothing new, one after the other
_BEGINNINGS: Final = 3
_PAUSE: Final = 0.2  # seconds, longer with each break that brought nothing

Progress = Callable[[int, int], None]


class Download:
    """One object on its way into one file."""

    def __init__(self, target: Path, reader: RangedReader, progress: Progress) -> None:
        self._target = target
        self._reader = reader
        self._progress = progress
        self._part = _beside(target, "part")
        self._state_file = _beside(target, "part.state")
        self._lock = Lock()
        self._stop = Event()

    def run(self, sha256: str | None, check: Callable[[Path], None]) -> None:
        """Download what is missing, verify the whole, and give it its name.

        Args:
            sha256: of the object; None when it is not known.
            check: is asked about the whole file when the SHA-256 is not known, and raises when it is damaged.

        Raises:
            UsageError: another process downloads it.
            ExhaustError: it cannot be had; what is there is kept for the next time.
            OSError: it cannot be written.
        """
        state = PartState.open(self._state_file)
        try:
            for attempt in range(_BEGINNINGS):
                self._fetch(state)
                if self._is_whole(sha256, check):
                    break
                state.begin(self._reader.find())
                if attempt == _BEGINNINGS - 1:
                    raise ExhaustError(f"{safe_text(self._target.name)} arrives damaged again and again; try later")
            self._finish()
        finally:
            state.close()

    def _fetch(self, state: PartState) -> None:
        for _ in range(_BEGINNINGS):
            found = self._reader.find()
            if state.object != found or not self._part.exists() or self._part.stat().st_size < state.done:
                state.begin(found)
            try:
                return self._fetch_object(state, found)
            except AnotherObjectError:
                continue
        raise ExhaustError(f"{safe_text(self._target.name)} changes while it is downloaded; try again later")

    def _fetch_object(self, state: PartState, found: Object) -> None:
        descriptor = os.open(self._part, os.O_RDWR | os.O_CREAT, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            file.truncate(found.size)
            self._progress(state.done, found.size)
            missing = state.missing()
            if len(missing) == 1:
                self._fetch_range(state, found, file, missing[0])
            elif missing:
                self._fetch_side_by_side(state, found, file, missing)
            os.fsync(file.fileno())

    def _fetch_side_by_side(self, state: PartState, found: Object, file: IO[bytes], missing: list[int]) -> None:
        with ThreadPoolExecutor(RANGES) as threads:
            running = [threads.submit(self._fetch_range, state, found, file, index) for index in missing]
            try:
                for one in running:
                    one.result()
            except BaseException:
                self._stop.set()
                raise
            finally:
                for one in running:
                    one.cancel()
        self._stop.clear()

    def _fetch_range(self, state: PartState, found: Object, file: IO[bytes], index: int) -> None:
        breaks = 0
        while state.ranges[index].next < state.ranges[index].end and not self._stop.is_set():
            before = state.ranges[index].next
            try:
                self._read_once(state, found, file, index)
            except HTTPError as error:
                breaks = 0 if state.ranges[index].next > before else breaks + 1
                if breaks > _BREAKS:
                    name = safe_text(self._target.name)
                    raise ExhaustError(
                        f"{name} breaks off ({reason(error)}); the same command goes on where it was"
                    ) from error
                self._stop.wait(_PAUSE * breaks)

    def _read_once(self, state: PartState, found: Object, file: IO[bytes], index: int) -> None:
        range_ = state.ranges[index]
        with self._reader.open(found, range_.next, range_.end) as answer:
            while range_.next < range_.end and not self._stop.is_set():
                chunk = answer.read(min(_CHUNK, range_.end - range_.next))
                if not chunk:
                    raise HTTPError("the connection was closed too early")
                with self._lock:
                    file.seek(range_.next)
                    _write_all(file, chunk)
                    state.written(index, range_.next + len(chunk))
                    self._progress(state.done, found.size)

    def _is_whole(self, sha256: str | None, check: Callable[[Path], None]) -> bool:
        if sha256 is not None:
            return file_digest(self._part) == sha256
        try:
            check(self._part)
        except ExhaustError:
            return False
        return True

    def _finish(self) -> None:
        move_whole(self._part, self._target)
        self._state_file.unlink()


def _write_all(file: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def forget_state(target: Path) -> None:
    """Remove the state of a download that was killed when it had everything but that to do."""
    if not _beside(target, "part").exists():
        with contextlib.suppress(FileNotFoundError):
            _beside(target, "part.state").unlink()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASHED):
            digest.update(chunk)
    return digest.hexdigest()


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f"{target.name}.{suffix}")
