"""The command `exhaust-events`, but for Kafka."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from exhaust_contract import progressed
from exhaust_contract.command import run
from exhaust_contract.documents import KINDS, VARIANTS, example
from exhaust_contract.publishing import PublishError, client_settings
from exhaust_contract.refusals import RefusalCode

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_examples_are_printed(name: str, variant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["example", name, variant]) == 0
    assert json.loads(capsys.readouterr().out) == example(name, variant)


JUDGED_HERE = {"NOT_JSON", "SCHEMA", "TOMBSTONE", "TYPE_MISMATCH", "ARCHIVE_OUTSIDE_PREFIX"}


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_code_has_an_example_that_earns_it_as_far_as_the_package_can_tell(
    code: RefusalCode, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["example", code.value]) == 0
    file = tmp_path / "event.json"
    file.write_text(capsys.readouterr().out)
    assert json.loads(file.read_text())["refused"]["code"] == code.value
    assert run(["validate", "--json", str(file)]) == (code.value in JUDGED_HERE)
    said = json.loads(capsys.readouterr().out)
    assert {"code": said.get("code"), "pointer": said.get("pointer")} == (
        json.loads(file.read_text())["refused"] if code.value in JUDGED_HERE else {"code": None, "pointer": None}
    )


REQUEST = "0B1C2D3E-0000-4000-8000-00000000000A"
OF_MINE = ["--request", REQUEST, "--attempt", "3", "--source", "/mine"]


@pytest.mark.parametrize("variant", ["least", "full"])
@pytest.mark.parametrize("name", [kind.name for kind in KINDS if kind.topic == "dataset.completions"])
def test_an_example_of_another_request_is_right_and_has_the_id_of_the_builders(
    name: str, variant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["example", name, variant, *OF_MINE]) == 0
    file = tmp_path / "event.json"
    file.write_text(capsys.readouterr().out)
    assert run(["validate", str(file)]) == 0
    made = json.loads(file.read_text())
    request = REQUEST.lower()
    assert (made["key"], made["value"]["requestid"], made["value"]["attempt"]) == (request, request, 3)
    assert made["headers"]["ce_source"] == "/mine"
    if (name, variant) == ("progress", "least"):
        assert made["headers"]["ce_id"] == progressed(request, 3, source="/mine", daystotal=3).id


def test_an_example_of_another_topic_is_made_over_too(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("requested", "beat"):
        assert run(["example", name, *OF_MINE]) == 0
        made = json.loads(capsys.readouterr().out)
        assert made["headers"]["ce_source"] == "/mine"
        assert made["value"].get("requestid", REQUEST.lower()) == REQUEST.lower()


def test_validate_reads_an_array_lines_and_the_standard_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [example("progress", "least"), example("completed", "refused")]
    array, lines = tmp_path / "array.json", tmp_path / "lines.jsonl"
    array.write_text(json.dumps(events))
    lines.write_text("\n".join(map(json.dumps, events)))
    for path in (array, lines):
        assert run(["validate", str(path)]) == 1
        right, refused = capsys.readouterr().out.splitlines()
        assert right == f"{path}:1: right"
        assert refused.startswith(f"{path}:2: ARCHIVE_OUTSIDE_PREFIX at /archive/key: the archive does not lie under ")
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(events[0])))
    assert run(["validate", "-"]) == 0
    assert capsys.readouterr().err == (
        "Whether the request, the attempt and the archive are there, only the status service knows.\n"
    )


def test_validate_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([example("failed", "least") | {"text": "{"}, example("failed", "full")]))
    wrong = json.loads(file.read_text())
    del wrong[0]["value"]
    file.write_text(json.dumps(wrong))
    assert run(["validate", "--json", str(file)]) == 1
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["verdict"], first["code"], first["pointer"]) == ("refused", "NOT_JSON", "")
    assert second == {"place": f"{file}:2", "verdict": "right"}


@pytest.mark.parametrize("text", ["", "{", "7", "[7]", '{"headers": 7}', '{"headers": {}}\n{'])
def test_a_file_without_events_is_told_or_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.json"
    file.write_text(text)
    code = run(["validate", str(file)])
    told = capsys.readouterr()
    assert (code, bool(told.err)) == (2, True)


def test_a_file_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(tmp_path / "nowhere")]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_nothing_is_sent_when_one_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([example("progress", "least"), example("progress", "refused")]))
    assert run(["publish", str(file), "--bootstrap", "127.0.0.1:1"]) == 1
    assert capsys.readouterr().err == "Nothing was sent.\n"


def test_publish_without_a_client_says_what_to_install(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    file = tmp_path / "event.json"
    file.write_text(json.dumps(example("progress", "least")))
    assert run(["publish", str(file), "--bootstrap", "127.0.0.1:1"]) == 3
    assert "pip install 'telemetry-exhaust-contract[kafka]'" in capsys.readouterr().err


def test_settings_come_from_environment_and_file_and_secrets_from_no_argument(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# ours\nsasl.password = from=file\n\nbootstrap.servers=b:1\n")
    environment = {
        "EXHAUST_KAFKA_BOOTSTRAP": "a:1",
        "EXHAUST_KAFKA_SASL_PASSWORD": "x",
        "EXHAUST_KAFKA_SASL_USERNAME": "u",
    }
    found = client_settings(None, str(file), environment)
    assert (found["bootstrap.servers"], found["sasl.password"], found["sasl.username"]) == ("b:1", "from=file", "u")
    assert client_settings("c:1", None, environment)["bootstrap.servers"] == "c:1"
    assert client_settings(None, None, environment)["bootstrap.servers"] == "a:1"
    with pytest.raises(PublishError, match="EXHAUST_KAFKA_BOOTSTRAP"):
        client_settings(None, None, {})
    with pytest.raises(PublishError, match="cannot be read"):
        client_settings(None, str(tmp_path / "nowhere"), {})
    with pytest.raises(SystemExit):
        run(["publish", "x", "--password", "secret"])
