"""A browser without scripts, as the portal sees one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
FROM_HERE = {"Sec-Fetch-Site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A page as it came, or where it sends the browser."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def location(self) -> str:
        return self.headers["Location"]


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser that keeps cookies and follows no redirect by itself."""

    session: aiohttp.ClientSession
    base: str

    async def get(self, path: str = "", **headers: str) -> Seen:
        async with self.session.get(f"{self.base}/portal{path}", headers=headers, allow_redirects=False) as answer:
            return Seen(answer.status, await answer.text(), dict(answer.headers))

    async def post(self, path: str, fields: Mapping[str, str], **headers: str) -> Seen:
        async with self.session.post(
            f"{self.base}/portal{path}", data=fields, headers=FROM_HERE | headers, allow_redirects=False
        ) as answer:
            return Seen(answer.status, await answer.text(), dict(answer.headers))

    async def sign_in(self, license_key: str) -> Seen:
        return await self.post("/sign-in", {"licensekey": license_key})

    async def token(self) -> str:
        """The token of this session's forms."""
        page = await self.get("/keys")
        found = TOKEN.search(page.text)
        assert found is not None, page
        return found[1]

    async def send(self, path: str, **fields: str) -> Seen:
        """Send a form of a page of the session."""
        return await self.post(path, {"csrf_token": await self.token(), **fields})
