"""An archive is found by its content: the same inputs find it, other inputs build another."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from exhaust.errors import ExhaustError
from tests.integration.day_builder.conftest import LATER, MIB, NAME, agrees_with_itself
from tests.support.raw_dataset import RawDataset, event, packed, summary_key
from tests.support.s3_operations import delete_object

if sys.version_info >= (3, 14):
    pass
else:
    pass

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_a_day_that_was_built_is_found_and_nothing_is_written(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    first = await shared.build()
    sentinel = b"written by the test over the archive"
    await shared.objects.put(shared.settings.s3_exhaust_bucket, first.summary.key, sentinel)
    second = await shared.build()
    assert second.reused
    assert second.summary == first.summary
    assert await shared.archive(second.summary) == sentinel
    assert len(await shared.archives()) == 2


async def test_an_archive_without_its_summary_is_built_again(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    first = await shared.build()
    await shared.objects.put(shared.settings.s3_exhaust_bucket, first.summary.key, b"half an arch")
    await delete_object(shared.settings, shared.settings.s3_exhaust_bucket, summary_key(first.summary))
    again = await shared.build()
    assert not again.reused
    assert again.summary == first.summary
    assert await shared.members(again.summary) == {NAME: event()}


async def test_new_and_replaced_objects_give_new_archives(shared: RawDataset) -> None:
    await shared.put(f"{NAME}.gz", packed(event(1)))
    first = await shared.build()
    await shared.put(f"{LATER}.gz", packed(event(2)))
    second = await shared.build()
    await shared.put(f"{NAME}.gz", packed(event(3)))
    third = await shared.build()
    await shared.put(f"{NAME}.gz", packed(event(1)))
    fourth = await shared.build()
    assert len({built.summary.key for built in (first, second, third)}) == 3
    assert fourth.reused
    assert fourth.summary == second.summary
    assert [await shared.members(built.summary) for built in (first, second, third)] == [
        {NAME: event(1)},
        {NAME: event(1), LATER: event(2)},
        {NAME: event(3), LATER: event(2)},
    ]


async def test_the_same_inputs_give_the_same_bytes(new_dataset: Callable[..., RawDataset]) -> None:
    lines = [event(number, filler=hashlib.sha256(str(number).encode()).hexdigest()) for number in range(20_000)]
    archives = []
    for _ in range(2):
        dataset = new_dataset()
        await dataset.put(f"{LATER}.gz", packed(event()))
        await dataset.put(f"{NAME}.gz", packed(*lines))
        archives.append(await dataset.archive((await dataset.build()).summary))
    assert archives[0] == archives[1]


async def test_without_a_folder_for_temporary_files_the_day_can_be_tried_again(
    shared: RawDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shared.put(f"{NAME}.gz", packed(event()))
    with monkeypatch.context() as away:
        away.setattr(tempfile, "tempdir", str(tmp_path / "away"))
        with pytest.raises(ExhaustError, match="cannot keep its temporary files") as raised:
            await shared.build()
    assert raised.value.retryable
    assert await shared.archives() == []
    assert (await shared.build()).summary.events == 1


async def test_a_day_of_several_upload_parts_is_whole(shared: RawDataset) -> None:
    noise = [event(number, filler=os.urandom(512).hex()) for number in range(17_000)]
    await shared.put(f"{NAME}.gz", packed(*noise[:9000]))
    await shared.put(f"{LATER}.gz", packed(*noise[9000:]))
    built = await shared.build()
    assert built.summary.size > 8 * MIB
    assert "-" in (await shared.objects.head(shared.settings.s3_exhaust_bucket, built.summary.key)).etag
    members = await shared.members(built.summary)
    assert members[NAME] == b"".join(noise[:9000])
    assert members[LATER] == b"".join(noise[9000:])
    await agrees_with_itself(shared, built.summary)
