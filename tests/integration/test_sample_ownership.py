"""The owners of real events by `telemetry.ownership`, compared with a second implementation of the same rules."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.ownership import is_event, ownership

DEFAULT = "in.default"
NEXT_TO_THE_PROJECT = Path(__file__).parents[2].parent / "shared" / "telemetry-samples"

# The second reading flattens an event into paths without list indexes, and looks the paths up by version.
# `#partner` stands behind the path of correlation data of that type.
PARTNER_PATHS = {
    "1.0": ["tags.partnerid"],
    "2.0": ["tags.partnerid", "tags.partner"],
    "2.1": ["etags.partner"],
    "2.2": ["etags.partner"],
    "3": ["context.cdata#partner.id"],
    "derived": ["etags.partner"],
}
TAG_PATHS = {
    "1.0": [],
    "2.0": ["tags.genie", "tags.dims"],
    "2.1": ["etags.app", "etags.dims"],
    "2.2": ["etags.app", "etags.dims"],
    "3": ["tags", "tags.genie"],
    "derived": ["tags", "tags.genie", "etags.app", "etags.dims", "genieTag", "dimensions.tag"],
}
CHANNEL_PATHS = {
    "1.0": [],
    "2.0": ["channel"],
    "2.1": ["channel"],
    "2.2": ["channel"],
    "3": ["context.channel"],
    "derived": ["dimensions.channel", "channel"],
}

Counts = Counter[tuple[str, str, str]]


@pytest.fixture(scope="module", name="samples")
def sample_files() -> list[Path]:
    folder = Path(os.environ.get("EXHAUST_SAMPLES") or NEXT_TO_THE_PROJECT)
    files = sorted(path for path in folder.rglob("*") if path.name.endswith((".gz", ".jsonl")))
    if not files and os.environ.get("CI"):
        pytest.fail(f"no telemetry samples in {folder}: set EXHAUST_SAMPLES to their folder")
    if not files:
        pytest.skip(f"no telemetry samples in {folder}: set EXHAUST_SAMPLES to their folder")
    return files


def test_real_events_have_the_owners_that_the_table_gives_them(samples: list[Path]) -> None:
    by_ownership: Counts = Counter()
    by_paths: Counts = Counter()
    for path in samples:
        for value in decoded_lines(path):
            if is_event(value):
                by_ownership.update((path.name, kind, name) for kind, name in owners(value))
            if isinstance(value, dict) and not {"eid"}.isdisjoint(value):
                by_paths.update((path.name, kind, name) for kind, name in owners_by_path(value))
    assert by_ownership == by_paths
    assert {kind for _, kind, _ in by_paths} == {"channel", "partner", "tag"}


def decoded_lines(path: Path) -> Iterator[object]:
    data = path.read_bytes()
    for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def owners(event: dict[str, object]) -> set[tuple[str, str]]:
    owner = ownership(event, default_channel=DEFAULT)
    named = {("partner", partner) for partner in owner.partners} | {("tag", tag) for tag in owner.tags}
    return named | {("channel", str(owner.channel))}


def owners_by_path(event: dict[str, object]) -> set[tuple[str, str]]:
    version = str(event.get("ver"))
    rules = version if version in {"1.0", "2.0", "2.1", "2.2"} else "3"
    if str(event["eid"]).startswith("ME_"):
        rules = "derived"
    found: dict[str, list[str]] = {}
    for path, text in texts(event, ""):
        found.setdefault(path, []).append(text)
    partners = {("partner", text) for path in PARTNER_PATHS[rules] for text in found.get(path, [])}
    tags = {("tag", text) for path in TAG_PATHS[rules] for text in found.get(path, [])}
    channels = {("channel", text) for path in CHANNEL_PATHS[rules] for text in found.get(path, [])}
    return partners | tags | (channels or {("channel", DEFAULT)})


def texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    match value:
        case str() if value.strip():
            yield path, value
        case list():
            for item in value:
                yield from texts(item, path)
        case dict():
            if path == "context.cdata":
                path = f"{path}#{str(value.get('type')).lower()}"
            for key, item in value.items():
                yield from texts(item, f"{path}.{key}" if path else key)
