"""Events as people write them: JSON objects with `headers`, `key` and `value`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class WrittenEvent(NamedTuple):
    """An event of a file, with its bytes as they are sent.

    Attributes:
        place: where it stands, such as file.json:3.
        key: of the record; None for one without.
        value: None for a tombstone.
        headers: in their order.
    """

    place: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class UnreadableFileError(Exception):
    """A file that holds no events, with a sentence that says why."""


def read_events(name: str) -> Iterator[WrittenEvent]:
    """Yield the events of a file: one JSON object, an array of them, or one a line; `-` is the standard input.

    `text` in place of `value` is sent as it stands, so that also a value can be written that is no JSON.

    Raises:
        UnreadableFileError: it is no such file.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise UnreadableFileError(f"{name} cannot be read: {why}") from error
    try:
        found = json.loads(text)
        documents = list(enumerate(found if isinstance(found, list) else [found], start=1))
    except ValueError:
        documents = list(_lines(name, text))
    if not documents:
        raise UnreadableFileError(f"{name} holds no event")
    for number, document in documents:
        yield _event(f"{name}:{number}", document)


def _lines(name: str, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise UnreadableFileError(f"{name}:{number} is no JSON") from error


def _event(place: str, document: Any) -> WrittenEvent:
    if not isinstance(document, dict) or not isinstance(document.get("headers"), dict):
        raise UnreadableFileError(f'{place} is no event: {{"headers": {{…}}, "key": "…", "value": {{…}}}}')
    headers = tuple((str(name), _bytes(text)) for name, text in document["headers"].items())
    key = document.get("key")
    value = _bytes(document["text"]) if "text" in document else None
    if "value" in document:
        value = json.dumps(document["value"], separators=(",", ":")).encode()
    return WrittenEvent(place, None if key is None else _bytes(key), value, headers)


def _bytes(text: Any) -> bytes:
    return (text if isinstance(text, str) else json.dumps(text)).encode(errors="surrogatepass")
