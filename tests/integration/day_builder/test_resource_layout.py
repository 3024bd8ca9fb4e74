"""The resource layout, in which whole objects of the resource's own folders are taken."""

from __future__ import annotations

import hashlib
import sys

import pytest

from telemetry.resource_ids import resource_id
from tests.integration.day_builder.conftest import LATER, NAME
from tests.support.raw_dataset import CHANNEL, RawDataset, event, packed

if sys.version_info >= (3, 14):
    pass
else:
    pass


SHA1 = hashlib.sha1(CHANNEL.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("folder", [CHANNEL, SHA1[:32], SHA1, SHA1.upper()])
async def test_a_folder_may_be_named_in_every_form_of_the_resource(by_resource: RawDataset, folder: str) -> None:
    content = event(1) + b"junk\n" + event(2, channel="whatever it says") + b"\n[1]"
    await by_resource.put(f"{folder}/{NAME}.gz", packed(content))
    await by_resource.put(f"somebody-else/{NAME}.gz", packed(event()))
    built = await by_resource.build()
    assert await by_resource.members(built.summary) == {NAME: content}
    assert (built.summary.events, built.summary.unreadable, built.summary.bytes) == (2, 2, len(content))


async def test_a_folder_may_have_lost_its_leading_zero(by_resource: RawDataset) -> None:
    partner = "org.ekstep.partner.p3"
    full = hashlib.sha1(partner.encode(), usedforsecurity=False).hexdigest()
    assert full.startswith("0")
    await by_resource.put(f"{full[1:]}/{NAME}.gz", packed(event()))
    built = await by_resource.build(resource=resource_id(partner))
    assert await by_resource.members(built.summary) == {NAME: event()}


async def test_an_opaque_resource_is_its_folders_name(by_resource: RawDataset) -> None:
    await by_resource.put(f"public/{NAME}.gz", packed(event(1)))
    await by_resource.put(f"publicity/{NAME}.gz", packed(event(2)))
    await by_resource.put(f"PUBLIC/{NAME}.gz", packed(event(3)))
    built = await by_resource.build(resource="public")
    assert await by_resource.members(built.summary) == {NAME: event(1)}


async def test_folders_of_one_resource_come_together(by_resource: RawDataset) -> None:
    for folder, number in ((CHANNEL, 1), (SHA1[:32], 2), (SHA1, 3)):
        await by_resource.put(f"{folder}/{NAME}.gz", packed(event(number)))
    built = await by_resource.build()
    members = await by_resource.members(built.summary)
    keys = sorted(f"{by_resource.dataset.prefix}{folder}/{NAME}.gz" for folder in (CHANNEL, SHA1[:32], SHA1))
    assert [source.object for source in built.summary.sources] == keys
    assert sorted(members.values()) == [event(1), event(2), event(3)]
    assert list(members) == [NAME, NAME.replace(".json", "-2.json"), NAME.replace(".json", "-3.json")]


async def test_tags_choose_among_a_folders_events(by_resource: RawDataset) -> None:
    tagged = event(1, channel="whatever it says", tags=("a",))
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", packed(tagged, b"junk\n", event(2)))
    built = await by_resource.build(tags=("a",))
    assert await by_resource.members(built.summary) == {NAME: tagged}
    assert (built.summary.events, built.summary.unreadable) == (1, 1)


async def test_neighbours_of_a_folder_are_not_taken(by_resource: RawDataset) -> None:
    await by_resource.put(f"{CHANNEL}/{NAME}.gz", packed(event()))
    for name in (f"{CHANNEL}/deeper/{NAME}.gz", f"{CHANNEL}.x/{NAME}.gz", f"{CHANNEL}/2026-11-011-1.gz", f"{NAME}.gz"):
        await by_resource.put(name, packed(event()))
    built = await by_resource.build()
    assert [source.object for source in built.summary.sources] == [f"{by_resource.dataset.prefix}{CHANNEL}/{NAME}.gz"]


async def test_a_folder_without_the_odd_characters_of_a_channel_gives_its_own_events(
    by_resource: RawDataset,
) -> None:
    channel = "in. +channel!(1)$_-"
    mine, theirs = event(1, channel=channel), event(2, channel="in.channel1$_-")
    await by_resource.put(f"in.channel1$_-/{NAME}.gz", packed(mine, b"junk\n", theirs))
    built = await by_resource.build(resource=resource_id(channel), owner=channel)
    assert await by_resource.members(built.summary) == {NAME: mine}
    whole = await by_resource.build(resource=resource_id("in.channel1$_-"))
    assert await by_resource.members(whole.summary) == {NAME: mine + b"junk\n" + theirs}


async def test_a_folder_is_not_found_for_a_resource_that_is_not_the_owners(by_resource: RawDataset) -> None:
    await by_resource.put(f"in.channel/{NAME}.gz", packed(event(1)))
    built = await by_resource.build(resource=resource_id("somebody"), owner="in+.channel")
    assert built.summary.sources == ()


async def test_what_names_no_channel_lies_in_others_and_is_the_default_channels(by_resource: RawDataset) -> None:
    nameless, named = event(1).replace(b'"context": {"channel": "in.channel.mine"}', b'"context": {}'), event(2)
    await by_resource.put(f"others/{NAME}.gz", packed(nameless, named))
    await by_resource.put(f"in.ekstep/{LATER}.gz", packed(named, b"junk\n"))
    built = await by_resource.build(resource=resource_id("in.ekstep"))
    assert await by_resource.members(built.summary) == {LATER: named + b"junk\n", NAME: nameless}
    assert (await by_resource.build(resource=resource_id("others"))).summary.sources == ()
    assert (await by_resource.build()).summary.sources == ()


async def test_the_summary_names_the_member_of_each_source(by_resource: RawDataset) -> None:
    for name, data in ((f"{NAME}.gz", packed(event())), (f"{NAME}.gz.tmp", packed(event())), (f"{LATER}.gz", packed())):
        await by_resource.put(f"{CHANNEL}/{name}", data)
    built = await by_resource.build()
    assert [source.member for source in built.summary.sources] == [NAME, NAME.replace(".json", "-2.json"), None]
