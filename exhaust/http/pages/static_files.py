"""Scripts and styles: those of all pages, and those of one service. A name holds a hash, so browsers keep the file."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED: Final = Path(__file__).with_name("static")
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_HASH_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file, as it is served.

    Attributes:
        name: with the hash, such as pages.0f3a….css.
    """

    name: str
    content: bytes
    content_type: str


class StaticFiles:
    """The files of folders, read once; of two with one name, the second folder's."""

    def __init__(self, *folders: Path) -> None:
        found = {path.name: _read(path) for path in _files_in(SHARED, *folders) if path.suffix in _TYPES}
        self._hashed = {name: file.name for name, file in found.items()}
        self._files = {file.name: file for file in found.values()}

    def hashed(self, name: str) -> str:
        """Return the name under which a file is served.

        Raises:
            KeyError: there is no such file.
        """
        return self._hashed[name]

    async def serve(self, request: web.Request) -> web.Response:
        """Answer GET /static/{name}."""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        return web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=_HEADERS)


def _files_in(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*"))


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    name = f"{path.stem}.{sha256(content).hexdigest()[:_HASH_LENGTH]}{path.suffix}"
    return StaticFile(name, content, _TYPES[path.suffix])
