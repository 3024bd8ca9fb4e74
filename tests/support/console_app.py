"""A console that listens, and callers of its forms."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from pydantic import SecretStr

from exhaust.domain.catalogue import load_catalogue
from exhaust.postgres.database import open_database
from exhaust.process.health import Health
from exhaust.settings import KafkaSettings
from exhaust.tokens.verifier import open_token_verifier
from services.console.access import Gate
from services.console.access_settings import AccessSettings
from services.console.action_runs import Tools
from services.console.actions_page import actions_page
from services.console.app import console_app
from services.console.csrf import Csrf
from services.console.roles import Callers
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from aiohttp import ClientResponse, web

    Client = TestClient[web.Request, web.Application]

BROWSER: Final = {"Accept": "text/html,application/xhtml+xml"}
AT_LOOPBACK: Final[dict[str, Any]] = {"console_loopback_role": "operator"}
# The tests call from this machine, so a proxy on it is one that they can be.
BEHIND_PROXY: Final[dict[str, Any]] = {"console_proxies": ["127.0.0.0/8"]}
ASHA: Final = {"X-Forwarded-User": "asha", "X-Forwarded-Groups": "staff, exhaust-operator"}
BEN: Final = {"X-Forwarded-User": "ben", "X-Forwarded-Groups": "exhaust-operator"}
VIEWER: Final = {"X-Forwarded-User": "vera", "X-Forwarded-Groups": "staff"}
_TOKEN: Final = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass
class Person:
    """A person with a browser, or with a program that keeps cookies.

    Attributes:
        headers: that a proxy sets for this person.
    """

    client: Client
    headers: Mapping[str, str] = field(default_factory=dict)

    async def get(self, path: str, **headers: str) -> ClientResponse:
        return await self.client.get(path, headers={**self.headers, **headers})

    async def token(self) -> str:
        """The token that this person's forms have."""
        answer = await self.get("/actions")
        assert answer.status == 200, await answer.text()
        return str((await answer.json())["csrftoken"])

    async def form_token(self) -> str:
        found = _TOKEN.search(await (await self.get("/actions", **BROWSER)).text())
        assert found is not None
        return found[1]

    async def send(self, action: str, **fields: object) -> ClientResponse:
        """Send JSON, as a program does."""
        headers = {**self.headers, "X-CSRF-Token": await self.token()}
        return await self.client.post(f"/actions/{action}", json=fields, headers=headers)

    async def submit(self, action: str, **fields: object) -> ClientResponse:
        """Send a form, as a browser does."""
        data = {"csrf_token": await self.form_token(), **fields}
        headers = {**self.headers, **BROWSER, "Sec-Fetch-Site": "same-origin"}
        return await self.client.post(f"/actions/{action}", data=data, headers=headers)


def nowhere(kafka: KafkaSettings | None = None) -> KafkaSettings:
    """A cluster that does not answer, unless one is given."""
    return kafka or KafkaSettings(kafka_bootstrap=f"127.0.0.1:{closed_port()}")


@asynccontextmanager
async def open_console(
    access: Mapping[str, Any],
    *,
    acts: bool = True,
    issuers: Path | None = None,
    operator_dsn: SecretStr | None = None,
    console_dsn: SecretStr | None = None,
    kafka: KafkaSettings | None = None,
    prefix: str = "/",
) -> AsyncIterator[Client]:
    """A console with the page Actions alone. Its servers are away, unless some are given."""
    away = SecretStr(f"postgresql://nobody@127.0.0.1:{closed_port()}/nothing")
    settings = AccessSettings.model_validate(dict(access))
    async with AsyncExitStack() as stack:
        tokens = await stack.enter_async_context(open_token_verifier(issuers))
        callers = Callers(settings, tokens if issuers else None)
        gate = Gate(callers, Csrf(None), prefix=prefix.rstrip("/"), acts=acts)
        operator = await stack.enter_async_context(open_database(operator_dsn or away, pool_size=8, connect=False))
        console = await stack.enter_async_context(open_database(console_dsn or away, pool_size=4, connect=False))
        tools = Tools(operator, console, nowhere(kafka), load_catalogue(None)) if acts else None
        app = console_app(Health(), [actions_page(gate, console)], prefix=prefix, gate=gate, tools=tools)
        client = TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True))
        yield await stack.enter_async_context(client)
