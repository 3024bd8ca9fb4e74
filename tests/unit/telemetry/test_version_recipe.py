"""What CONTRIBUTING says about a telemetry version: every place that must know a version knows it."""

import json

import pytest

import telemetry.ownership
from deploy.local import independent_events
from telemetry.line import decode
from telemetry.ownership import KNOWN_VERSIONS, is_event, ownership

DEFAULT = "in.default"
VERSIONS = [*KNOWN_VERSIONS, *map(float, KNOWN_VERSIONS), "9.9", None]
EIDS = ["X", "ME_X"]


def event_with_an_id_in_every_place(version: str | float | None, eid: str = "X") -> dict[str, object]:
    """An event that names another id in each place where any version looks for one."""
    event: dict[str, object] = {
        "eid": eid,
        "channel": "channel-1",
        "context": {
            "channel": "channel-2",
            "cdata": [{"type": "partner", "id": "cdata-1"}, {"type": "Partner", "id": ["cdata-2"]}],
            "cData": [{"type": "partner", "id": "cdata-3"}],
        },
        "dimensions": {"channel": "channel-3", "tag": "dimensions-1"},
        "genieTag": "genie-1",
        "etags": {"partner": ["etags-1"], "app": ["etags-2"], "dims": ["etags-3"]},
        "metadata": {"partner_name": "0" * 32},
        "tags": ["tag-1", ["tag-2"], {"partnerid": "tag-3", "partner": "tag-4", "genie": ["tag-5"], "dims": "tag-6"}],
    }
    return event if version is None else event | {"ver": version}


@pytest.mark.parametrize("eid", EIDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_decoder_keeps_every_member_that_the_rules_of_a_version_read(version: str | float | None, eid: str) -> None:
    whole = event_with_an_id_in_every_place(version, eid)
    decoded = decode(json.dumps(whole).encode())
    assert is_event(decoded)
    read, expected = (ownership(event, default_channel=DEFAULT) for event in (decoded, whole))
    assert read.owners == expected.owners
    assert (read.tags, read.partner_resources) == (expected.tags, expected.partner_resources)


@pytest.mark.parametrize("eid", EIDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_independent_count_reads_a_version_by_the_same_rules(version: str | float | None, eid: str) -> None:
    event = event_with_an_id_in_every_place(version, eid)
    ours = ownership(event, default_channel=DEFAULT)
    assert set(independent_events.partners_of(event)) == ours.partners
    assert set(independent_events.tags_of(event)) == ours.tags
    assert independent_events.channel_of(event, DEFAULT) == ours.channel


@pytest.mark.parametrize("version", KNOWN_VERSIONS)
def test_the_table_of_rules_names_the_version(version: str) -> None:
    rows = [row for row in (telemetry.ownership.__doc__ or "").splitlines() if row.startswith("| ")]
    assert any(version in row or version.replace(".0", ".x") in row for row in rows)
