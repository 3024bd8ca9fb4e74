"""The files of a stack: data, logs, the records of its processes, its ports and credentials."""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from deploy.local.errors import StackError

PORT_NAMES = (
    *("kafka", "kafka_controller", "postgres"),
    *("s3", "s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc", "admin", "admin_grpc"),
    *("gateway", "gateway_internal", "aggregator", "status", "console"),
)
# All are below 32768, where Linux begins to take ports for outgoing connections: no port is lost while its process is
# down.
_FIRST_PORT, _BLOCK, _BLOCKS = 11_000, 20, 500
_ADMIN_GRPC_OFFSET = 10_000  # SeaweedFS's own worker always uses this offset


@dataclass(frozen=True, slots=True)
class Secrets:
    """The credentials of one stack, generated once."""

    postgres_owner: str
    postgres_runtime: str
    postgres_gateway: str
    postgres_status: str
    postgres_console: str
    postgres_operator: str
    s3_access_key: str
    s3_secret_key: str
    s3_gateway_access_key: str
    s3_gateway_secret_key: str
    s3_aggregator_access_key: str
    s3_aggregator_secret_key: str
    s3_status_access_key: str
    s3_status_secret_key: str
    s3_console_access_key: str
    s3_console_secret_key: str
    store_signing: str
    kafka_admin: str
    kafka_controller: str
    kafka_gateway: str
    kafka_aggregator: str
    kafka_status: str
    kafka_console: str
    service_token: str
    pepper: str
    webhook_key: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The ports, one for each name of PORT_NAMES, and credentials that outlive restarts of a stack."""

    ports: dict[str, int]
    secrets: Secrets = field(repr=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths below the root of one stack."""

    root: Path

    @property
    def stack_file(self) -> Path:
        """The file of addresses and credentials, which exists while the stack is up."""
        return self.root / "stack.json"

    @property
    def settings_file(self) -> Path:
        """The file of ports and credentials, which stays while the stack is down."""
        return self.root / "settings.json"

    @property
    def runs(self) -> Path:
        """The folder of the process records, one for each process."""
        return self.root / "run"

    @property
    def logs(self) -> Path:
        """The folder of the logs, one `<name>.log` for each process."""
        return self.root / "logs"

    def data(self, name: str) -> Path:
        """Return the folder of a process's data."""
        return self.root / "data" / name

    def log(self, name: str) -> Path:
        """Return the path of a process's log."""
        return self.logs / f"{name}.log"

    def create(self) -> None:
        """Create the missing folders, readable by this user alone."""
        for path in (self.root, self.root / "data", self.logs, self.runs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def locked(self, wait: timedelta) -> Iterator[None]:
        """Hold the lock that keeps every other start and stop of this stack out.

        Raises:
            StackError: another one has the lock for longer than the wait.
        """
        with (self.root / "lock").open("a+") as lock:
            deadline = time.monotonic() + wait.total_seconds()
            while not try_lock(lock.fileno()):
                if time.monotonic() > deadline:
                    lock.seek(0)
                    raise StackError(
                        f"process {lock.read().strip()} is starting or stopping the stack in {self.root}: "
                        "wait for its end, or use another folder"
                    )
                time.sleep(0.05)
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def ports(self) -> dict[str, int]:
        """Return the ports of a stack that has been started, whichever version made it."""
        ports: dict[str, int] = json.loads(self.settings_file.read_text())["ports"]
        return ports

    def settings(self, *, may_change_ports: bool) -> Settings:
        """Return the ports and credentials, generated the first time.

        Args:
            may_change_ports: nothing of the stack runs, so that a port which somebody else took can be exchanged.

        Raises:
            StackError: there is data of a stack whose credentials are lost, or a stack of an earlier version runs.
        """
        if self.settings_file.exists():
            kept = json.loads(self.settings_file.read_text())
            # A stack that an earlier version made has fewer credentials and ports.
            settings = Settings(ports=kept["ports"], secrets=Secrets(**asdict(_new_secrets()) | kept["secrets"]))
            has_ports = settings.ports.keys() == set(PORT_NAMES)
            complete = has_ports and asdict(settings.secrets) == kept["secrets"]
            if not may_change_ports and not complete:
                raise StackError(f"an earlier version started the stack in {self.root}: `make down`, then `make up`")
            ports_are_kept = not may_change_ports or (has_ports and all(map(_is_free, settings.ports.values())))
            if ports_are_kept and complete:
                return settings
            settings = replace(settings, ports=settings.ports if ports_are_kept else _free_ports())
        elif any(self.data("").iterdir()):
            raise StackError(f"{self.settings_file} is lost and its data cannot be opened without: remove {self.root}")
        else:
            settings = Settings(ports=_free_ports(), secrets=_new_secrets())
        write_private(self.settings_file, json.dumps(asdict(settings), indent=2))
        return settings


def try_lock(descriptor: int) -> bool:
    """Lock an open file against other processes; return False when one of them has it. Closing the file unlocks it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read. A reader sees the old or the new text, never a part."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.unlink(missing_ok=True)
    written.touch(mode=0o600, exist_ok=False)
    written.write_text(text)
    written.replace(path)


def _free_ports() -> dict[str, int]:
    for _ in range(_BLOCKS):
        first = _FIRST_PORT + _BLOCK * secrets.randbelow(_BLOCKS)
        ports = dict(zip(PORT_NAMES, range(first, first + len(PORT_NAMES)), strict=True))
        ports["admin_grpc"] = ports["admin"] + _ADMIN_GRPC_OFFSET
        if all(map(_is_free, ports.values())):
            return ports
    raise StackError(f"no {len(PORT_NAMES)} free ports in a row from {_FIRST_PORT} on: stop some of what listens there")


def _is_free(port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # ignore connections in TIME_WAIT
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _new_secrets() -> Secrets:
    store = {
        f"s3_{name}{part}": value
        for name in ("", "gateway_", "aggregator_", "status_", "console_")
        for part, value in (("access_key", secrets.token_hex(10).upper()), ("secret_key", secrets.token_urlsafe(30)))
    }
    return Secrets(
        postgres_owner=secrets.token_urlsafe(24),
        postgres_runtime=secrets.token_urlsafe(24),
        postgres_gateway=secrets.token_urlsafe(24),
        postgres_status=secrets.token_urlsafe(24),
        postgres_console=secrets.token_urlsafe(24),
        postgres_operator=secrets.token_urlsafe(24),
        service_token=secrets.token_urlsafe(32),
        store_signing=secrets.token_urlsafe(32),
        pepper=secrets.token_urlsafe(32),
        webhook_key=secrets.token_urlsafe(32),
        **store,
        **{
            f"kafka_{name}": secrets.token_hex(24)
            for name in ("admin", "controller", "gateway", "aggregator", "status", "console")
        },
    )
