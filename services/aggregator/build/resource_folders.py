"""The folders of a dataset of layout `resource`, and what a resource may take out of each.

The pipelines name a folder after the channel or the resource, and all of it belongs to the resource. Some remove odd
characters of the channel first, so that two channels may share a folder; and what names no channel lies in `others`. Of
such a folder a resource takes the events that are its own.
"""

from __future__ import annotations

import re
from typing import Final

from telemetry.resource_ids import canonical_resource_id, resource_id

_OTHERS: Final = "others"
_REMOVED: Final = re.compile(r"[^a-zA-Z0-9._$-]")


def belongs_to(folder: str, resource: str) -> bool:
    """Return True when all that a folder holds belongs to a resource: it has its id in any form, or its owner's id."""
    return folder != _OTHERS and resource in {folder, canonical_resource_id(folder), resource_id(folder)}


def may_hold_events_of(folder: str, resource: str, *, owner: str | None, default_channel: str) -> bool:
    """Return True when a folder may hold events of a resource, among those of others or alone.

    Args:
        folder: its name, without slashes.
        resource: id in canonical form.
        owner: plain id of the channel or partner that the resource stands for, when it is known.
        default_channel: the channel of events that name none.
    """
    if folder == _OTHERS:
        return resource == resource_id(default_channel)
    if belongs_to(folder, resource):
        return True
    return owner is not None and folder == _REMOVED.sub("", owner) and resource == resource_id(owner)
