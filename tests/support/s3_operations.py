"""S3 operations that only tests need, signed with botocore's signer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import aiohttp
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from exhaust.settings import S3Settings


async def list_multipart_uploads(settings: S3Settings, bucket: str, prefix: str) -> list[str]:
    """List the keys below a prefix that have a multipart upload which is neither complete nor aborted."""
    listing = await _call(settings, "GET", f"/{bucket}?uploads=")
    assert "<ListMultipartUploadsResult" in listing
    return [key for key in re.findall("<Key>([^<]*)</Key>", listing) if key.startswith(prefix)]


async def expiration_days(settings: S3Settings, bucket: str) -> dict[str, int]:
    """Return after how many days the objects of a bucket expire, by prefix of the key."""
    rules = await _call(settings, "GET", f"/{bucket}?lifecycle=")
    return {prefix: int(days) for prefix, days in re.findall("<Prefix>([^<]*)</Prefix>.*?<Days>(\\d+)</Days>", rules)}


async def delete_object(settings: S3Settings, bucket: str, key: str) -> None:
    """Delete an object whose key needs no escapes in a URL."""
    await _call(settings, "DELETE", f"/{bucket}/{key}")


async def _call(settings: S3Settings, method: str, path: str) -> str:
    url = settings.s3_endpoint + path
    request = AWSRequest(method, url)
    S3SigV4Auth(credentials_of(settings), "s3", settings.s3_region).add_auth(request)
    headers = dict(request.headers.items())
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=headers) as answer:
        assert answer.status in {200, 204}, await answer.text()
        return await answer.text()


def credentials_of(settings: S3Settings) -> Credentials:
    """Return the credentials of settings that hold some."""
    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    return Credentials(settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value())
