"""What the status service may write to the local stack's store: what belongs to requests, and nothing else."""

import os
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.local.folder import Folder
from deploy.local.s3_settings import s3_settings
from deploy.local.servers import choose_servers
from deploy.local.stack import Stack
from exhaust.domain.object_keys import cancelled_key, request_prefix
from exhaust.errors import ExhaustError
from exhaust.s3.store import open_object_store

REQUEST = uuid4()


async def test_the_status_service_writes_and_deletes_objects_of_requests_alone(
    servers: Stack, servers_folder: Path
) -> None:
    chosen = choose_servers(os.environ, Folder(servers_folder).settings(may_change_ports=False))
    access = replace(chosen.s3_by_service["status"], endpoint=servers.s3.endpoint)
    bucket = access.exhaust_bucket
    async with open_object_store(s3_settings(access)) as objects:
        for attempt in (1, 2, 1):
            await objects.put(bucket, cancelled_key(REQUEST, attempt), b"")
            assert (await objects.head(bucket, cancelled_key(REQUEST, attempt))).size == 0
        assert await objects.delete_prefix(bucket, request_prefix(REQUEST)) == 2
        for key in ("days/eks-consumption-raw/x.zip", "records/x/cancelled", "cancelled", "requests-of-others/x.zip"):
            with pytest.raises(ExhaustError, match="S3 refuses access"):
                await objects.put(bucket, key, b"")
        with pytest.raises(ExhaustError, match="S3 refuses access"):
            await objects.put(access.raw_bucket, cancelled_key(REQUEST, 1), b"")
