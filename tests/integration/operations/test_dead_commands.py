"""The operators' commands for dead letters, also when one of the servers is away, and when a redrive is killed."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from exhaust.postgres.audit import Action
from exhaust.process.failpoints import CRASH_EXIT_CODE, VARIABLE
from schemas.events import TOPIC_COMPLETIONS
from tests.integration.operations.conftest import REASON, Operator
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.operations.letters import Letters
    from tests.support.kafka_cluster import KafkaTestSettings

SOON = "UPDATE dead_letters SET claimed_until = now() + interval '2 s' WHERE state = 'sending'"
DEAD = ("UNKNOWN_REQUEST",)


@pytest.fixture(autouse=True)
def _kafka(kafka_settings: KafkaTestSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in kafka_settings.model_dump().items():
        if name.startswith("kafka_") and value is not None and name != "kafka_session_timeout":
            written = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
            monkeypatch.setenv(f"EXHAUST_{name.upper()}", written)


async def test_letters_are_listed_by_cause_and_one_by_one(operator: Operator, letters: Letters) -> None:
    await letters.bury(letters.record(1), letters.record(2))
    told = await operator.asks("dead", "list", "--source", letters.source)
    assert told["unseen"] == []
    [cause] = told["causes"]
    assert (cause["code"], cause["topic"], cause["letters"], cause["waiting"]) == (*DEAD, TOPIC_COMPLETIONS, 2, 2)
    told = await operator.asks("dead", "list", "--each", "--source", letters.source, "--state", "waiting")
    assert {row["letter"] for row in told["letters"]} == {str(place) for place in await letters.places()}
    text = await operator.command.good("dead", "list", "--each", "--source", letters.source)
    assert len(text.rows) == 3
    assert (await operator.asks("dead", "list", "--source", letters.source, "--code", "INTERNAL"))["causes"] == []


async def test_a_letter_is_shown_with_its_bytes_and_that_is_audited(
    operator: Operator, letters: Letters, tmp_path: Path
) -> None:
    record = letters.record(1)
    await letters.bury(record)
    [place] = await letters.places()
    saved = tmp_path / "value"
    shown = await operator.asks("dead", "show", str(place), "--save", str(saved))
    assert base64.b64decode(shown["value"]) == saved.read_bytes() == record.value
    assert ["dl_code", *DEAD] in shown["headers"]
    text = await operator.command.good("dead", "show", str(place))
    assert ["odd", "\\xff\\x00"] in text.rows
    assert [subject for _, subject, _ in await operator.acts(Action.SHOW_LETTER)] == [f"dead-letter/{place}"] * 2
    assert (await operator.run("dead", "show", "0/999999999")).code == 1
    assert (await operator.run("dead", "show", "first")).code == 2


async def test_with_one_server_away_the_other_is_shown(
    operator: Operator, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    await letters.bury(letters.record(1))
    [place] = await letters.places()
    listing = ("dead", "list", "--each", "--source", letters.source)
    assert len((await operator.asks(*listing))["letters"]) == 1
    with monkeypatch.context() as only:
        only.setenv("EXHAUST_KAFKA_BOOTSTRAP", f"127.0.0.1:{closed_port()}")
        told = await operator.asks(*listing)
        assert ([row["state"] for row in told["letters"]], len(told["unseen"])) == (["waiting"], 1)
        assert "Kafka does not answer" in told["unseen"][0]
        assert (await operator.run("dead", "show", str(place))).code == 1
        assert (await operator.run("dead", "redrive", str(place), "--reason", REASON)).code == 1
        planned = await operator.asks("dead", "redrive", str(place), "--reason", REASON, "--dry-run")
        assert planned["done"] == 1
    with monkeypatch.context() as only:
        only.delenv("EXHAUST_POSTGRES_OWNER_DSN")
        told = await operator.asks(*listing)
        assert [row["state"] for row in told["letters"]] == [None]
        assert told["unseen"] == ["the database, because EXHAUST_POSTGRES_OWNER_DSN is not set"]
        assert (await operator.asks(*listing[:2], *listing[3:]))["causes"][0]["letters"] == 1
        shown = await operator.run("dead", "show", str(place))
        assert (shown.code, "audit" in shown.err) == (1, True)
    assert await operator.acts(Action.SHOW_LETTER) == []


async def test_all_of_one_cause_are_redriven(operator: Operator, letters: Letters) -> None:
    await letters.bury(*(letters.record(number) for number in range(3)))
    cause = ("--code", *DEAD, "--source", letters.source, "--reason", REASON)
    assert (await operator.asks("dead", "redrive", *cause, "--dry-run"))["done"] == 3
    assert await letters.on(TOPIC_COMPLETIONS) == []
    assert (await operator.asks("dead", "redrive", *cause))["done"] == 3
    assert len(await letters.on(TOPIC_COMPLETIONS)) == 3
    assert (await operator.run("dead", "redrive", *cause)).code == 1
    assert (await operator.run("dead", "redrive", "--reason", REASON)).code == 2


@pytest.mark.parametrize("step", ["redrive.after_claim", "redrive.after_send"])
async def test_after_a_kill_a_second_run_sends_what_is_missing_and_nothing_twice(
    operator: Operator, letters: Letters, step: str
) -> None:
    await letters.bury(*(letters.record(number) for number in range(5)))
    places = await letters.places()
    command = [sys.executable, "-m", "admin.command", "dead", "redrive", *map(str, places), "--reason", REASON]
    killed = await asyncio.to_thread(
        subprocess.run, command, env=os.environ | {VARIABLE: step}, capture_output=True, check=False
    )
    assert killed.returncode == CRASH_EXIT_CODE, killed.stderr
    assert await operator.acts(Action.REDRIVE) == []
    # As when the time has passed in which something of the run could be on its way.
    async with operator.owner.transaction() as connection:
        await connection.execute(SOON)
    ran = await asyncio.to_thread(subprocess.run, [*command, "--json"], capture_output=True, check=True)
    done = json.loads(ran.stdout)
    assert (done["done"], done["refused"]) == (5, 0)
    words = "is there" if step == "redrive.after_send" else "was sent"
    assert all(result["what"].startswith(words) for result in done["results"])
    assert sorted(record.key or b"" for record in await letters.on(TOPIC_COMPLETIONS)) == [
        b"key-%d" % number for number in range(5)
    ]
    assert len(await operator.acts(Action.REDRIVE)) == 5
