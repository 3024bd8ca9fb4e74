"""List: the raw objects of one day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.domain.catalogue import Dataset, Layout
from telemetry.resource_ids import canonical_resource_id, resource_id

if TYPE_CHECKING:
    from datetime import date

    from exhaust.s3.object_info import ObjectInfo
    from exhaust.s3.store import Objects


async def day_sources(objects: Objects, bucket: str, dataset: Dataset, resource: str, day: date) -> list[ObjectInfo]:
    """The raw objects that may hold events of a resource received on a day, in key order.

    In a shared layout these are all objects of the day. In a resource layout they are those in the folders whose name
    is the resource id, in any of its forms, or the id of the partner or channel that it stands for.
    """
    if dataset.layout is Layout.SHARED:
        prefixes = [dataset.prefix]
    else:
        prefixes = [
            f"{dataset.prefix}{folder}/"
            async for folder in objects.folders(bucket, dataset.prefix)
            if resource in {folder, canonical_resource_id(folder), resource_id(folder)}
        ]
    sources = []
    for prefix in prefixes:
        sources += [
            found
            async for found in objects.list(bucket, f"{prefix}{day.isoformat()}-")
            if "/" not in found.key.removeprefix(prefix)  # a deeper folder may belong to another dataset
        ]
    return sorted(sources, key=lambda source: source.key)
