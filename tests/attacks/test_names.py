"""Names of raw objects and folders as the pipelines write them, and what becomes of them in a download."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pytest
from backports import zstd

from tests.attacks.callers import ask, new_owner, resource_of
from tests.attacks.downloads import opened
from tests.attacks.lines import line, packed

if TYPE_CHECKING:
    from tests.attacks.callers import Caller, Callers
    from tests.attacks.downloads import Opened
    from tests.attacks.store import RawData

DAY, SHARED_DAY = "2025-04-02", "2025-04-03"
DEFAULT: Final = "in.ekstep"
# The member that an object becomes, by what follows the day in the object's name.
MEMBERS: Final = {
    "-1743552000000.json.gz": "-1743552000000.json",
    "-1743552000001.json.gzip": "-1743552000001.json",
    "-1743552000002.json.gz.tmp": "-1743552000002.json",
    "-1743552000003.json.zst": "-1743552000003.json",
    "-1743552000004.json.tmp": "-1743552000004.json",
    "-1743552000005.json": "-1743552000005.json",
    "-3-1743552000006.json.gz": "-3-1743552000006.json",
    "-11-1743552000007.json.gzip.tmp": "-11-1743552000007.json",
    "-1743552000008.JSON.GZ": "-1743552000008.JSON",
}
TWICE: Final = ("-1743552000009.json.gz", "-1743552000009.json.gz.tmp")
TWO_FORMS: Final = tuple(unicodedata.normalize(form, f"-caf{chr(0xE9)}.json.gz") for form in ("NFC", "NFD"))


@dataclass(frozen=True, slots=True)
class Place:
    caller: Caller
    owner: str
    download: Opened


@pytest.fixture(scope="module")
async def place(callers: Callers, raw: RawData) -> Place:
    """A day of layout `resource` whose objects have every name."""
    owner = new_owner()
    for ending in (*MEMBERS, *TWICE, *TWO_FORMS):
        written = line(owner, f"{DAY}{ending}")
        data = zstd.compress(written) if ending.endswith(".zst") else packed(written)
        await raw.put(f"public/{owner}/{DAY}{ending}", data)
    caller = await callers.new(owner)
    download = await caller.archive_of(await caller.accepted(f"D001/{{}}/{DAY}/{DAY}", owner))
    return Place(caller, owner, opened(download))


def member_of(place: Place, ending: str) -> str:
    """The member that holds the line of an object."""
    [name] = [name for name, data in place.download.days[DAY].items() if f'"{DAY}{ending}"'.encode() in data]
    return name


@pytest.mark.parametrize("ending", MEMBERS)
def test_a_member_loses_what_names_its_compression_or_that_it_was_unfinished(place: Place, ending: str) -> None:
    assert member_of(place, ending) == DAY + MEMBERS[ending]


def test_two_objects_that_become_one_name_stay_two_members(place: Place) -> None:
    assert {member_of(place, ending) for ending in TWICE} == {
        f"{DAY}-1743552000009.json",
        f"{DAY}-1743552000009-2.json",
    }


def test_names_that_differ_by_normal_form_alone_become_members_that_no_system_takes_for_one(place: Place) -> None:
    names = list(place.download.days[DAY])
    assert len(names) == len(MEMBERS) + len(TWICE) + len(TWO_FORMS)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert len({unicodedata.normalize(form, name).casefold() for name in names}) == len(names), form


def test_the_manifest_names_the_member_of_each_object(place: Place) -> None:
    entry = place.download.day(DAY)
    told = {source["object"]: source.get("member") for source in entry["sources"]}
    assert set(told.values()) == set(place.download.days[DAY])
    assert told[f"{DAY}-1743552000001.json.gzip"] == f"{DAY}-1743552000001.json"


async def test_the_manifest_names_no_member_of_an_object_that_has_none(callers: Callers, raw: RawData) -> None:
    owner = new_owner()
    await raw.put(f"raw/{SHARED_DAY}-1743638400000.json.gz", packed(line(owner, "mine")))
    await raw.put(f"raw/{SHARED_DAY}-1743638400001.json.gz", packed(line("others", "others")))
    caller = await callers.new(owner)
    path = f"eks-consumption-raw/{{}}/{SHARED_DAY}/{SHARED_DAY}"
    download = opened(await caller.archive_of(await caller.accepted(path, owner)))
    told = [(source["events"], source.get("member")) for source in download.day(SHARED_DAY)["sources"]]
    assert told == [(1, f"{SHARED_DAY}-1743638400000.json"), (0, None)]


async def test_names_with_a_kafka_partition_tell_when_the_objects_were_received(callers: Callers, raw: RawData) -> None:
    owner, day = new_owner(), "2025-04-04"
    for name in (f"{day}-3-1575399627832", f"{day}-11-1575399627900", f"{day}-0-1575399627850"):
        await raw.put(f"public/{owner}/{name}.json.gz", packed(line(owner, name)))
    caller = await callers.new(owner)
    entry = opened(await caller.archive_of(await caller.accepted(f"D001/{{}}/{day}/{day}", owner))).day(day)
    assert (entry["firstreceived"], entry["lastreceived"]) == ("2019-12-03T19:00:27.832Z", "2019-12-03T19:00:27.900Z")


async def test_a_folder_of_a_channel_whose_odd_characters_were_removed_is_found(callers: Callers, raw: RawData) -> None:
    stem, day = f"org.example_{uuid4().hex[:8]}$x", "2025-04-05"
    channel = f"{stem[:4]} +{stem[4:]}!(1)"
    await raw.put(f"channel/{stem}1/{day}-1743811200000.json.gz", packed(line(channel, "scrubbed")))
    caller = await callers.new(channel)
    path = f"channel-raw/{{}}/{day}/{day}"
    submitted = opened(await caller.archive_of(await caller.accepted(path, channel)))
    assert submitted.mids == ["scrubbed"]
    headers = {"X-API-Key": caller.license_key, "X-Channel-ID": channel}
    url = f"{caller.stack.gateway}/data/v3/datasets/channel-raw/{resource_of(channel)}/{day}/{day}"
    reply = await ask(caller.http, url, None, headers=headers, method="GET")
    assert opened(reply.body).mids == ["scrubbed"]


async def test_what_names_no_channel_lies_in_others_and_is_the_default_channels(callers: Callers, raw: RawData) -> None:
    day = "2025-04-06"
    await raw.put(f"channel/others/{day}-1743897600000.json.gz", packed(line(None, "nameless")))
    caller, path = await callers.new(DEFAULT), f"channel-raw/{{}}/{day}/{day}"
    held = await caller.download(path, DEFAULT)  # by its hash alone
    assert opened(held.body).mids == ["nameless"]
    assert opened(await caller.archive_of(await caller.accepted(path, DEFAULT))).mids == ["nameless"]
