"""S3 operations that the kit does not have, signed here by hand (AWS Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import aiohttp

if TYPE_CHECKING:
    from exhaust.settings import RawObjectSettings

_SIGNED: Final = "host;x-amz-content-sha256;x-amz-date"
_UNSIGNED: Final = "UNSIGNED-PAYLOAD"


async def open_uploads(settings: RawObjectSettings, bucket: str, prefix: str) -> list[str]:
    """Keys below the prefix that have a multipart upload which is neither completed nor aborted."""
    listing = await _call(settings, "GET", f"/{bucket}", "uploads=")
    assert "<ListMultipartUploadsResult" in listing
    return [key for key in re.findall("<Key>([^<]*)</Key>", listing) if key.startswith(prefix)]


async def lifetimes(settings: RawObjectSettings, bucket: str) -> dict[str, int]:
    """After how many days the bucket's objects expire, by what their keys begin with."""
    rules = await _call(settings, "GET", f"/{bucket}", "lifecycle=")
    return {prefix: int(days) for prefix, days in re.findall("<Prefix>([^<]*)</Prefix>.*?<Days>(\\d+)</Days>", rules)}


async def delete_object(settings: RawObjectSettings, bucket: str, key: str) -> None:
    """Delete an object whose key needs no escapes in a URL."""
    await _call(settings, "DELETE", f"/{bucket}/{key}", "")


async def _call(settings: RawObjectSettings, method: str, path: str, query: str) -> str:
    url = f"{settings.s3_endpoint}{path}?{query}".rstrip("?")
    headers = _headers(settings, method, path, query)
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as answer:
        assert answer.status in {200, 204}, await answer.text()
        return await answer.text()


def _headers(settings: RawObjectSettings, method: str, path: str, query: str) -> dict[str, str]:
    host = settings.s3_endpoint.removeprefix("http://")
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{settings.s3_region}/s3/aws4_request"
    signed = f"host:{host}\nx-amz-content-sha256:{_UNSIGNED}\nx-amz-date:{moment}\n"
    canonical = f"{method}\n{path}\n{query}\n{signed}\n{_SIGNED}\n{_UNSIGNED}"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + settings.s3_secret_key.get_secret_value().encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"{settings.s3_access_key.get_secret_value()}/{scope}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return {
        "x-amz-date": moment,
        "x-amz-content-sha256": _UNSIGNED,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={_SIGNED}, Signature={signature}",
    }
