from importlib.util import find_spec, module_from_spec

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local import independent_events
from telemetry.ownership import Ownership, is_event, ownership
from telemetry.resource_ids import resource_id

DEFAULT = "in.default"
PRATHAM = "org.ekstep.partner.pratham"
PRATHAM_HASH = "fd001eaba2e5b79b814446307d709ee2"


def owned(**event: object) -> Ownership:
    return ownership({"eid": "X"} | event, default_channel=DEFAULT)


def partner(*ids: object, kind: object = "partner") -> dict[str, object]:
    return {"cdata": [{"type": kind, "id": item} for item in ids]}


PARTNERS = {
    "1.0 string": ({"ver": "1.0", "tags": [{"partnerid": PRATHAM}]}, {PRATHAM}),
    "1.0 list": ({"ver": "1.0", "tags": [{"partnerid": [PRATHAM, "p2"]}]}, {PRATHAM, "p2"}),
    "1.0 several objects": (
        {"ver": "1.0", "tags": [{"partnerid": "a"}, {"genie": []}, {"partnerid": ["b"]}]},
        {"a", "b"},
    ),
    "1.0 object instead of list": ({"ver": "1.0", "tags": {"partnerid": PRATHAM}}, {PRATHAM}),
    "1.0 knows no partner key": ({"ver": "1.0", "tags": [{"partner": PRATHAM}]}, set()),
    "1.0 with the shape of 2.2": ({"ver": "1.0", "etags": {"partner": ["a"]}}, set()),
    "1.0 with the shape of 3.0": ({"ver": "1.0", "tags": [], "context": partner("a")}, set()),
    "2.0 both keys": ({"ver": "2.0", "tags": [{"partnerid": "a", "partner": ["b"]}]}, {"a", "b"}),
    "2.0 nested lists": ({"ver": "2.0", "tags": [[{"partnerid": [["a"], "b"]}]]}, {"a", "b"}),
    "2.0 with the shape of 3.0": ({"ver": "2.0", "context": partner("a")}, set()),
    "2.1 list": ({"ver": "2.1", "etags": {"partner": ["a", "b"]}}, {"a", "b"}),
    "2.2 string": ({"ver": "2.2", "etags": {"partner": "a"}}, {"a"}),
    "2.2 reads no tags": ({"ver": "2.2", "tags": [{"partnerid": "a"}]}, set()),
    "2.2 etags is no object": ({"ver": "2.2", "etags": [{"partner": "a"}]}, set()),
    "3.0": ({"ver": "3.0", "context": partner("a", "b")}, {"a", "b"}),
    "3.0 any case": ({"ver": "3.0", "context": partner("a", kind="PartNer")}, {"a"}),
    "3.0 type is not trimmed": ({"ver": "3.0", "context": partner("a", kind="partner ")}, set()),
    "3.0 other types": ({"ver": "3.0", "context": partner("a", kind="partners")}, set()),
    "3.0 type is no string": ({"ver": "3.0", "context": partner("a", kind=["partner"])}, set()),
    "3.0 list of ids": ({"ver": "3.0", "context": partner(["a", "b"])}, {"a", "b"}),
    "3.0 single cdata": ({"ver": "3.0", "context": {"cdata": {"type": "partner", "id": "a"}}}, {"a"}),
    "3.0 reads no partnerid": ({"ver": "3.0", "tags": [{"partnerid": "a"}]}, set()),
    "3.0 context is no object": ({"ver": "3.0", "context": [partner("a")]}, set()),
    "3.1": ({"ver": "3.1", "context": partner("a")}, {"a"}),
    "unknown version": ({"ver": "9", "context": partner("a"), "etags": {"partner": "b"}}, {"a"}),
    "version is not trimmed": ({"ver": "1.0 ", "context": partner("a"), "tags": [{"partnerid": "b"}]}, {"a"}),
    "missing version": ({"context": partner("a"), "tags": [{"partnerid": "b"}]}, {"a"}),
    "version is a number": ({"ver": 1.0, "context": partner("a"), "tags": [{"partnerid": "b"}]}, {"b"}),
    "version is a number of 2.2": ({"ver": 2.2, "etags": {"partner": "a"}}, {"a"}),
    "version is a whole number": ({"ver": 2, "context": partner("a"), "tags": [{"partnerid": "b"}]}, {"a"}),
    "version is true": ({"ver": True, "context": partner("a")}, {"a"}),
    "3.0 cData": ({"ver": "3.0", "context": {"cData": [{"type": "partner", "id": "a"}]}}, {"a"}),
    "3.0 cdata and cData": (
        {"ver": "3.0", "context": {"cData": {"type": "partner", "id": "a"}, **partner("b")}},
        {"a", "b"},
    ),
    "derived": ({"eid": "ME_SUMMARY", "ver": "1.0", "etags": {"partner": ["a"]}}, {"a"}),
    "derived reads no tags": ({"eid": "ME_SUMMARY", "ver": "1.0", "tags": [{"partnerid": "a"}]}, set()),
    "derived reads no context": ({"eid": "ME_SUMMARY", "ver": "3.0", "context": partner("a")}, set()),
    "only capitals are derived": ({"eid": "me_SUMMARY", "ver": "3.0", "context": partner("a")}, {"a"}),
    "derived in the middle": ({"eid": "OE_ME_", "ver": "3.0", "context": partner("a")}, {"a"}),
    "version is a list": ({"ver": ["1.0"], "context": partner("a")}, {"a"}),
    "blanks and non-strings": ({"ver": "3.0", "context": partner("", " \t", None, 7, 0.5, {"id": "x"}, "a")}, {"a"}),
    "ids keep case and white space": ({"ver": "3.0", "context": partner("A", "a", " a")}, {"A", "a", " a"}),
}

TAGS = {
    "1.0 has none": ({"ver": "1.0", "tags": ["a", {"genie": ["b"], "dims": ["c"]}], "etags": {"app": ["d"]}}, set()),
    "2.0 genie and dims": ({"ver": "2.0", "tags": [{"genie": ["a", "b"]}, {"dims": "c"}]}, {"a", "b", "c"}),
    "2.0 strings are none": ({"ver": "2.0", "tags": ["piwik_json"]}, set()),
    "2.0 app is none": ({"ver": "2.0", "tags": [{"app": ["a"]}], "etags": {"app": ["b"]}}, set()),
    "2.1 app and dims": ({"ver": "2.1", "etags": {"app": ["a"], "dims": [["b"], "c"]}}, {"a", "b", "c"}),
    "2.2 reads no tags": ({"ver": "2.2", "tags": [{"genie": ["a"]}, "b"], "etags": {"app": "c"}}, {"c"}),
    "3.0 strings": ({"ver": "3.0", "tags": ["a", "b", ""]}, {"a", "b"}),
    "3.0 lists of strings": ({"ver": "3.0", "tags": [["a", "b"], "c", [["d"]]]}, {"a", "b", "c", "d"}),
    "3.0 genie": ({"ver": "3.0", "tags": [{"genie": ["a"]}, {"genie": "b"}]}, {"a", "b"}),
    "3.0 other keys count nothing": ({"ver": "3.0", "tags": [{"dims": ["a"], "partnerid": "b", "genie": []}]}, set()),
    "3.0 bare string": ({"ver": "3.0", "tags": "a"}, {"a"}),
    "3.0 bare object": ({"ver": "3.0", "tags": {"genie": "a"}}, {"a"}),
    "3.0 null": ({"ver": "3.0", "tags": None}, set()),
    "3.0 JSON in a string": ({"ver": "3.0", "tags": ['{"genie":["a"]}', "b"]}, {'{"genie":["a"]}', "b"}),
    "3.0 tags of the context are none": ({"ver": "3.0", "context": {"tags": ["a"]}}, set()),
    "unknown version": ({"ver": "2.3", "tags": ["a"], "etags": {"app": "b"}}, {"a"}),
    "derived": (
        {
            "eid": "ME_SUMMARY",
            "ver": "2.1",
            "tags": ["a", {"genie": "b", "dims": "x"}],
            "etags": {"app": "c", "dims": ["d"], "partner": "y"},
            "genieTag": ["e"],
            "dimensions": {"tag": "f"},
        },
        {"a", "b", "c", "d", "e", "f"},
    ),
    "derived of every tag": ({"eid": "ME_SUMMARY", "ver": "1.0", "dimensions": {"tag": "all"}}, set()),
    "derived with a tag named all": ({"eid": "ME_SUMMARY", "ver": "1.0", "tags": ["all"]}, {"all"}),
    "genieTag of others": ({"ver": "3.0", "genieTag": "a", "dimensions": {"tag": "b"}}, set()),
}

CHANNELS = {
    "1.0 never has one": ({"ver": "1.0", "channel": "a", "context": {"channel": "b"}}, DEFAULT),
    "2.0": ({"ver": "2.0", "channel": "a", "context": {"channel": "b"}}, "a"),
    "2.0 only in the context": ({"ver": "2.0", "context": {"channel": "b"}}, DEFAULT),
    "2.1": ({"ver": "2.1", "channel": "a"}, "a"),
    "2.2 blank": ({"ver": "2.2", "channel": ""}, DEFAULT),
    "3.0": ({"ver": "3.0", "channel": "a", "context": {"channel": "b"}}, "b"),
    "3.0 blank": ({"ver": "3.0", "channel": "a", "context": {"channel": " \n"}}, DEFAULT),
    "3.0 null": ({"ver": "3.0", "context": {"channel": None}}, DEFAULT),
    "3.0 number": ({"ver": "3.0", "context": {"channel": 17}}, None),
    "3.0 true": ({"ver": "3.0", "context": {"channel": True}}, None),
    "3.0 object": ({"ver": "3.0", "context": {"channel": {"id": "a"}}}, None),
    "3.0 list of numbers": ({"ver": "3.0", "context": {"channel": [17]}}, None),
    "3.0 empty list": ({"ver": "3.0", "context": {"channel": []}}, DEFAULT),
    "2.0 number": ({"ver": "2.0", "channel": 0}, None),
    "1.0 number": ({"ver": "1.0", "channel": 17}, DEFAULT),
    "version is a number": ({"ver": 2.0, "channel": "a", "context": {"channel": "b"}}, "a"),
    "derived": (
        {
            "eid": "ME_SUMMARY",
            "ver": "1.0",
            "dimensions": {"channel": "a"},
            "channel": "b",
            "context": {"channel": "c"},
        },
        "a",
    ),
    "derived without a dimension": ({"eid": "ME_SUMMARY", "ver": "3.0", "channel": "b"}, "b"),
    "derived with a blank dimension": (
        {"eid": "ME_SUMMARY", "ver": "2.1", "dimensions": {"channel": " "}, "channel": "b"},
        "b",
    ),
    "derived with a number": ({"eid": "ME_SUMMARY", "ver": "2.1", "dimensions": {"channel": 3}, "channel": "b"}, None),
    "derived without any": ({"eid": "ME_SUMMARY", "ver": "1.0", "context": {"channel": "c"}}, DEFAULT),
    "3.0 no context": ({"ver": "3.0"}, DEFAULT),
    "3.0 context is a string": ({"ver": "3.0", "context": "channel"}, DEFAULT),
    "3.0 keeps its white space": ({"ver": "3.0", "context": {"channel": " b "}}, " b "),
    "3.0 first of a list": ({"ver": "3.0", "context": {"channel": ["", [["b"], "c"], "d"]}}, "b"),
    "unknown version": ({"ver": "", "channel": "a", "context": {"channel": "b"}}, "b"),
}


@pytest.mark.parametrize(("event", "expected"), PARTNERS.values(), ids=PARTNERS)
def test_partners(event: dict[str, object], expected: set[str]) -> None:
    assert owned(**event).partners == expected


@pytest.mark.parametrize(("event", "expected"), TAGS.values(), ids=TAGS)
def test_tags(event: dict[str, object], expected: set[str]) -> None:
    assert owned(**event).tags == expected


@pytest.mark.parametrize(("event", "expected"), CHANNELS.values(), ids=CHANNELS)
def test_channel(event: dict[str, object], expected: str | None) -> None:
    assert owned(**event).channel == expected


@pytest.mark.parametrize("version", ["1.0", "2.0", "2.1", "2.2", "3.0", "other", None])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (PRATHAM_HASH.upper(), {PRATHAM_HASH}),
        ([PRATHAM_HASH + "01234567", ["opaque"]], {PRATHAM_HASH, "opaque"}),
        (["", "  ", None, 3], set()),
        ({"id": PRATHAM_HASH}, set()),
    ],
)
def test_every_version_may_name_partners_by_their_hash(version: object, written: object, expected: set[str]) -> None:
    assert owned(ver=version, metadata={"partner_name": written}).partner_resources == expected


@pytest.mark.parametrize("metadata", [None, "x", [{"partner_name": PRATHAM_HASH}], {}])
def test_metadata_of_another_shape_names_nobody(metadata: object) -> None:
    assert owned(ver="3.0", metadata=metadata).partner_resources == frozenset()


def test_an_event_belongs_to_its_partners_and_its_channel_and_nobody_else() -> None:
    event = owned(
        ver="3.0", context={"channel": "in.a", **partner(PRATHAM, "p2")}, metadata={"partner_name": resource_id("p3")}
    )
    for owner in (PRATHAM, "p2", "p3", "in.a"):
        assert resource_id(owner) in event.resources
    for other in (DEFAULT, "p4", "in.A", ""):
        assert resource_id(other) not in event.resources
    for text in (PRATHAM, "in.a", PRATHAM_HASH.upper(), ""):
        assert text not in event.resources


def test_an_event_whose_channel_is_no_id_belongs_to_its_partners_alone() -> None:
    event = owned(ver="3.0", context={"channel": 17, **partner("p2")})
    assert event.owners == ("p2",)
    assert event.resources == {resource_id("p2")}


def test_an_event_without_channel_belongs_to_the_default_one() -> None:
    assert resource_id(DEFAULT) in owned(ver="2.0", channel=" ").resources


@pytest.mark.parametrize("channel", ["\ud800", "p\udfff", "名"])
def test_odd_characters_are_hashed_like_any_other(channel: str) -> None:
    event = owned(ver="3.0", context={"channel": channel})
    assert resource_id(channel) in event.resources
    assert resource_id("p") not in event.resources


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((), True), (("a",), True), (("x", "b"), True), (("x",), False), (("A",), False), ([], True), ({"a"}, True)],
)
def test_any_tag_is_enough_and_no_tag_filters_nothing(asked: tuple[str, ...], *, expected: bool) -> None:
    assert owned(ver="3.0", tags=["a", "b"]).has_any_tag(asked) is expected


def test_an_event_without_tags_passes_no_tag_filter() -> None:
    assert not owned(ver="3.0").has_any_tag(["a"])
    assert owned(ver="3.0").has_any_tag([])


@pytest.mark.parametrize("value", [{"eid": "START"}, {"eid": None, "ver": 3}, {"eid": ""}])
def test_an_object_with_an_eid_is_an_event(value: object) -> None:
    assert is_event(value)


@pytest.mark.parametrize(
    "value", [None, "eid", 3, True, [], ["eid"], [{"eid": "START"}], {}, {"events": [{"eid": "A"}]}]
)
def test_anything_else_is_not(value: object) -> None:
    assert not is_event(value)


def test_lists_may_nest_deeper_than_python_recurses() -> None:
    deep: object = "a"
    for _ in range(20_000):
        deep = [deep]
    assert owned(ver="3.0", tags=deep).tags == {"a"}


ids = st.sampled_from(["partner", "PARTNER", "a", "in.a", PRATHAM, PRATHAM_HASH.upper(), "", " ", "\ud800"])
keys = st.sampled_from(["type", "id", "genie", "dims", "partnerid", "partner"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ids,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
odd_events = st.fixed_dictionaries(
    {"ver": st.sampled_from(["1.0", "2.0", "2.1", "2.2", "3.0", 1.0, 2.0, 2.2]) | anything},
    optional={
        "eid": st.sampled_from(["START", "ME_SUMMARY"]) | anything,
        "genieTag": anything,
        "dimensions": st.fixed_dictionaries({"channel": anything, "tag": anything}) | anything,
        "tags": anything,
        "channel": anything,
        "etags": st.fixed_dictionaries({"app": anything, "dims": anything, "partner": anything}) | anything,
        "context": st.fixed_dictionaries({"channel": anything, "cdata": anything}, optional={"cData": anything})
        | anything,
        "metadata": st.fixed_dictionaries({"partner_name": anything}) | anything,
    },
)


@settings(max_examples=60, deadline=None)
@given(event=odd_events)
def test_any_json_has_an_owner(event: dict[str, object]) -> None:
    owner = owned(**event)
    assert all(name.strip() for name in owner.owners)
    assert {owner.channel, *owner.partners} - {None} == set(owner.owners)
    assert {resource_id(name) for name in owner.owners} <= owner.resources
    assert set(independent_events.partners_of({"eid": "X"} | event)) == owner.partners
    assert set(independent_events.tags_of({"eid": "X"} | event)) == owner.tags
    assert independent_events.channel_of({"eid": "X"} | event, DEFAULT) == owner.channel
    assert owner.partner_resources <= owner.resources
    assert all(name.strip() for name in owner.partners | owner.tags | owner.partner_resources)
    assert all(owner.has_any_tag([tag]) for tag in owner.tags)


@pytest.mark.parametrize("eid", ["E", "ME_E", "x" * 100, 1, 1.0, True, None, ["ME_E"], {}])
@pytest.mark.parametrize("version", ["2.1", 2.1, "1.0", 1.0, 1, True, None, ["2.1"], {}, "x" * 100])
def test_the_same_kind_of_event_is_read_alike_each_time(eid: object, version: object) -> None:
    event = {"eid": eid, "ver": version, "channel": "own", "context": {"channel": "context"}}
    channels = [ownership(event, default_channel=DEFAULT).channel for _ in range(3)]
    assert channels == [independent_events.channel_of(event, DEFAULT)] * 3


def test_kinds_of_events_are_remembered_up_to_a_limit() -> None:
    spec = find_spec("telemetry.ownership")
    assert spec is not None
    assert spec.loader is not None
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    remembered: dict[tuple[object, object], object] = vars(fresh)["_rules_by_text"]

    def look_at(eid: object, version: object) -> bool:
        event = {"eid": eid, "ver": version, "context": {"channel": "in.example"}}
        for _ in range(2):
            assert fresh.ownership(event, default_channel="in.default").channel == "in.example"
        return (eid, version) in remembered

    assert look_at("E" * 61, "3.0")
    assert not look_at("E" * 62, "3.0")  # anybody may write an eid of any length
    assert not look_at("E", 3)
    assert not look_at(3, "3.0")
    for number in range(1022):
        assert look_at(f"E{number}", "3.0")
    assert look_at("", "3.0")
    assert not look_at("one too many", "3.0")
    assert len(remembered) == 1024


def test_a_partner_that_is_named_by_id_and_by_hash_is_named_twice_and_owns_it_once() -> None:
    event = owned(ver="3.0", context={"channel": "c"} | partner(PRATHAM), metadata={"partner_name": [PRATHAM_HASH]})
    assert event.partner_resources == {PRATHAM_HASH}
    assert event.resources == {PRATHAM_HASH, resource_id("c")}
