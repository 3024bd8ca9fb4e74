"""The bytes of a dead letter as text that can be shown: bounded, and with escapes for what is no text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from exhaust.kafka.records import Record

MAX_SHOWN: Final = 64 * 1024  # bytes of a value
_MAX_HEADERS: Final = 100
_MAX_HEADER: Final = 4096  # bytes of one, and of the key
_KEPT: Final = frozenset("\n\t")


def payload_document(record: Record) -> dict[str, object]:
    """Return what page and JSON show of a dead letter."""
    return {
        "letter": f"{record.partition}/{record.offset}",
        "at": None if record.written_at is None else record.written_at.isoformat(),
        "headers": [
            {"name": as_text(name.encode(errors="replace"), _MAX_HEADER), "value": as_text(value or b"", _MAX_HEADER)}
            for name, value in record.headers[:_MAX_HEADERS]
        ],
        "key": None if record.key is None else as_text(record.key, _MAX_HEADER),
        "value": as_text(record.value, MAX_SHOWN),
        "bytes": len(record.value),
        "cut": len(record.value) > MAX_SHOWN,
    }


def as_text(raw: bytes, limit: int) -> str:
    r"""Return bytes as text: what is not UTF-8 as \xff, what cannot be printed as \u202e."""
    text = raw[:limit].decode(errors="backslashreplace")
    return "".join(
        letter if letter.isprintable() or letter in _KEPT else letter.encode("unicode_escape").decode()
        for letter in text
    )
