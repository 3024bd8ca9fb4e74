"""A reader that follows the logs of a stack."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

_PAUSE = timedelta(milliseconds=200)
_FIRST_LINES = 10


def follow(logs: Path) -> Iterator[tuple[str, str]]:
    """Yield the last lines of every log, then each new line as it is written, without end.

    Args:
        logs: the folder of the `<name>.log` files; files that come later are found.

    Yields:
        The name of the process and one line.
    """
    read: dict[Path, int] = {path: _near_the_end(path) for path in logs.glob("*.log")}
    while True:
        for path in sorted(logs.glob("*.log")):
            lines, read[path] = _whole_lines(path, read.get(path, 0))
            for line in lines:
                yield path.stem, line
        time.sleep(_PAUSE.total_seconds())


def _whole_lines(path: Path, offset: int) -> tuple[list[str], int]:
    """Return the complete lines from an offset on, and the offset after them."""
    with path.open("rb") as log:
        log.seek(offset)
        finished = log.read().rpartition(b"\n")
    text = b"".join(finished[:2])
    return text.decode(errors="replace").splitlines(), offset + len(text)


def _near_the_end(path: Path) -> int:
    content = path.read_bytes()
    return len(content) - sum(map(len, content.splitlines(keepends=True)[-_FIRST_LINES:]))
