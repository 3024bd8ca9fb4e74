"""The scripts and styles of the console. Their names hold a hash of their content, so browsers keep them for good."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HEADERS: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_HASH_LENGTH: Final = 12


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file, as it is served.

    Attributes:
        name: with the hash, such as console.0f3a….css.
    """

    name: str
    content: bytes
    content_type: str


class StaticFiles:
    """The files of the package, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = {path.name: _read(path) for path in sorted(folder.rglob("*")) if path.suffix in _TYPES}
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


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    name = f"{path.stem}.{sha256(content).hexdigest()[:_HASH_LENGTH]}{path.suffix}"
    return StaticFile(name, content, _TYPES[path.suffix])
