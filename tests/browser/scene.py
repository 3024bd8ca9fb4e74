"""A system in trouble, for pages that have something to show: an aggregator that is frozen, failures, dead letters."""

from __future__ import annotations

import asyncio
import gzip
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from deploy.local.kafka_settings import kafka_fields
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, read_stack, start_stack, stop_stack
from exhaust.kafka.producer import open_producer
from exhaust.s3.store import open_object_store
from exhaust.settings import KafkaSettings
from schemas.events import TOPIC_COMPLETIONS
from tests.conftest import ROOT
from tests.support.frozen import frozen
from tests.support.partner import Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAY: Final = date(2026, 10, 26)
BROKEN: Final = f"raw/{DAY + timedelta(days=1)}-1793059200000.json.gz"
WAITING: Final = 7
DATASET: Final = "eks-consumption-raw"
TOLD_WITHIN: Final = timedelta(seconds=90)  # a sixth of it where nothing else runs
WORD: Final = "NOBODY READS"


@dataclass(frozen=True, slots=True)
class Names:
    """What partners and operators have called things."""

    owners: tuple[str, str]
    paused: str
    reason: str


MARKUP: Final = Names(
    ("org.example.maple", "org.example.<b>birch</b>"), "org.example.<i>willow</i>", "their <u>portal</u> asks all day"
)
PLAIN: Final = Names(("org.example.maple", "org.example.birch"), "org.example.willow", "their portal asks all day")


@contextmanager
def system_in_trouble(folder: Path, names: Names = MARKUP) -> Iterator[Stack]:
    """A stack of its own, whose aggregator is frozen while requests wait, as the console has noticed."""
    stop_stack(folder)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        stack = start_stack(folder, stop_at_exit=True)
        asyncio.run(_fail_some(stack, names))
        _command(folder, "dead", "list")  # which puts them into the index
        _command(folder, "pause", "--partner", names.paused, "--reason", names.reason)
        with frozen(read_stack(folder).processes["aggregator"]):
            asyncio.run(_let_wait(stack, names))
            yield stack
    finally:
        stop_stack(folder)


async def _fail_some(stack: Stack, names: Names) -> None:
    """One request ends well, six fail by one raw object, and a record becomes a dead letter."""
    whole = gzip.compress(b'{"eid":"START"}\n' * 1000)
    async with open_object_store(s3_settings(stack.s3)) as objects:
        await objects.put(stack.s3.raw_bucket, f"raw/{DAY}-1792972800000.json.gz", whole)
        await objects.put(stack.s3.raw_bucket, BROKEN, whole[:-20])
    async with open_producer(KafkaSettings.model_validate(kafka_fields(stack))) as producer:
        await producer.send_raw(
            TOPIC_COMPLETIONS, b"key", b"<script>not JSON</script>", [("ce_source", b"/spark/<b>17</b>")]
        )
    async with aiohttp.ClientSession() as http:
        partner = await _partner(http, stack, names)
        days = [(DAY, DAY), *[(DAY, DAY + timedelta(days=1))] * 6]
        for request in [await _submit(partner, names.owners[0], *span, tag) for tag, span in enumerate(days)]:
            await partner.finished(request)


async def _let_wait(stack: Stack, names: Names) -> None:
    """Requests of two partners wait, and the console says so."""
    async with aiohttp.ClientSession() as http:
        partner = await _partner(http, stack, names)
        first = date(2026, 9, 1)
        for number in range(WAITING):
            await _submit(partner, names.owners[number % 2], first, first + timedelta(days=30), f"waits-{number}")
        await _submit(partner, names.paused, first, first, "paused")
        async with asyncio.timeout(TOLD_WITHIN.total_seconds()):
            while True:
                verdict = (await _now(http, stack))["verdict"]
                if verdict["word"] == WORD and f"{WAITING} requests" in verdict["sentence"]:
                    return
                await asyncio.sleep(0.5)  # nobody is told when the console has noticed


async def _partner(http: aiohttp.ClientSession, stack: Stack, names: Names) -> Partner:
    partner = await Partner.register(http, stack)
    for owner in (*names.owners, names.paused):
        await partner.grant(owner)
    return partner


async def _submit(partner: Partner, owner: str, first: date, last: date, tag: object) -> str:
    reply = await partner.submit(f"{DATASET}/{resource_of(owner)}/{first}/{last}?tags[]={tag}", partner_id=owner)
    assert reply.status == 202, reply
    return str(reply.result["requestid"])


async def _now(http: aiohttp.ClientSession, stack: Stack) -> dict[str, Any]:
    async with http.get(f"{stack.console}/now") as answer:
        document: dict[str, Any] = await answer.json()
    return document


def _command(folder: Path, *arguments: str) -> None:
    """Run exhaustctl where it finds the stack."""
    place = folder / "operator"
    if not place.exists():
        place.mkdir()
        (place / ".local").symlink_to(folder)
    program = (sys.executable, "-m", "admin.command", *arguments)
    values = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run(program, cwd=place, env=values, check=True, stdout=subprocess.DEVNULL)
