import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy.local.independent_count import Wanted, compare_download, count_day, count_object, expected_lines
from deploy.local.independent_events import Event, channel_of, parse_event, partners_of, resource_of, tags_of

PRATHAM = "org.ekstep.partner.pratham"
PRATHAM_RESOURCE = "fd001eaba2e5b79b814446307d709ee2"
P3_RESOURCE = "0474e1c817c08564614cd4ddebdd31b2"
P3_FULL_HASH = "0474e1c817c08564614cd4ddebdd31b2b3462f2f"
MINE = Wanted(PRATHAM_RESOURCE)
DAY = "2026-11-01"
NAME = f"{DAY}-1575399627832.json.gz"


def line_of(**members: object) -> bytes:
    return json.dumps({"eid": "START", **members}).encode() + b"\n"


def mine(text: str = "") -> bytes:
    return line_of(ver="3.0", context={"channel": PRATHAM}, text=text)


def theirs(text: str = "") -> bytes:
    return line_of(ver="3.0", context={"channel": "somebody-else"}, text=text)


def packed(*lines: bytes) -> bytes:
    return gzip.compress(b"".join(lines))


@pytest.mark.parametrize(
    ("event", "partners"),
    [
        ({"ver": "1.0", "tags": [{"partnerid": ["a", "b"]}]}, ["a", "b"]),
        ({"ver": "1.0", "tags": [{"partner": "not in 1.0"}]}, []),
        ({"ver": "2.0", "tags": [{"partnerid": "a"}, {"partner": "b"}]}, ["a", "b"]),
        ({"ver": "2.0", "tags": {"partner": [["a"], ["b"]]}}, ["a", "b"]),
        ({"ver": "2.0", "tags": ["partner", 5, None, {"partner": 7}]}, []),
        ({"ver": "2.1", "etags": {"partner": ["a"]}, "tags": [{"partner": "b"}]}, ["a"]),
        ({"ver": "2.2", "etags": {"partner": "a"}}, ["a"]),
        ({"ver": "2.2", "etags": ["a"]}, []),
        ({"ver": "3.0", "context": {"cdata": [{"type": "Partner", "id": "a"}, {"type": "x", "id": "b"}]}}, ["a"]),
        ({"ver": "3.1", "context": {"cdata": {"type": "PARTNER", "id": ["a", " ", "b"]}}}, ["a", "b"]),
        ({"ver": "3.0", "context": {"cdata": [{"type": ["partner"], "id": "a"}]}}, []),
        ({"ver": "3.0", "context": None, "tags": [{"partnerid": "a"}]}, []),
        ({"context": {"cdata": [{"type": "partner", "id": "a"}]}}, ["a"]),
        ({"ver": 2.0, "context": {"cdata": [{"type": "partner", "id": "a"}]}, "tags": [{"partner": "b"}]}, ["b"]),
        ({"ver": 2, "context": {"cdata": [{"type": "partner", "id": "a"}]}, "tags": [{"partner": "b"}]}, ["a"]),
        ({"ver": "ME", "context": {"cData": [{"type": "partner", "id": "a"}]}, "etags": {"partner": "b"}}, ["a"]),
        ({"eid": "ME_X", "ver": "3.0", "context": {"cdata": [{"type": "partner", "id": "a"}]}}, []),
        ({"eid": "ME_X", "ver": "1.0", "etags": {"partner": "b"}}, ["b"]),
        ({"ver": "7.9", "context": {"cdata": [{"type": "partner", "id": "a"}]}}, ["a"]),
    ],
)
def test_partners_are_where_the_version_says(event: Event, partners: list[str]) -> None:
    assert partners_of(event) == partners


@pytest.mark.parametrize(
    ("event", "channel"),
    [
        ({"ver": "1.0", "channel": "c"}, "default"),
        ({"ver": "2.0", "channel": "c"}, "c"),
        ({"ver": "2.0", "channel": "  "}, "default"),
        ({"ver": "2.1", "channel": ["", "c", "d"]}, "c"),
        ({"ver": "2.2"}, "default"),
        ({"ver": "3.0", "context": {"channel": "c"}, "channel": "d"}, "c"),
        ({"ver": "3.0", "context": {"channel": 12}}, None),
        ({"ver": "3.0", "context": {"channel": [12, "c"]}}, "c"),
        ({"ver": "3.0", "context": {"channel": [None, " "]}}, "default"),
        ({"eid": "ME_X", "ver": "3.0", "dimensions": {"channel": "c"}, "context": {"channel": "d"}}, "c"),
        ({"eid": "ME_X", "ver": "3.0", "channel": "c"}, "c"),
        ({"eid": "ME_X", "ver": "3.0", "dimensions": {"channel": {}}, "channel": "c"}, None),
        ({"eid": "ME_X", "ver": "3.0", "context": {"channel": "d"}}, "default"),
        ({"ver": "3.0", "channel": "c"}, "default"),
        ({"context": {"channel": "c"}}, "c"),
    ],
)
def test_the_channel_is_where_the_version_says(event: Event, channel: str | None) -> None:
    assert channel_of(event, "default") == channel


@pytest.mark.parametrize(
    ("event", "tags"),
    [
        ({"ver": "1.0", "tags": [{"genie": ["a"]}, "b"]}, []),
        ({"ver": "2.0", "tags": [{"genie": "a", "dims": ["b", ["c"]]}, "d"]}, ["a", "b", "c"]),
        ({"ver": "2.1", "etags": {"app": ["a"], "dims": "b", "partner": "p"}}, ["a", "b"]),
        ({"ver": "2.2", "etags": {"dims": ["", "b"]}, "tags": ["x"]}, ["b"]),
        ({"ver": "3.0", "tags": ["a", ["b"], {"genie": ["c"], "dims": ["not in 3.x"]}]}, ["a", "b", "c"]),
        ({"ver": "3.0", "tags": '["a"]'}, ['["a"]']),
        ({"ver": "3.0", "tags": "a,b"}, ["a,b"]),
    ],
)
def test_tags_are_where_the_version_says(event: Event, tags: list[str]) -> None:
    assert tags_of(event) == tags


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b'"eid"',
        b'[{"eid": "START"}]',
        b'{"id": "ekstep.telemetry", "events": [{"eid": "START"}]}',
        b'{"eid": "START"',
        b'{"eid": NaN}',
        b'{"eid": "START", "edata": {"size": -Infinity}}',
        b'{"eid": "caf\xe9"}',
        b'{"eid": "a\tb"}',
        b'\xef\xbb\xbf{"eid": "START"}',
    ],
)
def test_no_event(line: bytes) -> None:
    assert parse_event(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b'{"eid": null}',
        b' \t{"eid": "START"} \r\n',
        b'{"eid": 1e999}',
        b'{"eid": ' + b"9" * 5000 + b"}",
        b'{"eid": "\\ud800"}',
    ],
)
def test_an_event(line: bytes) -> None:
    assert parse_event(line) is not None


def test_the_last_of_duplicate_keys_wins() -> None:
    event = parse_event(b'{"eid": "START", "ver": "1.0", "ver": "2.0", "channel": "a", "channel": "b"}')
    assert event is not None
    assert channel_of(event, "default") == "b"


def test_resource_ids_are_the_documented_ones() -> None:
    assert resource_of("org.ekstep") == "4208ab995984d222b59299e5103d350a"
    assert resource_of(PRATHAM) == PRATHAM_RESOURCE
    assert resource_of("org.ekstep.partner.p3") == P3_RESOURCE


def test_an_event_matches_by_channel_partner_or_hash_and_is_copied_as_it_is() -> None:
    by_channel = b'{ "eid":"A" ,"ver":"3.0", "context":{"channel":"org.ekstep.partner.\\u0070ratham"} }\r\n'
    by_partner = line_of(ver="1.0", tags=[{"partnerid": [PRATHAM, "other"]}])
    by_hash = line_of(ver="2.0", channel="other", metadata={"partner_name": ["x", PRATHAM_RESOURCE.upper()]})
    data = packed(theirs(), by_channel, b"junk\n", by_partner, theirs(), by_hash)
    assert list(expected_lines(data, MINE)) == [by_channel, by_partner, by_hash]


@pytest.mark.parametrize("written", [P3_RESOURCE, P3_FULL_HASH, P3_FULL_HASH[1:], P3_FULL_HASH.upper()])
def test_a_partner_name_is_a_hash_in_any_of_its_forms(written: str) -> None:
    data = packed(line_of(ver="3.0", metadata={"partner_name": written}))
    assert count_object(NAME, data, Wanted(P3_RESOURCE)).events == 1


@pytest.mark.parametrize("written", [P3_RESOURCE[1:], f"{P3_FULL_HASH}0", "org.ekstep.partner.p3", 5])
def test_a_partner_name_that_is_no_hash_of_the_partner_is_passed_over(written: object) -> None:
    data = packed(line_of(ver="3.0", metadata={"partner_name": written}))
    assert count_object(NAME, data, Wanted(P3_RESOURCE)).events == 0


def test_events_without_a_channel_belong_to_the_default_one() -> None:
    data = packed(line_of(ver="1.0"), line_of(ver="3.0", context={}), theirs())
    assert count_object(NAME, data, Wanted(PRATHAM_RESOURCE, default_channel=PRATHAM)).events == 2


def test_any_of_the_tags_is_enough_and_none_filters_nothing() -> None:
    tagged = [line_of(ver="3.0", context={"channel": PRATHAM}, tags=tags) for tags in (["a"], ["b"], ["c", "a"], [])]
    data = packed(*tagged)
    assert list(expected_lines(data, Wanted(PRATHAM_RESOURCE, ("a", "z")))) == [tagged[0], tagged[2]]
    assert list(expected_lines(data, MINE)) == tagged


def test_lines_end_at_line_feeds_and_blank_ones_count_as_nothing() -> None:
    last = mine("the last\\u2028one\x85").removesuffix(b"\n")
    data = packed(b"\n", b" \t\r\n", mine("a"), b"[\n", b"{}\n", last)
    count = count_object(NAME, data, MINE)
    assert (count.events, count.unreadable, count.bytes) == (2, 2, len(mine("a")) + len(last))
    assert list(expected_lines(data, MINE))[-1] == last


def test_a_byte_order_mark_in_front_of_a_line_is_passed_over_and_copied() -> None:
    first = b"\xef\xbb\xbf" + mine("first")
    second = b"\xef\xbb\xbf" + mine("second")
    count = count_object(NAME, packed(first, second), MINE)
    assert (count.events, count.unreadable, count.bytes) == (2, 0, len(first + second))
    assert count_object(NAME, packed(b"\xef\xbb\xbf\n"), MINE).unreadable == 1


def test_a_whole_object_passes_unchanged_and_counts_its_events() -> None:
    data = packed(b"junk\n", b"\n", theirs(), mine())
    whole = Wanted("anything", whole_objects=True)
    count = count_object(NAME, data, whole)
    assert b"".join(expected_lines(data, whole)) == gzip.decompress(data)
    assert (count.events, count.unreadable, count.bytes) == (2, 1, len(gzip.decompress(data)))


def test_a_whole_object_with_tags_is_filtered_by_them_alone() -> None:
    tagged = line_of(ver="3.0", context={"channel": "anybody"}, tags=["a"])
    assert list(expected_lines(packed(tagged, mine()), Wanted("r", ("a",), whole_objects=True))) == [tagged]


def test_gzip_members_in_a_row_are_one_object() -> None:
    assert count_object(NAME, packed(mine()[:7]) + packed(mine()[7:], mine("b")), MINE).events == 2


def test_a_day_is_counted_in_the_order_of_its_objects() -> None:
    counts = count_day({"b.json.gz": packed(mine()), "a.json.gz": packed(theirs())}, MINE)
    assert [(count.name, count.events) for count in counts] == [("a.json.gz", 0), ("b.json.gz", 1)]


def zip_of(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def download_of(folder: Path, *days: Mapping[str, bytes], unreadable: int = 1) -> Path:
    named = {f"2026-11-0{number}": members for number, members in enumerate(days, 1)}
    manifest = {"days": [manifest_day(day, members, unreadable) for day, members in named.items()]}
    archive = folder / "download.zip"
    outer = {f"{day}.zip": zip_of(members) for day, members in named.items()}
    archive.write_bytes(zip_of({**outer, "manifest.json": json.dumps(manifest).encode()}))
    return archive


def manifest_day(day: str, members: Mapping[str, bytes], unreadable: int) -> dict[str, object]:
    data = b"".join(members.values())
    figures = {"events": data.count(b"\n"), "bytes": len(data), "unreadable": unreadable if data else 0}
    return {"day": day, **figures, "sources": [{"object": f"{name}.gz", "member": name} for name in members]}


MEMBER = NAME.removesuffix(".gz")
RAW = {NAME: packed(theirs(), mine("a"), b"junk\n", mine("b")), f"{DAY}-9.json.gz": packed(theirs())}


def test_a_right_download_matches(tmp_path: Path) -> None:
    archive = download_of(tmp_path, {MEMBER: mine("a") + mine("b")}, {})
    found = compare_download(archive, [DAY, "2026-11-02"], lambda day: RAW if day == DAY else {}, MINE)
    assert [(day.day, day.events, day.bytes, day.unreadable, day.difference) for day in found] == [
        (DAY, 2, len(mine("a") + mine("b")), 1, None),
        ("2026-11-02", 0, 0, 0, None),
    ]


@pytest.mark.parametrize(
    ("members", "difference"),
    [
        ({MEMBER: mine("a") + mine("c")}, f"{DAY}: {MEMBER}, line 2: expected"),
        ({MEMBER: mine("a")}, f"{DAY}: {MEMBER}, line 2: expected b'{{"),
        ({MEMBER: mine("a") + mine("b") + mine("b")}, f"{DAY}: {MEMBER}, line 3: expected the end, found"),
        ({MEMBER: mine("b") + mine("a")}, f"{DAY}: {MEMBER}, line 1: expected"),
        ({MEMBER: mine("a") + mine("b").removesuffix(b"\n")}, f"{DAY}: {MEMBER}, line 2: expected"),
        ({}, f"{DAY}: member 1: expected {MEMBER}, found no more members"),
        ({MEMBER: mine("a") + mine("b"), "more": b""}, f"{DAY}: member 2: expected no more members, found more"),
        ({"other": mine("a") + mine("b")}, f"{DAY}: member 1: expected {MEMBER}, found other"),
    ],
)
def test_a_wrong_day_is_named_with_object_and_line(
    tmp_path: Path, members: Mapping[str, bytes], difference: str
) -> None:
    (found,) = compare_download(download_of(tmp_path, members), [DAY], lambda _day: RAW, MINE)
    assert found.difference is not None
    assert found.difference.startswith(difference)


def test_a_missing_day_or_manifest_is_named(tmp_path: Path) -> None:
    (short,) = compare_download(download_of(tmp_path, {}), [DAY, "2026-11-02"], lambda _day: {}, MINE)
    assert short.difference == "download.zip: member 2: expected 2026-11-02.zip, found manifest.json"
    archive = tmp_path / "bare.zip"
    archive.write_bytes(zip_of({f"{DAY}.zip": zip_of({})}))
    (bare,) = compare_download(archive, [DAY], lambda _day: {}, MINE)
    assert bare.difference == "bare.zip: member 2: expected manifest.json, found no more members"


def test_a_wrong_figure_in_the_manifest_is_named(tmp_path: Path) -> None:
    archive = download_of(tmp_path, {MEMBER: mine("a") + mine("b")}, unreadable=2)
    (found,) = compare_download(archive, [DAY], lambda _day: RAW, MINE)
    assert found.difference == f"{DAY}: manifest.json: expected 1 unreadable, found 2"


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b"not json"])
def test_a_manifest_without_the_day_is_named(tmp_path: Path, manifest: bytes) -> None:
    archive = tmp_path / "download.zip"
    archive.write_bytes(zip_of({f"{DAY}.zip": zip_of({}), "manifest.json": manifest}))
    (found,) = compare_download(archive, [DAY], lambda _day: {}, MINE)
    assert found.difference is not None


def test_an_object_without_a_matching_event_has_no_member_unless_it_passes_whole(tmp_path: Path) -> None:
    raw = {NAME: packed(b"junk\n")}
    absent = download_of(tmp_path, {})
    whole = Wanted("r", whole_objects=True)
    assert compare_download(absent, [DAY], lambda _day: {}, whole)[0].difference is None
    (filtered,) = compare_download(absent, [DAY], lambda _day: raw, MINE)
    assert filtered.difference == f"{DAY}: manifest.json: expected 1 unreadable, found 0"
    (passed,) = compare_download(absent, [DAY], lambda _day: raw, whole)
    assert passed.difference == f"{DAY}: member 1: expected {MEMBER}, found no more members"


def test_what_is_no_zip_is_said(tmp_path: Path) -> None:
    archive = tmp_path / "download.zip"
    archive.write_bytes(b"<Error>no such key</Error>")
    (found,) = compare_download(archive, [DAY], lambda _day: RAW, MINE)
    assert found.difference == "download.zip: File is not a zip file"


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    archive = download_of(tmp_path, {MEMBER: mine("a") + mine("b")})
    data = archive.read_bytes()
    archive.write_bytes(data.replace(b'"text": "b"', b'"text": "z"'))
    (found,) = compare_download(archive, [DAY], lambda _day: RAW, MINE)
    assert found.difference is not None
    assert "Bad CRC-32" in found.difference
