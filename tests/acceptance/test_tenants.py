"""Three clients, three resources, every operation: own answers for the owner, and for others what nobody else sees.

What belongs to somebody else has to look like what does not exist, in code and body.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

import pytest

from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import KEY_NAME, Partner, post, resource_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp

    from deploy.local.stack import Stack

DATASET = "eks-consumption-raw"
DAY = f"{FIRST}/{FIRST}"
OWNERS = PLAN.channel_ids[:3]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A client with a grant for its owner's resource, and its finished request."""

    partner: Partner
    owner: str
    request_id: str
    link: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a call is aimed at: of a tenant, or of nobody."""

    owner: str
    request_id: str

    @property
    def resource(self) -> str:
        return resource_of(self.owner)


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer without what differs from call to call: its own id, its time, and the names of the target."""

    status: int
    text: str
    zipped: bytes = b""


Operation: TypeAlias = Callable[[Tenant, Target], Awaitable[Seen]]


@pytest.fixture(scope="session")
async def tenants(http: aiohttp.ClientSession, stack: Stack, raw_days: Mapping[str, object]) -> list[Tenant]:
    assert raw_days
    made = []
    for owner in OWNERS:
        partner = await Partner.register(http, stack)
        await partner.grant("--channel", owner)
        reply = await partner.submit(f"{DATASET}/{resource_of(owner)}/{DAY}", partner_id=owner)
        assert reply.status == 202, reply
        done = await partner.finished(reply.result["requestid"])
        made.append(Tenant(partner, owner, reply.result["requestid"], done["downloadurl"]))
    return made


def seen(status: int, body: Mapping[str, object], target: Target) -> Seen:
    params = body["params"]
    assert isinstance(params, dict)
    kept = {**body, "ts": "", "params": {**params, "resmsgid": ""}}
    text = json.dumps(kept)
    for name, word in ((target.request_id, "REQUEST"), (target.owner, "OWNER"), (target.resource, "RESOURCE")):
        text = text.replace(name, word)
    return Seen(status, text)


async def zip_or_refusal(answer: aiohttp.ClientResponse, target: Target) -> Seen:
    if answer.content_type == "application/zip":
        return Seen(answer.status, "", await answer.read())
    return seen(answer.status, await answer.json(), target)


async def v1(tenant: Tenant, target: Target) -> Seen:
    url = f"{tenant.partner.stack.gateway}/v1/datasets/{DATASET}/{target.resource}/{DAY}"
    body = {"request": {"licenseKey": tenant.partner.license_key}}
    async with tenant.partner.http.post(url, json=body) as answer:
        return await zip_or_refusal(answer, target)


async def v3(tenant: Tenant, target: Target) -> Seen:
    url = f"{tenant.partner.stack.gateway}/data/v3/datasets/{DATASET}/{target.owner}/{DAY}"
    headers = {"X-Channel-ID": target.owner, "X-API-Key": tenant.partner.license_key}
    async with tenant.partner.http.get(url, headers=headers) as answer:
        return await zip_or_refusal(answer, target)


async def v2_submit(tenant: Tenant, target: Target) -> Seen:
    reply = await tenant.partner.submit(f"{DATASET}/{target.resource}/{DAY}", partner_id=target.owner)
    return seen(reply.status, reply.body, target)


async def v2_submit_in_own_name(tenant: Tenant, target: Target) -> Seen:
    reply = await tenant.partner.submit(f"{DATASET}/{target.resource}/{DAY}", partner_id=tenant.owner)
    return seen(reply.status, reply.body, target)


async def v2_status(tenant: Tenant, target: Target) -> Seen:
    reply = await tenant.partner.status(target.request_id)
    return seen(reply.status, reply.body, target)


async def v2_list(tenant: Tenant, target: Target) -> Seen:
    url = f"{tenant.partner.stack.gateway}/v2/datasets/requests/{target.owner}"
    reply = await post(tenant.partner.http, url, {"licenseKey": tenant.partner.license_key})
    return seen(reply.status, reply.body, target)


async def internal_authorize(tenant: Tenant, target: Target) -> Seen:
    named = {"clientName": tenant.partner.name, "licenseKeyName": KEY_NAME, "resourceId": target.resource}
    url = f"{tenant.partner.stack.gateway_internal}/v1/client/authorize"
    headers = {"Authorization": f"Bearer {tenant.partner.stack.service_token}"}
    async with tenant.partner.http.post(url, json={"request": named}, headers=headers) as answer:
        return seen(answer.status, await answer.json(), target)


OPERATIONS: dict[Operation, tuple[int, int, str]] = {
    v1: (200, 403, "AUTHORIZATION_FAILED"),
    v3: (200, 403, "AUTHORIZATION_FAILED"),
    v2_submit: (202, 403, "AUTHORIZATION_FAILED"),
    v2_submit_in_own_name: (202, 403, "AUTHORIZATION_FAILED"),
    v2_status: (200, 404, "INVALID_REQUESTID"),
    v2_list: (200, 403, "AUTHORIZATION_FAILED"),
    internal_authorize: (200, 403, "AUTHORIZATION_FAILED"),
}


def owners_in(zipped: bytes) -> set[str]:
    """The channels of all events in a download."""
    found = set()
    with zipfile.ZipFile(BytesIO(zipped)) as outer:
        for day in outer.namelist()[:-1]:
            with zipfile.ZipFile(BytesIO(outer.read(day))) as inner:
                lines = [line for name in inner.namelist() for line in inner.read(name).splitlines()]
                found |= {json.loads(line)["context"]["channel"] for line in lines}
    return found


@pytest.mark.parametrize("call", OPERATIONS, ids=lambda call: call.__name__)
async def test_everybody_gets_their_own_and_sees_nothing_of_others(tenants: list[Tenant], call: Operation) -> None:
    own, refused, code = OPERATIONS[call]
    nobody = Target(f"in.channel.{uuid4()}", str(uuid4()))
    for tenant in tenants:
        unknown = await call(tenant, nobody)
        assert (unknown.status, code in unknown.text, unknown.zipped) == (refused, True, b"")
        for other in tenants:
            answer = await call(tenant, Target(other.owner, other.request_id))
            if other is tenant:
                assert answer.status == own, answer
                assert not answer.zipped or owners_in(answer.zipped) == {tenant.owner}
            else:
                assert answer == unknown


async def test_a_list_holds_only_own_requests(tenants: list[Tenant]) -> None:
    for tenant in tenants:
        listed = await v2_list(tenant, Target(tenant.owner, tenant.request_id))
        assert "REQUEST" in listed.text
        assert not any(other.request_id in listed.text for other in tenants if other is not tenant)


async def test_a_signed_link_opens_its_own_download_alone(tenants: list[Tenant], http: aiohttp.ClientSession) -> None:
    for tenant in tenants:
        async with http.get(tenant.link) as answer:
            assert owners_in(await answer.read()) == {tenant.owner}
        _, _, signature = tenant.link.partition("?")
        for other in tenants:
            if other is not tenant:
                async with http.get(f"{other.link.partition('?')[0]}?{signature}") as answer:
                    assert answer.status == 403
