"""Looks for secrets everywhere that they may not be."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from exhaust.postgres.database import Database

_TABLES = "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'"


def in_files(places: Iterable[Path], secrets: Mapping[str, str]) -> list[str]:
    """Every file at or below the places that holds a secret, and which; zips are looked into, and zips in them."""
    found = []
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file():
                for where, data in _readable(str(path), path.read_bytes()):
                    found += [f"{name} in {where}" for name, secret in secrets.items() if secret.encode() in data]
    return found


async def in_tables(database: Database, secrets: Mapping[str, str]) -> list[str]:
    """Every table that holds a secret in a row, and which."""
    found = []
    for table in await database.fetch(_TABLES):
        for name, secret in secrets.items():
            rows = await database.fetch(f"SELECT FROM {table['name']} row WHERE strpos(row::text, $1) > 0", secret)
            found += [f"{name} in table {table['name']}"] if rows else []
    return found


def _readable(where: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    yield where, data
    if data.startswith(b"PK") and zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield from _readable(f"{where}/{name}", archive.read(name))
