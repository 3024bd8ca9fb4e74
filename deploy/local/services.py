"""The three services of the stack, and the preparation of its servers for them."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

from deploy.local import kafka, postgres, seaweedfs
from deploy.local.folder import Settings
from deploy.local.processes import Command, Process, Processes
from deploy.local.readiness import http_request
from deploy.local.servers import Servers

NAMES = ("gateway", "aggregator", "status")
_PREPARATIONS = {kafka.NAME: "topics", postgres.NAME: "migrate", seaweedfs.NAME: "buckets"}
_PREPARE_LIMIT = timedelta(seconds=90)
_START_LIMIT = timedelta(seconds=60)
_OK = 200
_PEPPER_VERSION = "1"


def environment(name: str, settings: Settings, servers: Servers) -> dict[str, str]:
    """Return the whole environment of a service: this process's own, overridden by the stack's settings."""
    ports, generated = settings.ports, settings.secrets
    # The services need no AWS credentials of this environment, and not the owner of the database.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    inherited.pop("EXHAUST_POSTGRES_OWNER_DSN", None)
    return inherited | {
        "PYTHONUNBUFFERED": "1",
        "EXHAUST_HOST": "127.0.0.1",
        "EXHAUST_PORT": str(ports[name]),
        "EXHAUST_INTERNAL_PORT": str(ports["gateway_internal"]),
        "EXHAUST_STATUS_URL": f"http://127.0.0.1:{ports['status']}",
        "EXHAUST_POSTGRES_DSN": servers.postgres_runtime,
        "EXHAUST_KAFKA_BOOTSTRAP": servers.kafka,
        # Shorter than the default, so that the work of a killed service moves on soon.
        "EXHAUST_KAFKA_SESSION_TIMEOUT": "PT10S",
        "EXHAUST_S3_ENDPOINT": servers.s3.endpoint,
        "EXHAUST_S3_ACCESS_KEY": servers.s3.access_key,
        "EXHAUST_S3_SECRET_KEY": servers.s3.secret_key,
        "EXHAUST_S3_RAW_BUCKET": servers.s3.raw_bucket,
        "EXHAUST_S3_EXHAUST_BUCKET": servers.s3.exhaust_bucket,
        "EXHAUST_SERVICE_TOKEN": generated.service_token,
        "EXHAUST_LICENSE_KEY_PEPPERS": json.dumps({_PEPPER_VERSION: generated.pepper}),
    }


async def prepare(server: str, processes: Processes, settings: Settings, servers: Servers, project: Path) -> None:
    """Create that server's tables, topics or buckets, with the command that an operator uses too.

    Raises:
        StackError: the command failed.
    """
    values = environment(NAMES[0], settings, servers) | {"EXHAUST_POSTGRES_OWNER_DSN": servers.postgres_owner}
    name = _PREPARATIONS[server]
    program = (sys.executable, "-m", "admin.command", name)
    await processes.finish(Command(name, program, values, project), _PREPARE_LIMIT)


async def serve(name: str, processes: Processes, settings: Settings, servers: Servers, project: Path) -> None:
    """Start the service if it does not run, and wait until it is ready.

    Raises:
        StackError: it failed.
    """

    async def start() -> Process:
        program = (sys.executable, "-m", f"services.{name}")
        return await processes.start(Command(name, program, environment(name, settings, servers), project))

    port = settings.ports["gateway_internal" if name == "gateway" else name]
    await processes.serve(name, start, lambda: http_request(port, "/health/ready")[0] == _OK, _START_LIMIT)
