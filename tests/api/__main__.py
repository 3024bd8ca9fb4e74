"""Calls every operation of the running services, good and bad, by the API document: `make test-api`.

Starts a stack of its own. Exit 0 only when schemathesis found no failure on any listener.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from pydantic import SecretStr

from admin.test_issuer import LocalIssuer, make_issuer, mint_token
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, StackError, start_stack, stop_stack
from exhaust.postgres.database import open_database
from exhaust.postgres.license_keys import find_user
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects
from exhaust.s3.store import open_object_store
from schemas.operations import USER_HEADER
from services.gateway.api_document import listener_part, load_document
from tests.api.known import Known
from tests.conftest import ROOT
from tests.support.partner import KEY_NAME, Partner, resource_of

FOLDER = ROOT / ".local" / "test-api"
PARTNER = "org.example.api"
DATASET = "eks-consumption-raw"
EXAMPLES = 25
DELETABLE = 60
DELETABLE_WEBHOOKS = 6
LIMIT = timedelta(minutes=15)
# By POST it answers questions, which schemathesis takes for the creation of what the answers name.
NOTHING_IS_CREATED = ("--exclude-checks", "ensure_resource_availability")
# A caller who makes some thousand calls in a few minutes is what the limits are there for.
NO_LIMITS = {
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_REGISTRATIONS_PER_HOUR": "1000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "1000000",
}


async def prepare(stack: Stack, issuer: LocalIssuer) -> Known:
    """A client with a grant, a token that stands for it, and a request that is complete."""
    today = datetime.now(UTC).date()
    first, last = ((today - timedelta(days=days)).isoformat() for days in (2, 1))
    async with aiohttp.ClientSession() as http:
        partner = await Partner.register(http, stack)
        await partner.grant(PARTNER)
        result = await partner.finished(request_id := await submit(partner, first, last))
        failed_id = await failed_request(partner, stack, today)
        deletable = [await ended_request(partner, first, last) for _ in range(DELETABLE)]
        webhook, *others = [await new_webhook(partner) for _ in range(1 + DELETABLE_WEBHOOKS)]
        victim = await Partner.register(http, stack)
    async with open_database(SecretStr(stack.postgres), pool_size=1) as owner:
        bearer = TokenSubject(issuer.issuer, partner.name)
        await TokenSubjects(owner).bind(bearer, partner.name, KEY_NAME, actor="operator/test")
        async with owner.transaction() as connection:
            user_id = await find_user(connection, partner.name, KEY_NAME)
    return Known(
        license_key=partner.license_key,
        client_name=partner.name,
        victim_name=victim.name,
        key_name=KEY_NAME,
        partner_id=PARTNER,
        channel=PARTNER,
        resource_id=resource_of(PARTNER),
        request_id=request_id,
        failed_id=failed_id,
        deletable=",".join(deletable),
        webhook_id=webhook,
        deletable_webhooks=",".join(others),
        archive_key=urlsplit(result["downloadurl"]).path.removeprefix(f"/{stack.s3.exhaust_bucket}/"),
        dataset=DATASET,
        first_day=first,
        last_day=last,
        user_id=str(user_id),
        token=mint_token(issuer, partner.name, timedelta(hours=1)),
    )


async def submit(partner: Partner, first: str, last: str) -> str:
    """The id of a new request."""
    reply = await partner.submit(f"{DATASET}/{resource_of(PARTNER)}/{first}/{last}", partner_id=PARTNER)
    return str(reply.result["requestid"])


async def ended_request(partner: Partner, first: str, last: str) -> str:
    """The id of a request that is complete; its days are there already."""
    request_id = await submit(partner, first, last)
    await partner.finished(request_id)
    return request_id


async def failed_request(partner: Partner, stack: Stack, today: date) -> str:
    """The id of a request of which one day is finished, and another cannot be read."""
    damaged, sound = today - timedelta(days=4), today - timedelta(days=3)
    async with open_object_store(s3_settings(stack.s3)) as objects:
        await objects.put(stack.s3.raw_bucket, f"raw/{damaged}-1575399627832.json.gz", b"no gzip")
    request_id = await submit(partner, damaged.isoformat(), sound.isoformat())
    result = await partner.finished(request_id)
    if result["status"] != "failed":
        raise StackError(f"a request for a damaged day is {result['status']}")
    return request_id


async def new_webhook(partner: Partner) -> str:
    """The id of a webhook to which nobody listens."""
    request = {"url": "http://127.0.0.1:1024/", "events": ["request.complete"]}
    headers = {"X-API-Key": partner.license_key}
    url = f"{partner.stack.gateway}/v2/webhooks"
    async with partner.http.post(url, json={"request": request}, headers=headers) as answer:
        return str((await answer.json())["result"]["webhook"]["id"])


def check(listener: str, base: str, known: Known, *arguments: str) -> bool:
    """Whether a listener does what the document says of it."""
    document = FOLDER / f"openapi-{listener}.json"
    document.write_text(json.dumps(listener_part(load_document(), listener)))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(document), "--url", base),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "60", "--continue-on-failure"),
        *arguments,
    ]
    environment = {
        **os.environ,
        **known.environment(),
        "SCHEMATHESIS_HOOKS": "tests.api.hooks",
        "PYTHONPATH": str(ROOT),
        # The calls go to this machine, whatever proxy this environment names.
        "NO_PROXY": "127.0.0.1",
    }
    print(f"\n=== the {listener} listener", flush=True)
    done = subprocess.run(command, env=environment, cwd=FOLDER, check=False, timeout=LIMIT.total_seconds())
    return done.returncode == 0


def main() -> int:
    """Check all listeners, whatever the first ones show."""
    only = sys.argv[1:]
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    issuer = make_issuer(FOLDER / "issuer")
    os.environ.update(NO_LIMITS | issuer.environment)
    stack = start_stack(FOLDER, stop_at_exit=True)
    try:
        known = asyncio.run(prepare(stack, issuer))
        token = ("--header", f"Authorization: Bearer {stack.service_token}")
        caller = ("--header", f"{USER_HEADER}: {known.user_id}")
        # The status service answers list and status to the gateway alone, in the gateway's words.
        calls = {
            "public": (stack.gateway, ()),
            "internal": (stack.gateway_internal, token),
            "status": (stack.status_internal, (*token, *caller, "--include-tag", "internal", *NOTHING_IS_CREATED)),
        }
        passed = {
            listener: check(listener, base, known, *arguments)
            for listener, (base, arguments) in calls.items()
            if not only or listener in only
        }
    finally:
        stop_stack(FOLDER)
    print("\n" + "\n".join(f"{name} listener: {'0 failures' if good else 'FAILED'}" for name, good in passed.items()))
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
