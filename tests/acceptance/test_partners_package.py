"""The partners' package on the real servers: the same contract that its own tests play on their fake gateway."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from client_support.contract import Gateway, keep_whole, walk

from deploy.local.independent_count import Wanted, compare_download
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import resource_of

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.local.stack import Stack
    from tests.support.partner import Partner

OWNER = PLAN.partner_ids[0]


def gateway_of(partner: Partner, stack: Stack, first: date, last: date, events: int) -> Gateway:
    environment = {
        "EXHAUST_GATEWAY": stack.gateway,
        "EXHAUST_LICENSE_KEY": partner.license_key,
        "EXHAUST_USERNAME": "asha",
    }
    return Gateway(environment, OWNER, first, last, events)


async def test_the_real_servers_carry_the_whole_way_of_a_partner(
    partner: Partner, stack: Stack, raw_days: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    await partner.grant(OWNER)
    reply = await partner.submit(f"eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{PLAN.days[-1]}", partner_id=OWNER)
    counted = await partner.finished(reply.result["requestid"])
    gateway = gateway_of(partner, stack, FIRST, PLAN.days[-1], counted["events"])
    path = await asyncio.to_thread(walk, gateway, tmp_path)
    found = compare_download(path, sorted(raw_days), raw_days.__getitem__, Wanted(resource_of(OWNER)))
    assert [day.difference for day in found if day.difference] == []


async def test_a_folder_is_kept_whole_from_the_real_servers(partner: Partner, stack: Stack, tmp_path: Path) -> None:
    await partner.grant(OWNER)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    gateway = gateway_of(partner, stack, yesterday - timedelta(days=4), yesterday, 0)
    assert len(await asyncio.to_thread(keep_whole, gateway, tmp_path)) == 5
