"""Each process of the local stack has only the secrets that it needs, and each secret opens only what it must."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import pytest

from deploy.local.stack import service_environment
from tests.attacks.processes import FOLDER, SERVICES
from tests.attacks.store import Store

if TYPE_CHECKING:
    import aiohttp

    from deploy.local.stack import Stack

OPERATOR = "EXHAUST_POSTGRES_OPERATOR_DSN"
POSTGRES, PEPPERS, TOKEN = "EXHAUST_POSTGRES_DSN", "EXHAUST_LICENSE_KEY_PEPPERS", "EXHAUST_SERVICE_TOKEN"
NEEDED: Final = {
    "gateway": {POSTGRES, PEPPERS, TOKEN},
    "status": {POSTGRES, TOKEN},
    "aggregator": set[str](),
    "console": {POSTGRES, OPERATOR},
}
S3_KEY, S3_SECRET = "EXHAUST_S3_ACCESS_KEY", "EXHAUST_S3_SECRET_KEY"
FORBIDDEN: Final = 403


def environment_of(name: str) -> dict[str, str]:
    """The variables that a running process was started with."""
    pid = json.loads((FOLDER / "run" / f"{name}.json").read_text())["pid"]
    text = Path(f"/proc/{pid}/environ").read_text()
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_secret_that_it_does_not_need(stack: Stack, name: str) -> None:
    assert stack.processes
    given = environment_of(name)
    secrets = {POSTGRES, OPERATOR, PEPPERS, TOKEN, "EXHAUST_POSTGRES_OWNER_DSN"}
    had = {secret for secret in secrets if secret in given or f"{secret}_FILE" in given}
    assert had == NEEDED[name]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_secret_of_the_owner_or_the_store(stack: Stack, name: str) -> None:
    assert found_in(name, owners_secrets(stack)) == []


def test_what_is_no_service_has_no_secret_of_the_services(stack: Stack) -> None:
    others = {path.stem for path in (FOLDER / "run").glob("*.json")} - set(SERVICES)
    assert len(others) >= 3
    secrets = owners_secrets(stack) | {"the service token": stack.service_token}
    had = {name: set(found_in(name, secrets)) for name in others}
    had["seaweedfs"].discard("the store's key")
    assert {name: secrets for name, secrets in had.items() if secrets} == {}


def owners_secrets(stack: Stack) -> dict[str, str]:
    return {"the owner's password": urlsplit(stack.postgres).password or "", "the store's key": stack.s3.secret_key}


def found_in(name: str, secrets: dict[str, str]) -> list[str]:
    """Which secrets stand in the environment of a process."""
    text = "\0".join(environment_of(name).values())
    return [what for what, secret in secrets.items() if secret in text]


def test_no_two_services_share_a_credential(stack: Stack) -> None:
    assert stack.processes
    given = {name: environment_of(name) for name in SERVICES}
    # Counted, so that no failure prints them.
    keys = {variables[S3_SECRET] for variables in given.values()}
    assert len(keys) == len(SERVICES), "a key of the store"
    users = {urlsplit(given[name][POSTGRES]).username for name in ("gateway", "status", "console")}
    assert len(users) == 3, "a role of the database"


def as_service(name: str, http: aiohttp.ClientSession, stack: Stack) -> Store:
    """The store with the credentials of a service."""
    variables = service_environment(FOLDER, name)
    return Store(http, stack.s3.endpoint, variables[S3_KEY], variables[S3_SECRET])


async def test_the_console_lists_raw_objects_and_reads_none(
    stack: Stack, http: aiohttp.ClientSession, store: Store
) -> None:
    mine, bucket = as_service("console", http, stack), stack.s3.raw_bucket
    await store.put(bucket, "attacks/x.json.gz", b"x")
    assert (await mine.call("GET", bucket, query="list-type=2&prefix=attacks%2F"))[0] == 200
    assert (await mine.call("GET", bucket, "attacks/x.json.gz"))[0] == FORBIDDEN
    assert (await mine.call("PUT", bucket, "attacks/x.json.gz", data=b"y"))[0] == FORBIDDEN
    assert (await mine.call("GET", stack.s3.exhaust_bucket, query="list-type=2"))[0] == FORBIDDEN


async def test_the_aggregator_reads_raw_objects_and_cannot_change_them(
    stack: Stack, http: aiohttp.ClientSession, store: Store
) -> None:
    mine, bucket = as_service("aggregator", http, stack), stack.s3.raw_bucket
    await store.put(bucket, "attacks/x.json.gz", b"x")
    assert await mine.get(bucket, "attacks/x.json.gz") == b"x"
    assert (await mine.call("PUT", bucket, "attacks/x.json.gz", data=b"y"))[0] == FORBIDDEN
    assert (await mine.call("DELETE", bucket, "attacks/x.json.gz"))[0] == FORBIDDEN
    assert (await mine.call("PUT", stack.s3.exhaust_bucket, "attacks/x", data=b"y"))[0] == 200


@pytest.mark.parametrize("name", ["gateway", "status"])
async def test_who_only_signs_and_reads_downloads_cannot_write_or_read_raw(
    stack: Stack, http: aiohttp.ClientSession, store: Store, name: str
) -> None:
    mine, raw, exhaust = as_service(name, http, stack), stack.s3.raw_bucket, stack.s3.exhaust_bucket
    await store.put(raw, "attacks/x.json.gz", b"x")
    await store.put(exhaust, "attacks/y", b"y")
    calls = [("GET", raw, "attacks/x.json.gz"), ("PUT", raw, "attacks/x.json.gz"), ("DELETE", raw, "attacks/x.json.gz")]
    calls += [("PUT", exhaust, "attacks/y"), ("DELETE", exhaust, "attacks/y")]
    answers = {f"{method} {bucket}": (await mine.call(method, bucket, key))[0] for method, bucket, key in calls}
    assert answers == dict.fromkeys(answers, FORBIDDEN)
    assert await mine.get(exhaust, "attacks/y") == b"y"
