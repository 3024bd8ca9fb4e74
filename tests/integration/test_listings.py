"""The listing of a day of fifty thousand objects, whose pages a small server makes up."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from exhaust.domain.catalogue import Layout
from exhaust.http.listener import open_listener
from exhaust.s3.store import open_object_store
from services.aggregator.build.day_builder import list_sources
from tests.support.raw_dataset import DAY, RawDataset, event, packed
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings

PAGE = 1000  # keys of a page at most, as in every store
MANY = 50_000


class PagedStore:
    """Answers ListObjectsV2 (Amazon S3 API reference) for keys that it only holds the names of.

    Attributes:
        pages: how many were asked for.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = sorted(keys)
        self._below: dict[str, list[str]] = {}
        self.pages = 0

    async def answer(self, request: web.Request) -> web.Response:
        assert request.query["list-type"] == "2"
        prefix = request.query["prefix"]
        start = int(request.query.get("continuation-token", "0"))
        if prefix not in self._below:
            self._below[prefix] = [key for key in self._keys if key.startswith(prefix)]
        keys = self._below[prefix]
        page, more = keys[start : start + PAGE], start + PAGE < len(keys)
        self.pages += 1
        contents = "".join(
            f"<Contents><Key>{key}</Key><ETag>&#34;e&#34;</ETag><Size>5</Size>"
            "<LastModified>2026-11-01T00:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        following = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        return web.Response(
            content_type="application/xml",
            text='<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following}{contents}</ListBucketResult>",
        )


@asynccontextmanager
async def paged(settings: S3RawBucketSettings, keys: Sequence[str]) -> AsyncIterator[tuple[ObjectStore, PagedStore]]:
    store = PagedStore(keys)
    app = web.Application()
    app.router.add_get("/{bucket}", store.answer)
    port = closed_port()
    async with (
        open_listener(app, "127.0.0.1", port),
        open_object_store(settings.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{port}"})) as objects,
    ):
        yield objects, store


async def test_the_made_up_store_lists_like_the_real_one(
    objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    dataset = RawDataset.new(objects, s3_settings, Layout.SHARED)
    names = ["2026-11-01-1.gz", "2026-11-01-10.gz", "2026-11-02-1.gz", "2026-11-01-9.gz"]
    for name in names:
        await dataset.put(name, packed(event()))
    bucket = s3_settings.s3_raw_bucket
    keys = [dataset.dataset.prefix + name for name in names]
    async with paged(s3_settings, keys) as (made_up, _):
        for prefix in ("", "2026-11-01-", "2026-11-01-1", "nothing"):
            found = [
                [each.key async for each in store.list(bucket, dataset.dataset.prefix + prefix)]
                for store in (objects, made_up)
            ]
            assert found[0] == found[1]


async def test_fifty_thousand_objects_of_a_day_are_listed_in_order(
    objects: ObjectStore, s3_settings: S3RawBucketSettings
) -> None:
    dataset = RawDataset.new(objects, s3_settings, Layout.SHARED)
    keys = [f"{dataset.dataset.prefix}{DAY}-{1793491200000 + number * 7919 % MANY}.json.gz" for number in range(MANY)]
    async with paged(s3_settings, keys) as (many, store):
        found = await list_sources(
            many, s3_settings.s3_raw_bucket, dataset.dataset, dataset.message(), default_channel="in.ekstep"
        )
    assert [source.key for source in found] == sorted(keys)
    assert store.pages == MANY // PAGE
