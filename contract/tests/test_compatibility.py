"""Every released version and the present one understand each other; a change that breaks this is told."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import exhaust_contract
from exhaust_contract.command import run
from exhaust_contract.compatibility import incompatibilities, released, released_versions
from exhaust_contract.documents import folder

if TYPE_CHECKING:
    from collections.abc import Callable

# What was released stays as it is.
DIGESTS = {"1.0.0": "13c611290aebaf99a1d1e79a070f6fd4a4801485983d86bbefd0b35179036830"}


def files(place: Any) -> dict[str, bytes]:
    """The schemas and examples of a folder."""
    found = [*place.iterdir(), *(place / "examples").iterdir(), *(place / "examples" / "refusals").iterdir()]
    return {path.name: path.read_bytes() for path in found if path.is_file()}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the present schemas, to be changed."""
    return Path(shutil.copytree(str(folder()), tmp_path / "schemas"))


def change(copy: Path, name: str, act: Callable[[Any], object]) -> list[str]:
    """What is told of a change to a schema."""
    path = copy / f"{name}.schema.json"
    document = json.loads(path.read_text())
    act(document)
    path.write_text(json.dumps(document))
    return incompatibilities(released("1.0.0"), copy)


def completed(document: Any) -> Any:
    return document["$defs"]["completed"]


def test_all_versions_understand_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compat"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{version}: both ways" for version in released_versions()]


def test_what_was_released_has_not_changed() -> None:
    found = {}
    for version in released_versions():
        digest = hashlib.sha256()
        for name, text in sorted(files(released(version)).items()):
            digest.update(name.encode() + b"\0" + text + b"\0")
        found[version] = digest.hexdigest()
    assert found == DIGESTS


def test_the_present_schemas_are_those_of_the_present_version() -> None:
    version = released_versions()[-1]
    assert version == exhaust_contract.__version__
    assert files(released(version)) == files(folder())


@pytest.mark.parametrize(
    ("name", "act", "told"),
    [
        ("dataset.requests", lambda d: d["properties"].pop("owner"), "dataset.requests: /owner was removed"),
        (
            "dataset.requests",
            lambda d: d["properties"]["attempt"].update(maximum=500),
            "dataset.requests: /attempt: maximum was narrowed",
        ),
        (
            "dataset.requests",
            lambda d: d["properties"]["attempt"].update(maximum=5000),
            "dataset.requests: /attempt: maximum was widened",
        ),
        ("dataset.requests", lambda d: d["required"].append("owner"), "dataset.requests: /owner is necessary now"),
        ("dataset.requests", lambda d: d["required"].remove("tags"), "/tags is no longer there for certain"),
        (
            "dataset.requests",
            lambda d: d["properties"]["owner"].update(pattern="^[a-z]+$"),
            "/owner: pattern was narrowed: it is new",
        ),
        (
            "dataset.completions",
            lambda d: completed(d)["properties"]["archive"]["properties"].pop("sha256"),
            "(Completed)/archive/sha256 was removed",
        ),
        (
            "dataset.completions",
            lambda d: d["$defs"]["progress"]["properties"]["day"]["properties"]["state"].update(enum=["ok"]),
            "(Progress)/day/state: enum was narrowed",
        ),
        ("dataset.completions", lambda d: d["oneOf"].pop(), "the value: a kind of value was removed"),
        ("dataset.beats", lambda d: d["$defs"]["day"]["properties"].pop("since"), "/days/*/since was removed"),
        ("headers", lambda d: d["properties"]["ce_id"].update(maxLength=64), "headers: /ce_id: maxLength was narrowed"),
        ("headers", lambda d: d["properties"]["ce_type"]["enum"].pop(), "headers: /ce_type: enum was narrowed"),
    ],
)
def test_a_change_that_breaks_is_told(copy: Path, name: str, act: Callable[[Any], object], told: str) -> None:
    assert any(told in sentence for sentence in change(copy, name, act))


def test_an_older_example_that_is_wrong_now_is_told(copy: Path) -> None:
    told = change(copy, "dataset.requests", lambda d: d["properties"]["tags"].update(maxItems=0))
    assert "the older example requested.full does not follow the other schema at /value/tags" in told


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("dataset.completions", lambda d: completed(d)["properties"].update(more={"type": "string"})),
        ("dataset.completions", lambda d: d.update(description="in other words")),
        ("headers", lambda d: d["properties"]["ce_type"]["enum"].append("telemetry-exhaust.dataset.completed.v2")),
    ],
)
def test_what_can_be_added_is_added(copy: Path, name: str, act: Callable[[Any], object]) -> None:
    assert change(copy, name, act) == []


def test_a_kind_that_is_removed_is_told(copy: Path) -> None:
    (copy / "examples" / "beat.full.json").unlink()
    assert incompatibilities(released("1.0.0"), copy) == ["beat.full.json was removed"]


def test_the_command_ends_with_1_for_a_break_and_2_for_no_schemas(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change(copy, "dataset.requests", lambda d: d["properties"].pop("owner"))
    assert run(["compat", "--schemas", str(copy)]) == 1
    assert "1.0.0: dataset.requests: /owner was removed" in capsys.readouterr().out
    assert run(["compat", "--schemas", str(tmp_path / "nowhere")]) == 2
