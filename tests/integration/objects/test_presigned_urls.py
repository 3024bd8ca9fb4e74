"""A presigned URL gives one object to whoever has it, until it expires."""

from __future__ import annotations

from datetime import timedelta

import aiohttp

from tests.integration.objects.conftest import ZIP, ScratchPrefix, wait_until
from tests.support.s3_operations import credentials_of


async def test_a_presigned_url_downloads_one_object_as_a_file(scratch: ScratchPrefix) -> None:
    await scratch.put("a.zip", data=b"0123456789")
    url = await scratch.objects.presigned_url(
        scratch.bucket, f"{scratch.prefix}a.zip", lifetime=timedelta(minutes=5), file_name="days.zip"
    )
    assert credentials_of(scratch.settings).secret_key not in url
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, b"0123456789")
            assert answer.headers["Content-Disposition"] == 'attachment; filename="days.zip"'
            assert answer.content_type == ZIP
        async with http.get(url, headers={"Range": "bytes=3-5"}) as answer:
            assert (answer.status, await answer.read()) == (206, b"345")
        async with http.put(url, data=b"other") as answer:
            assert answer.status == 403
    assert await scratch.objects.get(scratch.bucket, f"{scratch.prefix}a.zip") == b"0123456789"


async def test_a_changed_or_expired_presigned_url_is_refused(scratch: ScratchPrefix) -> None:
    await scratch.put("a.zip", "b.zip")
    key = f"{scratch.prefix}a.zip"
    url = await scratch.objects.presigned_url(scratch.bucket, key, lifetime=timedelta(minutes=5), file_name="days.zip")
    short = await scratch.objects.presigned_url(
        scratch.bucket, key, lifetime=timedelta(seconds=1), file_name="days.zip"
    )
    last = url[-1]
    tampered = [
        url.replace("a.zip", "b.zip", 1),
        url.replace("X-Amz-Expires=300", "X-Amz-Expires=3000"),
        url.replace("days.zip", "else.zip"),
        url[:-1] + ("0" if last != "0" else "1"),
        url.partition("?")[0],
    ]
    assert url not in tampered
    async with aiohttp.ClientSession() as http:

        async def refuses(address: str) -> bool:
            async with http.get(address) as answer:
                return answer.status == 403

        for address in tampered:
            assert await refuses(address), address
        await wait_until(lambda: refuses(short))
        assert not await refuses(url)
