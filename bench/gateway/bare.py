"""The service that the gateway is compared with: aiohttp, uvloop and asyncpg with the gateway's own SQL.

`python -m bench.gateway.bare` serves submit and status from the tables that its settings name. No envelope is checked,
nothing is logged or counted, no header is added; the status call is answered without a second service.
"""

from __future__ import annotations

import hmac
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import asyncpg
import orjson
import uvloop
from aiohttp import web

from exhaust.postgres.database import SESSION
from exhaust.postgres.grants import RIGHTS
from exhaust.postgres.license_keys import AUTHENTICATE
from exhaust.postgres.request_views import BY_ID
from exhaust.postgres.requests import ACCEPT
from exhaust.settings import LicenseKeySettings, PostgresSettings, ProcessSettings
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncpg.pool import PoolConnectionProxy

MOST_OPEN: Final = 10_000
MOST_BUILT: Final = 10**15
NOT_SYNCHRONOUS: Final = False


class BareSettings(ProcessSettings, PostgresSettings, LicenseKeySettings):
    """The settings of the bare service, a part of the gateway's."""


class Bare:
    """The two handlers of the bare service, with their connection pool."""

    def __init__(self, pool: asyncpg.Pool, peppers: list[bytes]) -> None:
        self._pool = pool
        self._peppers = peppers

    async def submit(self, http: web.Request) -> web.Response:
        """Run the statements of a submit."""
        part = orjson.loads(await http.read())["request"]
        path, request_id, partner = http.match_info, uuid4(), resource_id(part["partnerid"])
        async with self._pool.acquire() as connection:
            user_id = (await self._authenticate(connection, part))["user_id"]
            await self._check_grants(connection, user_id, part["partnerid"], path["resource"], path["dataset"])
            await connection.fetchrow(
                ACCEPT,
                request_id,
                user_id,
                part["partnerid"],
                part["username"],
                path["dataset"],
                path["resource"],
                date.fromisoformat(path["first"]),
                date.fromisoformat(path["last"]),
                http.query.getall("tags[]"),
                1,
                NOT_SYNCHRONOUS,
                partner,
                MOST_OPEN,
                "",
                MOST_BUILT,
                MOST_BUILT,
            )
        return _answer({"requestid": str(request_id)}, 202)

    async def status(self, http: web.Request) -> web.Response:
        """Run the statements of a status call, in the gateway and in the status service."""
        part = orjson.loads(await http.read())["request"]
        async with self._pool.acquire() as connection:
            user_id = (await self._authenticate(connection, part))["user_id"]
            row = await connection.fetchrow(BY_ID, [UUID(http.match_info["request_id"])])
            if row is None:
                raise web.HTTPNotFound
            await self._check_grants(connection, user_id, row["partner_id"], row["resource"], row["dataset_id"])
        return _answer({"status": row["state"], "daysdone": row["days_done"], "events": row["day_events"]}, 200)

    async def _authenticate(self, connection: PoolConnectionProxy, part: Mapping[str, Any]) -> asyncpg.Record:
        key = part["licenseKey"].encode()
        hashes = [hmac.digest(pepper, key, sha256) for pepper in self._peppers]
        row = await connection.fetchrow(AUTHENTICATE, hashes)
        if row is None:
            raise web.HTTPUnauthorized
        return row

    async def _check_grants(
        self, connection: PoolConnectionProxy, user_id: int, partner_id: str, resource: str, dataset: str
    ) -> None:
        row = await connection.fetchrow(RIGHTS, [user_id], [resource_id(partner_id)], [resource], [dataset])
        if row is None or not (row["acts_for_partner"] and row["may_read"]):
            raise web.HTTPForbidden


def _answer(result: Mapping[str, object], status: int) -> web.Response:
    return web.Response(body=orjson.dumps({"result": result}), status=status, content_type="application/json")


async def _set_json_codec(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads
    )


async def _keep_session(_connection: asyncpg.Connection) -> None:
    pass


async def application() -> web.Application:
    """Return the application, connected to the database."""
    settings = BareSettings()
    pool = await asyncpg.create_pool(
        settings.postgres_dsn.get_secret_value(),
        max_size=settings.postgres_pool_size,
        init=_set_json_codec,
        # As the gateway, which saves a round trip and the planning of known statements.
        reset=_keep_session,
        server_settings=SESSION,
    )
    bare = Bare(pool, [pepper.get_secret_value().encode() for pepper in settings.license_key_peppers.values()])
    app = web.Application()
    app.router.add_post("/v2/datasets/requests/status/{request_id}", bare.status)
    app.router.add_post("/v2/datasets/{dataset}/{resource}/{first}/{last}", bare.submit)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    settings = BareSettings()
    web.run_app(application(), host=settings.host, port=settings.port, access_log=None, print=None, loop=_loop())


def _loop() -> uvloop.Loop:
    return uvloop.new_event_loop()


if __name__ == "__main__":
    main()
