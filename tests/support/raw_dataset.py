"""A dataset on real S3 that only one test knows, and the days that are built of it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from exhaust.domain.catalogue import Catalogue, Dataset, Layout
from exhaust.domain.object_keys import DAY_SUMMARIES, DAYS
from schemas.events import DayRequested
from services.aggregator.build.day_builder import BuiltDay, DayBuilder, list_sources, open_day_builder
from services.aggregator.build.day_plan import DayPlan, plan_day
from services.aggregator.settings import AggregatorSettings
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from exhaust.s3.store import ObjectStore
    from exhaust.settings import S3RawBucketSettings
    from services.aggregator.archive.day_summary import DaySummary

DAY = date(2026, 11, 1)
CHANNEL = "in.channel.mine"
MINE = resource_id(CHANNEL)


def event(number: int = 0, *, channel: str = CHANNEL, tags: tuple[str, ...] = (), filler: str = "") -> bytes:
    """The line of a 3.0 event."""
    members = {"eid": "IMPRESSION", "ver": "3.0", "mid": str(number), "context": {"channel": channel}}
    return json.dumps({**members, "tags": tags, "edata": {"filler": filler}}).encode() + b"\n"


def packed(*lines: bytes) -> bytes:
    """The bytes of a gzip object that holds these lines."""
    return gzip.compress(b"".join(lines), compresslevel=1, mtime=0)


@dataclass(frozen=True, slots=True)
class RawDataset:
    """The dataset, with the settings under which its days are built."""

    objects: ObjectStore
    settings: AggregatorSettings
    dataset: Dataset

    @classmethod
    def new(
        cls, objects: ObjectStore, s3_settings: S3RawBucketSettings, layout: Layout, **limits: object
    ) -> RawDataset:
        """A dataset without objects.

        Args:
            objects: the store.
            s3_settings: its buckets.
            layout: how the raw objects lie.
            limits: settings of the aggregator that are not the default ones.
        """
        name = f"dataset-{uuid4().hex[:8]}"
        given = {"port": 1, "kafka_bootstrap": "nowhere", "cores": 1, **dict(s3_settings), **limits}
        dataset = Dataset(id=name, aliases=(f"{name}-alias",), prefix=f"{name}/raw/", layout=layout, retention_days=1)
        return cls(objects, AggregatorSettings.model_validate(given), dataset)

    def builder(self) -> AbstractAsyncContextManager[DayBuilder]:
        names = (self.dataset.id, *self.dataset.aliases)
        return open_day_builder(self.objects, Catalogue(dict.fromkeys(names, self.dataset)), self.settings)

    async def put(self, name: str, data: bytes) -> None:
        """Write a raw object; its name counts from the dataset's prefix."""
        await self.objects.put(self.settings.s3_raw_bucket, self.dataset.prefix + name, data)

    def message(
        self,
        *,
        resource: str = MINE,
        owner: str | None = None,
        tags: tuple[str, ...] = (),
        day: date = DAY,
        days: int = 1,
        request: UUID | None = None,
    ) -> DayRequested:
        """The message for one day of a request of `days` days that begins with DAY."""
        return DayRequested(
            requestid=request or uuid4(),
            attempt=1,
            datasetid=self.dataset.id,
            resourceid=resource,
            owner=owner,
            fromdate=DAY,
            todate=DAY + timedelta(days=days - 1),
            tags=tags,
            day=day,
        )

    async def plan(self, *, resource: str = MINE, owner: str | None = None, tags: tuple[str, ...] = ()) -> DayPlan:
        """What shall be built of DAY as its objects are now."""
        bucket, channel = self.settings.s3_raw_bucket, self.settings.default_channel
        message = self.message(resource=resource, owner=owner, tags=tags)
        sources = await list_sources(self.objects, bucket, self.dataset, message, default_channel=channel)
        return plan_day(self.dataset, message, sources, default_channel=channel)

    async def build(
        self, *, resource: str = MINE, owner: str | None = None, tags: tuple[str, ...] = (), day: date = DAY
    ) -> BuiltDay:
        return await self.build_message(self.message(resource=resource, owner=owner, tags=tags, day=day))

    async def build_message(self, message: DayRequested) -> BuiltDay:
        async with self.builder() as builder:
            return await builder.build(message)

    async def archive(self, summary: DaySummary) -> bytes:
        """The bytes of a day archive, without its header as a member of a download."""
        return (await self.objects.get(self.settings.s3_exhaust_bucket, summary.key))[-summary.size :]

    async def members(self, summary: DaySummary) -> dict[str, bytes]:
        """What a day archive holds, by name, in its order."""
        with zipfile.ZipFile(io.BytesIO(await self.archive(summary))) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}

    async def archives(self) -> list[str]:
        """Keys of all that was built of the dataset: day archives, then their summaries."""
        prefixes = (f"{start}{self.dataset.id}/" for start in (DAYS, DAY_SUMMARIES))
        bucket = self.settings.s3_exhaust_bucket
        return [info.key for prefix in prefixes async for info in self.objects.list(bucket, prefix)]


def summary_key(summary: DaySummary) -> str:
    """Where the summary lies that says that a day archive is there."""
    return summary.key.replace(DAYS, DAY_SUMMARIES, 1).removesuffix("zip") + "json"
