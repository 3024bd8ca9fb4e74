"""Deletions while the status service is killed: each is whole at last, or was never made."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
import stamina
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.domain.object_keys import request_prefix
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries
from exhaust.postgres.database import Database
from exhaust.process.failpoints import CRASH_EXIT_CODE
from exhaust.s3.store import ObjectStore
from exhaust.settings import S3RawBucketSettings
from services.status.request_states import RequestStates
from tests.integration.conftest import SERVICE_TOKEN
from tests.integration.status.conftest import FinishedDownloads, headers
from tests.support.completions import claim
from tests.support.gateway_process import ServiceProcess

WITHIN = timedelta(seconds=60)


@pytest.fixture
def service(
    servers_folder: Path, runtime_dsn: SecretStr, s3_settings: S3RawBucketSettings, servers: Stack, tmp_path: Path
) -> ServiceProcess:
    """A status service on the tables and buckets of these tests."""
    settings = {
        "EXHAUST_POSTGRES_DSN": runtime_dsn.get_secret_value(),
        "EXHAUST_S3_EXHAUST_BUCKET": s3_settings.s3_exhaust_bucket,
        "EXHAUST_S3_ACCESS_KEY": servers.s3.access_key,  # the service's own are good for the stack's buckets alone
        "EXHAUST_S3_SECRET_KEY": servers.s3.secret_key,
        "EXHAUST_SERVICE_TOKEN": SERVICE_TOKEN,
    }
    return ServiceProcess(servers_folder, tmp_path / "status.log", settings, "status")


@pytest.mark.parametrize("failpoint", ["delete.before_commit", "delete.after_commit", "delete.after_objects"])
async def test_a_killed_deletion_is_whole_at_last(
    service: ServiceProcess,
    request_id: UUID,
    caller: int,
    states: RequestStates,
    downloads: FinishedDownloads,
    database: Database,
    failpoint: str,
) -> None:
    await states.apply(claim(await downloads.write(request_id)))
    objects, bucket = downloads.objects, downloads.bucket

    async def delete(http: aiohttp.ClientSession) -> int:
        url = f"http://127.0.0.1:{service.port}/v2/datasets/requests/{request_id}"
        try:
            async with http.delete(url, headers=headers(caller)) as answer:
                return answer.status
        except aiohttp.ClientError:
            return 0

    async with aiohttp.ClientSession() as http:
        try:
            service.settings["EXHAUST_FAILPOINTS"] = failpoint
            await service.start(http)
            assert await delete(http) in ({0, 200} if failpoint == "delete.after_objects" else {0})
            assert await asyncio.wait_for(service.process.wait(), WITHIN.total_seconds()) == CRASH_EXIT_CODE
            del service.settings["EXHAUST_FAILPOINTS"]
            await service.start(http)
            assert await delete(http) == (200 if failpoint == "delete.before_commit" else 404)
            async for attempt in stamina.retry_context(on=AssertionError, attempts=None, timeout=WITHIN, wait_max=0.5):
                with attempt:
                    assert await remaining(objects, bucket, request_id) == []
            assert await service.stop() == 0
        finally:
            await service.kill()
    acts = await find_audit_entries(database, AuditFilter(action=Action.DELETE))
    assert [act.subject for act in acts] == [f"request/{request_id}"]


async def remaining(objects: ObjectStore, bucket: str, request_id: UUID) -> list[str]:
    return [found.key async for found in objects.list(bucket, request_prefix(request_id))]
