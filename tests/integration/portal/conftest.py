"""A browser without scripts at the portal of a gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from tests.support.portal_visitor import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.integration.conftest import Gateway


@pytest.fixture
async def visitor(gateway: Gateway) -> AsyncIterator[Visitor]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Visitor(session, gateway.base)


@pytest.fixture
async def signed_in(gateway: Gateway, visitor: Visitor) -> Visitor:
    seen = await visitor.sign_in(gateway.license_key)
    assert (seen.status, seen.location) == (303, "/portal")
    return visitor
