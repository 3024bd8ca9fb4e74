"""The whole stack: real servers and the three services, as `make up` starts them."""

import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from admin.test_issuer import Algorithm, LocalIssuer, make_issuer
from deploy.local.s3_settings import s3_settings
from deploy.local.stack import Stack, start_stack, stop_stack
from exhaust.postgres.database import Database, open_database
from exhaust.s3.store import ObjectStore, open_object_store
from telemetry.generator import GeneratorPlan, generate
from tests.conftest import ROOT
from tests.support.partner import Partner

FOLDER = ROOT / ".local" / "test-stack"
NO_LIMITS = {"EXHAUST_REGISTRATIONS_PER_HOUR": "1000000"}  # every test registers, and all from one address
FIRST = date(2026, 9, 1)
PLAN = GeneratorPlan(
    seed=7,
    days=tuple(FIRST + timedelta(days=number) for number in range(10)),
    channels=3,
    partners=3,
    tags=3,
    events_per_day=3000,
    objects_per_day=3,
)


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> LocalIssuer:
    """An issuer whose tokens the stack's gateway accepts."""
    folder = tmp_path_factory.mktemp("issuer")
    return make_issuer(folder / "made", Algorithm.ED25519, issuer="https://issuer.test", audience="telemetry-exhaust")


@pytest.fixture(scope="session")
def stack(issuer: LocalIssuer) -> Iterator[Stack]:
    stop_stack(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (issuer.environment | NO_LIMITS).items():
            environment.setenv(name, value)
        yield start_stack(FOLDER, stop_at_exit=True)
    stop_stack(FOLDER)


@pytest.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield session


@pytest.fixture(scope="session")
async def objects(stack: Stack) -> AsyncIterator[ObjectStore]:
    async with open_object_store(s3_settings(stack.s3)) as opened:
        yield opened


@pytest.fixture
async def owner_database(stack: Stack) -> AsyncIterator[Database]:
    async with open_database(SecretStr(stack.postgres), pool_size=2) as opened:
        yield opened


@pytest.fixture(scope="session")
async def raw_days(stack: Stack, objects: ObjectStore) -> dict[str, dict[str, bytes]]:
    """Ten days of generated telemetry in `eks-consumption-raw`: by day, by object name."""
    days: dict[str, dict[str, bytes]] = {}
    for raw in generate(PLAN):
        days.setdefault(raw.day.isoformat(), {})[raw.name] = raw.data
        await objects.put(stack.s3.raw_bucket, f"raw/{raw.name}", raw.data)
    return days


@pytest.fixture
async def partner(http: aiohttp.ClientSession, stack: Stack) -> Partner:
    return await Partner.register(http, stack)


@pytest.fixture
def reader(tmp_path: Path, stack: Stack, issuer: LocalIssuer) -> Path:
    """A reader's folder: the stack that runs, the commands, and a `make` that has done its work already."""
    assert stack.processes
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local" / "stack.json").symlink_to(FOLDER / "stack.json")
    (tmp_path / ".local" / "test-issuer").symlink_to(issuer.folder)
    commands = {
        "make": "",
        "exhaust": f'exec {sys.executable} -m telemetry_exhaust "$@"\n',
        "exhaustctl": f'exec {sys.executable} -m admin.command "$@"\n',
    }
    for name, code in commands.items():
        target = tmp_path / "bin" / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(f"#!/bin/sh\n{code}")
        target.chmod(0o755)
    (tmp_path / ".venv").symlink_to(tmp_path)
    return tmp_path
