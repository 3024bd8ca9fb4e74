"""ARCHIVE_FORMAT_VERSION grows with every change that gives the same sources other bytes."""

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from zlib import crc32, decompressobj

from services.aggregator.archive.day_archive import DayArchiveWriter
from services.aggregator.archive.fingerprint import ARCHIVE_FORMAT_VERSION
from services.aggregator.archive.member_names import member_names
from services.aggregator.archive.zip_format import Content
from services.aggregator.scan.selector import Selection
from services.aggregator.scan.size_guard import SourceLimits
from services.aggregator.scan.source_scan import ScanJob, SourceScan
from telemetry.ownership import KNOWN_VERSIONS
from telemetry.resource_ids import resource_id

# Not of compressed bytes, which depend on the processor and on the version of isal: the fingerprint covers those apart.
DIGESTS = {4: "686c319981f5d9f8a1914c39a6e98c347bba89a4de0de5eb60feb78f89eb19b0"}
OWNERS = (
    "in.default",
    "channel",
    "context-channel",
    "tags-partnerid",
    "tags-partner",
    "etags-partner",
    "cdata-partner",
    "dimensions-channel",
)
TAGS = (
    (),
    ("tags-string",),
    ("tags-genie", "tags-dims"),
    ("etags-app",),
    ("etags-dims",),
    ("genie-tag", "dimensions-tag"),
)
SENT_BEFORE_THEIR_SIZES = 3
KEYS = (
    "raw/2026-11-01-1793493000000.json.gz",
    "raw/2026-11-01-1793493000000.JSON.gz",
    "raw/2026-11-01-1793493000001.json",
    "raw/2026-11-01-1793493000002.zst",
    "raw/2026-11-01-é:*?.json.gz",
    "raw/2026-11-01-e\u0301:*?.json.gz.tmp",
    "raw/2026-11-01-3-1793493000003.json.gzip",
    "raw/2026-11-01-" + "x" * 300,
    "raw/...",
)


def source() -> bytes:
    """An object with events of every version, derived ones too, without each member in turn, and unreadable lines."""
    lines = [b"junk\n", b"\n", b"\xef\xbb\xbf" + b'{"eid":"BOM","ver":"3.0"}\n', b'{"eid":"CRLF"}\r\n', b"[1]\n"]
    lines += [b'{"eid":"LONG","edata":"' + b"x" * 2**20 + b'"}\n']
    lines += [b'{"eid":"DEEP","edata":' + b"[" * depth + b"]" * depth + b"}\n" for depth in (799, 800)]
    kinds: list[tuple[str, object]] = [(f"E{version}", version) for version in (*KNOWN_VERSIONS, "9.9", 2.1)] + [
        ("ME_SUMMARY", "1.0")
    ]
    for eid, version in kinds:
        whole = {
            "eid": eid,
            "ver": version,
            "channel": "channel",
            "context": {"channel": "context-channel", "cdata": [{"type": "partner", "id": "cdata-partner"}]},
            "dimensions": {"channel": "dimensions-channel", "tag": "dimensions-tag"},
            "genieTag": "genie-tag",
            "etags": {"partner": ["etags-partner"], "app": ["etags-app"], "dims": ["etags-dims"]},
            "tags": [
                "tags-string",
                {"partnerid": "tags-partnerid", "partner": "tags-partner", "genie": "tags-genie", "dims": "tags-dims"},
            ],
        }
        lines += [json.dumps(whole).encode() + b"\n"]
        lines += [
            json.dumps({key: whole[key] for key in whole if key != left_out}).encode() + b"\n" for left_out in whole
        ]
    return b"".join(lines) + b'{"eid":"LAST"}'


def selected() -> Iterator[bytes]:
    """The bytes that each owner gets, with each filter of tags; then those of the whole object."""
    selections = [
        Selection(
            resource=resource_id(owner), owner=known, tags=tags, event_kinds=frozenset(), default_channel="in.default"
        )
        for owner in OWNERS
        for known in (owner, None)
        for tags in TAGS
    ]
    whole = Selection(resource=None, owner=None, tags=(), event_kinds=frozenset(), default_channel="in.default")
    limits = SourceLimits(max_bytes=2**30, max_ratio=1000, ratio_grace=2**30, max_members=10, max_line=2**20)
    for job in (ScanJob("raw/object", limits, selections), ScanJob("raw/object", limits, [whole])):
        scan = SourceScan(job)
        outputs = [scan.feed(source())]
        last, _ = scan.finish()
        for streams in zip(*(output.deflated for output in (*outputs, last)), strict=True):
            yield decompressobj(-15).decompress(b"".join(streams))


def archive() -> bytes:
    """A day archive of members whose deflate stream is given."""
    writer = DayArchiveWriter(date(2026, 11, 1))
    stream = b"\x03\x00"  # nothing, deflated
    parts = []
    for number, name in enumerate(member_names(KEYS)):
        content = Content(crc32(b""), len(stream), 0)
        announced = None if number < SENT_BEFORE_THEIR_SIZES else content
        parts += [writer.begin_member(name, announced, large=number == 0), writer.add(stream)]
        parts += [writer.end_member(content)]
    return b"".join([*parts, writer.finish()])


def test_the_same_sources_give_the_same_bytes_as_long_as_the_format_version_stays() -> None:
    digest = hashlib.sha256()
    for data in (*selected(), archive()):
        digest.update(len(data).to_bytes(8, "big") + data)
    assert {ARCHIVE_FORMAT_VERSION: digest.hexdigest()} == DIGESTS, (
        "raise ARCHIVE_FORMAT_VERSION and note its new digest"
    )
