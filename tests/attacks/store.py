"""A small S3 client (AWS Signature Version 4) that shows what it is told to: any credentials, or none."""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from yarl import URL

if TYPE_CHECKING:
    import aiohttp

_SIGNED: Final = "host;x-amz-content-sha256;x-amz-date"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True)
class Store:
    """An S3 endpoint as the holder of some credentials sees it; without an access key, as anybody does."""

    http: aiohttp.ClientSession
    endpoint: str
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    async def put(self, bucket: str, key: str, data: bytes) -> None:
        status, text = await self.call("PUT", bucket, key, data=data)
        assert status == 200, text

    async def get(self, bucket: str, key: str) -> bytes:
        status, data = await self.call("GET", bucket, key)
        assert status == 200, data
        return data

    async def list(self, bucket: str, prefix: str) -> dict[str, int]:
        """Sizes by key, of up to 1,000 objects."""
        query = f"list-type=2&prefix={quote(prefix, safe='')}"
        status, text = await self.call("GET", bucket, query=query)
        assert status == 200, text
        entries = re.findall("<Key>([^<]*)</Key>.*?<Size>([0-9]+)</Size>", text.decode())
        return {unescape(key): int(size) for key, size in entries}

    async def call(
        self, method: str, bucket: str, key: str = "", *, query: str = "", data: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body of one call, whatever they are."""
        path = f"/{bucket}/{quote(key, safe='/-_.~')}" if key else f"/{bucket}"
        url = URL(f"{self.endpoint}{path}?{query}".rstrip("?"), encoded=True)
        headers = self._headers(method, path, query) if self.access_key else {}
        async with self.http.request(method, url, headers=headers, data=io.BytesIO(data) if data else None) as answer:
            return answer.status, await answer.read()

    def _headers(self, method: str, path: str, query: str) -> dict[str, str]:
        host = self.endpoint.removeprefix("http://")
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{_REGION}/s3/aws4_request"
        signed = f"host:{host}\nx-amz-content-sha256:{_UNSIGNED}\nx-amz-date:{moment}\n"
        canonical = f"{method}\n{path}\n{query}\n{signed}\n{_SIGNED}\n{_UNSIGNED}"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + self.secret_key.encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        credential = f"Credential={self.access_key}/{scope}"
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        return {
            "x-amz-date": moment,
            "x-amz-content-sha256": _UNSIGNED,
            "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={_SIGNED}, Signature={signature}",
        }


@dataclass(frozen=True, slots=True)
class RawData:
    """Writes raw telemetry objects, as the platform does."""

    store: Store
    bucket: str

    async def put(self, key: str, data: bytes) -> None:
        await self.store.put(self.bucket, key, data)
