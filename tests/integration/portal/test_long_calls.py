"""A call that a page makes for the holder of a session: what it trusts at its start, it looks at again after a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from exhaust.domain.catalogue import load_catalogue
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.endpoint import Call
from exhaust.postgres.grants import GrantStore
from exhaust.postgres.license_keys import KeyStore
from exhaust.postgres.token_subjects import TokenSubjects
from schemas.bodies import EmptyBody
from services.gateway.auth.access import SIGNED_IN, Access, SignedIn
from services.gateway.rate_limits import RateLimits
from services.gateway.settings import LimitSettings
from tests.integration.conftest import PEPPERS

if TYPE_CHECKING:
    from exhaust.postgres.database import Database
    from exhaust.tokens.verifier import TokenVerifier
    from tests.integration.conftest import Gateway


@pytest.fixture
def access(database: Database) -> Access:
    no_tokens = cast("TokenVerifier", None)
    limits = RateLimits(LimitSettings(), lambda: 0.0)
    keys = KeyStore(database, PEPPERS)
    return Access(keys, TokenSubjects(database), GrantStore(database), load_catalogue(None), no_tokens, limits)


async def test_a_session_whose_key_was_revoked_in_a_wait_gets_nothing(gateway: Gateway, access: Access) -> None:
    shown = await access.keys.find_key(gateway.license_key)
    assert shown is not None
    http = make_mocked_request("GET", "/v2/datasets/requests/status/1?wait=30")
    http[SIGNED_IN] = SignedIn(shown.client, shown.number)
    call = Call(http, EmptyBody(), "", "")
    assert await access.authenticate_api_key_and_throttle(call) == shown.client
    assert await access.authenticate_api_key(call) == shown.client
    await access.keys.revoke("client", "dashboard", actor="operator/tests")
    for look_again in (access.authenticate_api_key, access.authenticate_api_key_and_throttle):
        with pytest.raises(ExhaustError) as refused:
            await look_again(call)
        assert refused.value.code is ErrorCode.LOGIN_FAILED
