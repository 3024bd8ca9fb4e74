"""The shared layout, in which the lines of a resource are selected from objects of all partners."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from exhaust.domain.catalogue import Layout
from exhaust.errors import ErrorCode, ExhaustError
from tests.integration.day_builder.conftest import LATER, NAME, agrees_with_itself
from tests.support.raw_dataset import DAY, RawDataset, event, packed

if sys.version_info >= (3, 14):
    pass
else:
    pass

if TYPE_CHECKING:
    from collections.abc import Callable


async def test_the_lines_of_a_resource_are_selected_byte_for_byte(shared: RawDataset) -> None:
    odd = b'  {"eid" : "X", "context":{ "channel":"in.channel.mine" }}\t\r\n'
    await shared.put(f"{LATER}.gz", packed(event(3), event(4, channel="other")))
    await shared.put(f"{NAME}.gz", packed(event(1), event(2, channel="other"), b"junk\n", odd))
    await shared.put("2026-11-01-1793498400000.json.gz", packed(event(5, channel="other")))
    built = await shared.build()
    assert not built.reused
    assert await shared.members(built.summary) == {NAME: event(1) + odd, LATER: event(3)}
    summary = built.summary
    assert (summary.day, summary.events, summary.unreadable) == (DAY, 3, 1)
    assert summary.bytes == len(event(1) + odd + event(3))
    assert [(source.object.rpartition("/")[2], source.events) for source in summary.sources] == [
        (f"{NAME}.gz", 2),
        (f"{LATER}.gz", 1),
        ("2026-11-01-1793498400000.json.gz", 0),
    ]
    assert (summary.first_received, summary.last_received) == ("2026-11-01T00:00:00.000Z", "2026-11-01T01:00:00.000Z")
    await agrees_with_itself(shared, summary)


async def test_tags_choose_among_the_resources_events(shared: RawDataset) -> None:
    lines = [event(1, tags=("a", "b")), event(2, tags=("c",)), event(3), event(4, channel="other", tags=("a",))]
    await shared.put(f"{NAME}.gz", packed(*lines))
    built = [await shared.build(tags=tags) for tags in [("a",), ("c", "b"), ("b", "c"), ("none",), ()]]
    assert [set(day.summary.tags or ()) for day in built] == [{"a"}, {"b", "c"}, {"b", "c"}, {"none"}, set()]
    assert built[-1].summary.tags == ()
    found = [(await shared.members(day.summary)).get(NAME) for day in built]
    assert found == [lines[0], lines[0] + lines[1], lines[0] + lines[1], None, b"".join(lines[:3])]
    assert [day.reused for day in built] == [False, False, True, False, False]


async def test_an_unknown_dataset_is_an_internal_error_and_so_is_an_alias(shared: RawDataset) -> None:
    # The gateway resolves aliases: a request's row, which a completion has to agree with, holds the dataset's own id.
    for name in ("no-such", shared.dataset.aliases[0]):
        with pytest.raises(ExhaustError) as raised:
            await shared.build_message(shared.message().model_copy(update={"datasetid": name}))
        assert raised.value.code is ErrorCode.INTERNAL_ERROR


@pytest.mark.parametrize("layout", list(Layout))
async def test_an_empty_day_is_a_valid_empty_archive(new_dataset: Callable[..., RawDataset], layout: Layout) -> None:
    dataset = new_dataset(layout)
    built = await dataset.build()
    assert await dataset.members(built.summary) == {}
    assert (built.summary.events, built.summary.bytes, built.summary.sources) == (0, 0, ())
    assert (built.summary.first_received, built.summary.last_received) == (None, None)
    await agrees_with_itself(dataset, built.summary)
    assert (await dataset.build()).reused


async def test_only_the_days_own_objects_are_taken(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    neighbours = [
        "2026-11-011-1793491200000.json.gz",
        "2026-11-01.json.gz",
        "2026-11-01T-1.json.gz",
        "2026-11-02-1793577600000.json.gz",
        "2026-10-31-1793404800000.json.gz",
        "x2026-11-01-1.json.gz",
        "deeper/2026-11-01-1793491200000.json.gz",
        "2026-11-01-folder/2026-11-01-1793491200000.json.gz",
    ]
    for name in neighbours:
        await shared.put(name, packed(event()))
    await shared.objects.put(
        shared.settings.s3_raw_bucket, f"{shared.dataset.prefix.rstrip('/')}-other/{NAME}.gz", packed(event())
    )
    built = await shared.build()
    assert [source.object for source in built.summary.sources] == [f"{shared.dataset.prefix}{NAME}.gz"]
