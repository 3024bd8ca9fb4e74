"""Three clients, three resources, every operation: who gets what, and that nothing tells foreign from unknown."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from admin.test_issuer import LocalIssuer, mint_token
from deploy.local.independent_count import Wanted, compare_download
from deploy.local.stack import Stack
from exhaust.postgres.database import open_database
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from tests.acceptance.conftest import FIRST, PLAN
from tests.support.partner import KEY_NAME, Partner, resource_of

Days = dict[str, dict[str, bytes]]
OWNERS = PLAN.partner_ids[:3]
NOBODY = "org.example.partner.unknown"
DATASET = "eks-consumption-raw"
ZIP, DONE = "200 zip", "200"


@dataclass(frozen=True, slots=True)
class Tenant:
    """A client that may read one owner's telemetry.

    Attributes:
        request_id: of a request of its own that is complete.
        link: the signed link to its archive.
        webhook_id: of a webhook of its own, to which nobody listens.
    """

    partner: Partner
    owner: str
    token: str
    request_id: str
    link: str
    webhook_id: str


@dataclass(frozen=True, slots=True)
class Target:
    """What a caller reaches for: an owner's resource, a request for it, that request's archive, and a webhook."""

    owner: str
    request_id: str
    archive: str
    webhook_id: str

    @property
    def path(self) -> str:
        return f"{DATASET}/{resource_of(self.owner)}/{FIRST}/{FIRST}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer, as far as two callers may compare theirs."""

    status: int
    content_type: str
    body: bytes

    @property
    def code(self) -> str:
        """Of a refusal, the gateway's in JSON or the store's in XML."""
        if self.content_type == "application/json":
            return str(json.loads(self.body)["params"]["err"])
        return "".join(re.findall("<Code>([^<]*)</Code>", self.body.decode(errors="replace")))

    @property
    def cell(self) -> str:
        """As the matrix writes it."""
        what = "zip" if self.content_type == "application/zip" else self.code
        return f"{self.status} {what}".strip()

    @property
    def told(self) -> Any:
        """The answer without what differs at every call; the store's, which repeats the address, in its words only."""
        if self.content_type != "application/json":
            return re.findall("<(?:Code|Message)>[^<]*<", self.body.decode(errors="replace"))
        envelope = json.loads(self.body)
        envelope["params"].pop("resmsgid")
        envelope.pop("ts")
        return envelope


Operation = Callable[[Tenant, Target], Awaitable[Outcome]]


async def call(http: aiohttp.ClientSession, method: str, url: str, **arguments: Any) -> Outcome:
    async with http.request(method, URL(url, encoded=True), **arguments) as answer:
        return Outcome(answer.status, answer.content_type, await answer.read())


def post(tenant: Tenant, path: str, request: dict[str, str], *, base: str = "", token: str = "") -> Awaitable[Outcome]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    partner = tenant.partner
    return call(
        *(partner.http, "POST", f"{base or partner.stack.gateway}{path}"), json={"request": request}, headers=headers
    )


def key(tenant: Tenant) -> dict[str, str]:
    return {"licenseKey": tenant.partner.license_key}


def get(tenant: Tenant, path: str, **headers: str) -> Awaitable[Outcome]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(tenant.partner.http, "GET", f"{tenant.partner.stack.gateway}{path}", headers=named)


def v1(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v1/datasets/{target.path}", key(tenant) | {"partnerid": target.owner})


def v1_get(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return get(tenant, f"/v1/datasets/{target.path}", X_API_Key=tenant.partner.license_key)


def v3_token(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return get(tenant, f"/data/v3/datasets/{target.path}", Authorization=f"Bearer {tenant.token}")


def v3_channel(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    headers = {"X_API_Key": tenant.partner.license_key, "X_Channel_ID": target.owner}
    return get(tenant, f"/data/v3/datasets/{target.path}", **headers)


def v3_channel_of_ones_own(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    headers = {"Authorization": f"Bearer {tenant.token}", "X_Channel_ID": tenant.owner}
    return get(tenant, f"/data/v3/datasets/{target.path}", **headers)


def submit(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v2/datasets/{target.path}", key(tenant) | {"partnerid": target.owner, "username": "u"})


def submit_as_oneself(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v2/datasets/{target.path}", key(tenant) | {"partnerid": tenant.owner, "username": "u"})


def requests(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v2/datasets/requests/{target.owner}", key(tenant))


def requests_by_get(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return get(tenant, f"/v2/datasets/requests/{target.owner}", X_API_Key=tenant.partner.license_key)


def days(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    query = f"dataset={DATASET}&resource={resource_of(target.owner)}&from={FIRST}&to={FIRST}"
    return get(tenant, f"/v2/days?{query}", X_API_Key=tenant.partner.license_key)


def estimate(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v2/datasets/{target.path}/estimate", key(tenant) | {"partnerid": target.owner})


def status(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v2/datasets/requests/status/{target.request_id}", key(tenant))


def status_get(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    path = f"/v2/datasets/requests/status/{target.request_id}"
    return get(tenant, path, X_API_Key=tenant.partner.license_key)


def cancel(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    """One's own request is complete, so that nothing is left to cancel; of a foreign one nobody may learn that."""
    url = f"{tenant.partner.stack.gateway}/v2/datasets/requests/status/{target.request_id}"
    return call(tenant.partner.http, "DELETE", url, headers={"X-API-Key": tenant.partner.license_key})


async def download_of_a_request(tenant: Tenant, target: Target) -> Outcome:
    """The stable address, and the link that it answers."""
    url = f"{tenant.partner.stack.gateway}/v2/datasets/requests/{target.request_id}/download"
    headers = {"X-API-Key": tenant.partner.license_key}
    async with tenant.partner.http.get(url, headers=headers, allow_redirects=False) as answer:
        if answer.status != HTTPStatus.TEMPORARY_REDIRECT:
            return Outcome(answer.status, answer.content_type, await answer.read())
        link = answer.headers["Location"]
    return await call(tenant.partner.http, "GET", link)


def retry(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    """One's own request is complete, so that there is nothing to try again; of a foreign one nobody may learn that."""
    url = f"{tenant.partner.stack.gateway}/v2/datasets/requests/{target.request_id}/retry"
    return call(tenant.partner.http, "POST", url, headers={"X-API-Key": tenant.partner.license_key})


async def delete(tenant: Tenant, target: Target) -> Outcome:
    """A request of one's own, made for this; a foreign one as it is."""
    request_id = target.request_id
    if target.owner == tenant.owner:
        submitted = await submit(tenant, target)
        request_id = json.loads(submitted.body)["result"]["requestid"]
        await tenant.partner.finished(request_id)
    url = f"{tenant.partner.stack.gateway}/v2/datasets/requests/{request_id}"
    return await call(tenant.partner.http, "DELETE", url, headers={"X-API-Key": tenant.partner.license_key})


def events_of_a_request(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return get(tenant, f"/v2/datasets/requests/{target.request_id}/events", X_API_Key=tenant.partner.license_key)


async def webhook(tenant: Tenant, webhook_id: str, method: str, path: str, request: dict[str, Any]) -> Outcome:
    url = f"{tenant.partner.stack.gateway}/v2/webhooks/{webhook_id}{path}"
    body = {"json": {"request": request}} if request or method == "POST" else {}
    return await call(tenant.partner.http, method, url, headers={"X-API-Key": tenant.partner.license_key}, **body)


def on_webhook(name: str, method: str, path: str = "", **request: Any) -> Operation:
    async def operation(tenant: Tenant, target: Target) -> Outcome:
        return await webhook(tenant, target.webhook_id, method, path, request)

    operation.__name__ = name
    return operation


async def delete_webhook(tenant: Tenant, target: Target) -> Outcome:
    """A webhook of one's own, made for this; a foreign one as it is."""
    own = target.webhook_id == tenant.webhook_id
    webhook_id = await new_webhook(tenant.partner) if own else target.webhook_id
    return await webhook(tenant, webhook_id, "DELETE", "", {})


def signed_link(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    """One's own signature under the address of another archive."""
    link = tenant.link.replace(URL(tenant.link).raw_path, target.archive)
    return call(tenant.partner.http, "GET", link)


def update(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    """A job's report that the tenant's request is complete, with another archive."""
    request = {"status": "complete", "downloadurl": target.archive}
    stack = tenant.partner.stack
    path = f"/v2/datasets/requests/update/{tenant.request_id}"
    return post(tenant, path, request, base=stack.gateway_internal, token=stack.service_token)


def authorize(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    names = {"clientName": tenant.partner.name, "licenseKeyName": KEY_NAME, "resourceId": resource_of(target.owner)}
    stack = tenant.partner.stack
    return post(tenant, "/v1/client/authorize", names, base=stack.gateway_internal, token=stack.service_token)


def associate(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    """What only services may do, with a license key in the place of the service token."""
    path = f"/v1/associate/{resource_of(target.owner)}"
    partner = tenant.partner
    return post(tenant, path, key(tenant), base=partner.stack.gateway_internal, token=partner.license_key)


def associate_in_public(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    return post(tenant, f"/v1/associate/{resource_of(target.owner)}", key(tenant))


def update_in_public(tenant: Tenant, target: Target) -> Awaitable[Outcome]:
    path = f"/v2/datasets/requests/update/{target.request_id}"
    return post(tenant, path, key(tenant) | {"status": "failed"})


# What a client gets for its own resource, and for one that is foreign or unknown.
MATRIX: dict[Operation, tuple[str, str]] = {
    v1: (ZIP, "403 AUTHORIZATION_FAILED"),
    v1_get: (ZIP, "403 AUTHORIZATION_FAILED"),
    v3_token: (ZIP, "403 AUTHORIZATION_FAILED"),
    v3_channel: (ZIP, "403 AUTHORIZATION_FAILED"),
    v3_channel_of_ones_own: (ZIP, "403 AUTHORIZATION_FAILED"),
    submit: ("202", "403 AUTHORIZATION_FAILED"),
    submit_as_oneself: ("202", "403 AUTHORIZATION_FAILED"),
    requests: (DONE, "403 AUTHORIZATION_FAILED"),
    requests_by_get: (DONE, "403 AUTHORIZATION_FAILED"),
    days: (DONE, "403 AUTHORIZATION_FAILED"),
    estimate: (DONE, "403 AUTHORIZATION_FAILED"),
    status: (DONE, "404 INVALID_REQUESTID"),
    status_get: (DONE, "404 INVALID_REQUESTID"),
    cancel: ("409 INVALID_DATA_ERROR", "404 INVALID_REQUESTID"),
    events_of_a_request: (DONE, "404 INVALID_REQUESTID"),
    retry: ("409 INVALID_DATA_ERROR", "404 INVALID_REQUESTID"),
    delete: (DONE, "404 INVALID_REQUESTID"),
    download_of_a_request: (ZIP, "404 INVALID_REQUESTID"),
    on_webhook("show_webhook", "GET"): (DONE, "404 NOT_FOUND"),
    on_webhook("change_webhook", "PATCH", enabled=True): (DONE, "404 NOT_FOUND"),
    on_webhook("rotate_webhook", "POST", "/rotate"): (DONE, "404 NOT_FOUND"),
    on_webhook("deliveries_of_a_webhook", "GET", "/deliveries"): (DONE, "404 NOT_FOUND"),
    on_webhook("replay_webhook", "POST", "/replay", since="2026-01-01T00:00:00Z"): ("202", "404 NOT_FOUND"),
    on_webhook("test_webhook", "POST", "/test"): ("202", "404 NOT_FOUND"),
    delete_webhook: (DONE, "404 NOT_FOUND"),
    signed_link: (ZIP, "403 SignatureDoesNotMatch"),
    update: (DONE, "400 INVALID_DATA_ERROR"),
    authorize: (DONE, "403 AUTHORIZATION_FAILED"),
    associate: ("401 LOGIN_FAILED", "401 LOGIN_FAILED"),
    associate_in_public: ("404 NOT_FOUND", "404 NOT_FOUND"),
    update_in_public: ("404 NOT_FOUND", "404 NOT_FOUND"),
}


async def new_webhook(partner: Partner) -> str:
    request = {"url": "http://127.0.0.1:1024/", "events": ["request.failed"]}
    outcome = await call(
        *(partner.http, "POST", f"{partner.stack.gateway}/v2/webhooks"),
        json={"request": request},
        headers={"X-API-Key": partner.license_key},
    )
    return str(json.loads(outcome.body)["result"]["webhook"]["id"])


async def tenant_of(http: aiohttp.ClientSession, stack: Stack, issuer: LocalIssuer, owner: str) -> Tenant:
    partner = await Partner.register(http, stack)
    await partner.grant(owner)
    async with open_database(SecretStr(stack.postgres), pool_size=1) as database:
        subject = TokenSubject(issuer.issuer, partner.name)
        await TokenSubjects(database).bind(subject, partner.name, KEY_NAME, actor="operator/test")
    path = f"{DATASET}/{resource_of(owner)}/{FIRST}/{FIRST}"
    request_id = (await partner.submit(path, partner_id=owner)).result["requestid"]
    link = (await partner.finished(request_id))["downloadurl"]
    return Tenant(partner, owner, mint_token(issuer, partner.name), request_id, link, await new_webhook(partner))


@pytest.fixture(scope="module")
async def tenants(http: aiohttp.ClientSession, stack: Stack, issuer: LocalIssuer, raw_days: Days) -> list[Tenant]:
    assert raw_days
    return [await tenant_of(http, stack, issuer, owner) for owner in OWNERS]


def target_of(tenant: Tenant) -> Target:
    return Target(tenant.owner, tenant.request_id, URL(tenant.link).raw_path, tenant.webhook_id)


def unknown_target(tenant: Tenant) -> Target:
    """Of nobody: an owner without grants, a request, an archive and a webhook that are not there."""
    request_id = str(uuid4())
    archive = URL(tenant.link).raw_path.replace(tenant.request_id, request_id)
    return Target(NOBODY, request_id, archive, str(uuid4()))


@pytest.mark.parametrize("resource", range(3))
@pytest.mark.parametrize("client", range(3))
@pytest.mark.parametrize("operation", MATRIX, ids=lambda operation: operation.__name__)
async def test_a_client_gets_what_is_its_own_and_nothing_else(
    tenants: list[Tenant], raw_days: Days, tmp_path: Path, operation: Operation, client: int, resource: int
) -> None:
    caller, target = tenants[client], target_of(tenants[resource])
    own, other = MATRIX[operation]
    outcome = await operation(caller, target)
    assert outcome.cell == (own if client == resource else other), outcome
    if outcome.cell == ZIP:
        archive = tmp_path / "download.zip"
        archive.write_bytes(outcome.body)
        found = compare_download(archive, [str(FIRST)], raw_days.__getitem__, Wanted(resource_of(caller.owner)))
        assert [day.difference for day in found] == [None]
        assert found[0].events > 0
    if client == resource:
        return
    assert b"PK\x03\x04" not in outcome.body
    unknown = await operation(caller, unknown_target(tenants[resource]))
    assert (unknown.status, unknown.content_type) == (outcome.status, outcome.content_type)
    assert unknown.told == outcome.told


async def test_ones_own_day_is_built(tenants: list[Tenant]) -> None:
    for tenant in tenants:
        target = target_of(tenant)
        (day,) = json.loads((await days(tenant, target)).body)["result"]["days"]
        assert (day["state"], day["built"]) == ("ready", True)
        told = json.loads((await estimate(tenant, target)).body)["result"]
        assert told["days"] == {"total": 1, "built": 1, "tobuild": 0}
        assert told["bytes"]["least"] <= len((await v1_get(tenant, target)).body) <= told["bytes"]["most"]


async def test_a_list_shows_what_is_ones_own(tenants: list[Tenant]) -> None:
    for tenant in tenants:
        key_header = {"X_API_Key": tenant.partner.license_key}
        own, by_get, every = [
            json.loads(outcome.body)["result"]["requests"]
            for outcome in (
                await requests(tenant, target_of(tenant)),
                await requests_by_get(tenant, target_of(tenant)),
                await get(tenant, "/v2/datasets/requests", **key_header),
            )
        ]
        ids = [[entry["requestid"] for entry in listed] for listed in (own, by_get, every)]
        assert ids[0] == ids[1] == ids[2]
        listed = own
        assert tenant.request_id in {entry["requestid"] for entry in listed}
        assert {entry["resourceid"] for entry in listed} == {resource_of(tenant.owner)}
