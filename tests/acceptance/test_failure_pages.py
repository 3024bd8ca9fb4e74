"""The commands of the pages about failures do what they say, on a stack that has such a failure where they need one."""

from __future__ import annotations

import gzip
import shlex
from contextlib import ExitStack
from datetime import date
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.conftest import ROOT
from tests.support.doc_examples import blocks, shell
from tests.support.frozen import frozen
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.stack import Stack
    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore
    from tests.support.partner import Partner

OWNER = PLAN.channel_ids[0]
PAGES = sorted((ROOT / "docs" / "operations" / "failures").glob("*.md"))
# The pages whose commands name a request, and how it has to stand: open, or ended by a cancel.
OPEN = ("request-stands-still", "bad-release")
CANCELLED = ("request-failed",)
DAMAGED = date(2026, 10, 20)


def commands(page: str) -> list[str]:
    return blocks(f"docs/operations/failures/{page}.md", "sh", after="# ")


@pytest.fixture
def operator(reader: Path) -> Path:
    """An operator's folder, with the logs of the stack."""
    (reader / ".local" / "logs").symlink_to(FOLDER / "logs")
    return reader


async def submit(partner: Partner, day: date) -> str:
    path = f"eks-consumption-raw/{resource_of(OWNER)}/{day}/{day}?tags[]={uuid4().hex}"
    request: str = (await partner.submit(path, partner_id=OWNER)).result["requestid"]
    return request


@pytest.mark.parametrize("page", [page.stem for page in PAGES if page.stem != "raw-object-damaged"])
async def test_the_commands_of_a_page(page: str, operator: Path, stack: Stack, partner: Partner) -> None:
    before = ""
    with ExitStack() as held:
        if page in OPEN + CANCELLED:
            await partner.grant(OWNER)
            held.enter_context(frozen(stack.processes["aggregator"]))  # so that it does not end meanwhile
            before = f"REQUEST={await submit(partner, FIRST)}\n"
        if page in CANCELLED:
            before += 'exhaustctl cancel "$REQUEST" --reason test\n'
        shell(before + "\n".join(commands(page)), operator)


async def test_a_damaged_object_is_replaced(
    operator: Path, stack: Stack, partner: Partner, objects: ObjectStore
) -> None:
    await partner.grant(OWNER)
    key, whole = f"raw/{DAMAGED}-1792454400000.json.gz", gzip.compress(b'{"eid":"START"}\n' * 1000)
    await objects.put(stack.s3.raw_bucket, key, whole[:-20])
    request = await submit(partner, DAMAGED)
    assert (await partner.finished(request))["status"] == "failed"
    (operator / "whole.json.gz").write_bytes(whole)
    names = {"OBJECT": key, "FILE": "whole.json.gz", "REQUEST": request}
    variables = [f"{name}={shlex.quote(value)}" for name, value in names.items()]
    shell("\n".join([*variables, *commands("raw-object-damaged")]), operator)
    assert (await partner.finished(request))["status"] == "complete"


@pytest.mark.parametrize("page", [page.stem for page in PAGES])
async def test_the_queries_of_a_page(page: str, owner_database: Database) -> None:
    for query in blocks(f"docs/operations/failures/{page}.md", "sql", after="# "):
        assert await owner_database.fetch(query.rstrip().rstrip(";")) is not None
