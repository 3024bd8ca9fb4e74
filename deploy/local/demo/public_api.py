"""The call of the public API that the demo makes itself: the one by which a key comes to be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import aiohttp

from deploy.local.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Mapping

CALL_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, sock_connect=5)
HTTP_ERRORS_FROM: Final = 400
_PATH: Final = "/v1/client"


async def register(gateway: str, client: str, key_name: str) -> str:
    """Register a client and return its license key.

    Raises:
        DemoError: If the gateway answers with an error, with no envelope, or not at all.
    """
    request = {"clientName": client, "licenseKeyName": key_name}
    try:
        async with (
            aiohttp.ClientSession(timeout=CALL_TIMEOUT) as session,
            session.post(gateway.rstrip("/") + _PATH, json={"request": request}) as answer,
        ):
            result = _result(answer.status, await answer.read())
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DemoError(f"POST {_PATH} got no answer: {error!r}") from error
    key = result.get("licenseKey")
    if not isinstance(key, str) or not key:
        raise DemoError(f"the answer of POST {_PATH} has no licenseKey")
    return key


def _result(status: int, body: bytes) -> Mapping[str, object]:
    try:
        envelope = json.loads(body)
    except ValueError as error:
        raise DemoError(f"POST {_PATH} answered {status} without an envelope") from error
    params = envelope.get("params", {}) if isinstance(envelope, dict) else {}
    if status >= HTTP_ERRORS_FROM or params.get("status") != "successful":
        raise DemoError(f"POST {_PATH} answered {status} {params.get('err')}: {params.get('errmsg')}")
    result = envelope.get("result", {})
    return result if isinstance(result, dict) else {}
