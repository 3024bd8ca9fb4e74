"""Every operation of every listener refuses a query parameter that it does not have, before it does anything."""

from __future__ import annotations

import json
import re

import pytest
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from tests.support.listeners import LISTENERS, endpoints, listener_app

AUTHORIZATION = {"Authorization": "Bearer a service token"}
OPERATIONS = [(listener, method, path) for listener in LISTENERS for method, path in endpoints(listener)]
VALUES = {"requestid": "a3bb189e-8bf9-4c88-9912-ace4e6543002", "fromDate": "2026-10-30", "toDate": "2026-11-01"}


@pytest.mark.parametrize(("listener", "method", "path"), OPERATIONS, ids=[" ".join(one) for one in OPERATIONS])
async def test_an_unknown_parameter_is_refused_by_name(listener: str, method: str, path: str) -> None:
    filled = re.sub(r"\{(\w+)\}", lambda name: VALUES.get(name[1], "x"), path)
    body: dict[str, object] | None = None if method in {"GET", "HEAD"} else {"request": {}}
    async with TestClient(TestServer(listener_app(listener))) as client:
        url = URL(f"{filled}?tagz[]=x", encoded=True)
        async with client.request(method, url, json=body, headers=AUTHORIZATION) as answer:
            assert answer.status == 400
            if method != "HEAD":
                told = json.loads(await answer.read())["params"]
                assert told["err"] == "INVALID_DATA_ERROR"
                assert told["errmsg"] == "tagz[]: this operation has no such query parameter"


@pytest.mark.parametrize("path", ["/health/live", "/docs", "/openapi.json"])
async def test_pages_take_any_parameter(path: str) -> None:
    async with TestClient(TestServer(listener_app("public"))) as client, client.get(f"{path}?x=1") as answer:
        assert answer.status == 200
