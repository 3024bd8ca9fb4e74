from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from exhaust.s3.object_info import ObjectInfo
from services.aggregator.archive.fingerprint import (
    ARCHIVE_FORMAT_VERSION,
    ArchiveBasis,
    day_fingerprint,
    listing_fingerprint,
)

QUICK = settings(max_examples=40, deadline=None)
ONE = ObjectInfo("raw/2026-11-01-1793500000000.json.gz", "aa", 10)
TWO = ObjectInfo("raw/2026-11-01-1793500001000.json.gz", "bb", 20)
TEXT = st.text(alphabet='a",[\\', max_size=4)
SOURCE = st.builds(ObjectInfo, TEXT, TEXT, st.integers(0, 3))
BASIS = ArchiveBasis(
    dataset="eks-consumption-raw",
    layout="shared",
    event_kinds=frozenset(),
    resource="4208ab995984d222b59299e5103d350a",
    tags=("class-5", "class-6"),
    default_channel="in.ekstep",
    deflater="d",
)


def fingerprint(*sources: ObjectInfo, basis: ArchiveBasis = BASIS, format_version: int = ARCHIVE_FORMAT_VERSION) -> str:
    return day_fingerprint(basis, sources, format_version=format_version)


def test_a_fingerprint_is_128_bits_in_hex() -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", fingerprint())


def test_a_fingerprint_stays_the_same_within_a_format_version() -> None:
    assert fingerprint(ONE, TWO, format_version=1) == "3748b769634b5886bea820fc199bf97d"


def test_everything_that_decides_the_bytes_changes_it() -> None:
    other = [
        replace(BASIS, resource="fd001eaba2e5b79b814446307d709ee2"),
        replace(BASIS, tags=("class-5",)),
        replace(BASIS, tags=()),
        replace(BASIS, tags=("class-5,class-6",)),
        replace(BASIS, dataset="eks-creation-raw"),
        replace(BASIS, layout="resource"),
        replace(BASIS, event_kinds=frozenset({"START"})),
        replace(BASIS, default_channel="other"),
        replace(BASIS, deflater="e"),
    ]
    variants = [
        fingerprint(ONE, TWO),
        fingerprint(ONE),
        fingerprint(),
        fingerprint(ONE, ObjectInfo(TWO.key, "cc", TWO.size)),
        fingerprint(ONE, ObjectInfo(TWO.key, TWO.etag, 21)),
        fingerprint(ONE, ObjectInfo("raw/other.json.gz", TWO.etag, TWO.size)),
        fingerprint(ONE, TWO, format_version=ARCHIVE_FORMAT_VERSION + 1),
        *(fingerprint(ONE, TWO, basis=basis) for basis in other),
    ]
    assert len(set(variants)) == len(variants)


def test_order_and_repeated_tags_do_not_change_it() -> None:
    assert fingerprint(TWO, ONE, basis=replace(BASIS, tags=("class-6", "class-5", "class-6"))) == fingerprint(ONE, TWO)


@QUICK
@given(*[st.tuples(st.lists(SOURCE, max_size=2), st.lists(TEXT, max_size=2), TEXT, TEXT)] * 2)
def test_fingerprints_are_equal_exactly_when_the_inputs_are(
    first: tuple[list[ObjectInfo], list[str], str, str], second: tuple[list[ObjectInfo], list[str], str, str]
) -> None:
    def of(inputs: tuple[list[ObjectInfo], list[str], str, str]) -> str:
        sources, tags, resource, dataset = inputs
        return fingerprint(*sources, basis=replace(BASIS, tags=tuple(tags), resource=resource, dataset=dataset))

    def meant(inputs: tuple[list[ObjectInfo], list[str], str, str]) -> object:
        sources, tags, resource, dataset = inputs
        return sorted(map(repr, sources)), set(tags), resource, dataset

    assert (of(first) == of(second)) == (meant(first) == meant(second))


def test_a_listing_is_known_by_its_objects_alone() -> None:
    both = listing_fingerprint([ONE, TWO])
    assert both == listing_fingerprint([TWO, ONE]) == "cbaa7aaa841e84c8b778246852c2a9bd"
    others = [[], [ONE], [TWO], [ONE, ONE], [ONE, replace(TWO, size=21)], [ONE, replace(TWO, etag="cc")]]
    assert len({both, *map(listing_fingerprint, others)}) == 1 + len(others)
