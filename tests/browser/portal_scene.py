"""A system in order, for the portal: a partner with a grant, and days of telemetry up to yesterday."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
from pydantic import SecretStr

from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, start_stack, stop_stack
from exhaust.postgres.database import open_database
from exhaust.postgres.grants import Grant, GrantStore
from exhaust.s3.store import open_object_store
from telemetry.generator import GeneratorPlan, generate
from tests.support.partner import KEY_NAME, Partner, resource_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAYS: Final = 5


@dataclass(frozen=True, slots=True)
class PortalScene:
    """The system.

    Attributes:
        partner: has a grant on `owner` by its plain id.
        other: another partner's request.
        days: that have telemetry.
    """

    stack: Stack
    partner: Partner
    owner: str
    other: str
    days: tuple[date, ...]

    @property
    def address(self) -> str:
        return f"{self.stack.gateway}/portal"


@contextmanager
def open_scene(folder: Path) -> Iterator[PortalScene]:
    """Start a stack of its own while the block runs."""
    stop_stack(folder)
    shutil.rmtree(folder, ignore_errors=True)
    try:
        stack = start_stack(folder, stop_at_exit=True)
        yield asyncio.run(_filled(stack))
    finally:
        stop_stack(folder)


async def _filled(stack: Stack) -> PortalScene:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    days = tuple(yesterday - timedelta(days=number) for number in range(DAYS - 1, -1, -1))
    plan = GeneratorPlan(seed=7, days=days, channels=2, partners=2, tags=2, events_per_day=600, objects_per_day=2)
    async with open_object_store(s3_settings(stack.s3)) as objects:
        for raw in generate(plan):
            await objects.put(stack.s3.raw_bucket, f"raw/{raw.name}", raw.data)
    owner, others = plan.partner_ids
    async with aiohttp.ClientSession() as http:
        partner, other = await _partner(http, stack, owner), await _partner(http, stack, others)
        path = f"eks-consumption-raw/{resource_of(others)}/{yesterday}/{yesterday}"
        reply = await other.submit(path, partner_id=others)
        assert reply.status == 202, reply
    return PortalScene(stack, partner, owner, str(reply.result["requestid"]), days)


async def _partner(http: aiohttp.ClientSession, stack: Stack, owner: str) -> Partner:
    partner = await Partner.register(http, stack)
    async with open_database(SecretStr(stack.postgres), pool_size=1) as database:
        grant = Grant(partner.name, KEY_NAME, resource_of(owner), owner=owner)
        await GrantStore(database).add(grant, actor="operator/tests")
    return partner
