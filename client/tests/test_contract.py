"""The contract that tests/acceptance/test_partners_package.py plays on the real servers, here on the fake."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from client_support.contract import Gateway, keep_whole, look_before, walk
from client_support.fake_gateway import OWNER

if TYPE_CHECKING:
    from pathlib import Path

    from client_support.fake_gateway import FakeGateway


def test_the_fake_carries_the_whole_way_of_a_partner(fake: FakeGateway, tmp_path: Path) -> None:
    last = datetime.now(timezone.utc).date() - timedelta(days=1)
    gateway = Gateway(fake.environment(), OWNER, last - timedelta(days=2), last, 3 * fake.behaviour.events)
    walk(gateway, tmp_path / "get")
    keep_whole(gateway, tmp_path / "sync")
    look_before(gateway)
