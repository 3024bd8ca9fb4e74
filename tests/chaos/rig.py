"""A system of its own for the runs: real servers, the services as children of this process, raw data and clients."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import asyncpg

from deploy.local import kafka, postgres, seaweedfs
from deploy.local import services as three_services
from deploy.local.errors import StackError
from deploy.local.folder import Folder, try_lock
from deploy.local.processes import Processes
from deploy.local.servers import choose_servers
from deploy.local.services import POSTGRES_DSN
from deploy.local.stack import Stack, service_environment, start_stack, stop_stack
from tests.attacks.store import Store
from tests.chaos.children import Child, free_port
from tests.chaos.faults.postgres import PostgresProxy
from tests.chaos.faults.s3 import S3Proxy
from tests.chaos.faults.tcp import FaultProxy, running
from tests.chaos.history import History
from tests.chaos.kafka_log import KafkaLog
from tests.chaos.rawdata import CATALOGUE, RawData
from tests.chaos.timeline import Timeline
from tests.conftest import ROOT
from tests.support.front import Front, open_front

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator, Mapping
    from pathlib import Path

SERVERS: Final = (kafka.NAME, postgres.NAME, seaweedfs.NAME)
SITE: Final = ROOT / "tests" / "chaos" / "child"
NONE: Final[Mapping[str, str]] = MappingProxyType({})
SESSION_S: Final = 3.0
SETTINGS: Final = {
    "EXHAUST_KAFKA_SESSION_TIMEOUT": f"PT{SESSION_S:.0f}S",
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_REGISTRATIONS_PER_HOUR": "1000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "10000",
    "EXHAUST_MAX_IN_FLIGHT_PER_PARTNER": "20",
    "EXHAUST_MAX_WAITS_PER_KEY": "1000",
    "EXHAUST_MAX_CONNECTIONS_PER_ADDRESS": "4000",
    "EXHAUST_MAX_DAYS_BUILT_PER_KEY": "1000000",
    "EXHAUST_RELEASE_TIMEOUT": "PT3S",
    "EXHAUST_REAP_INTERVAL": "PT0.5S",
    "EXHAUST_ABANDONED_AFTER": "PT60S",
    "EXHAUST_CORES": "1",
    "EXHAUST_DEAD_LETTER_LIMIT": "1000000",
    "EXHAUST_DRAIN_DELAY": "PT0.5S",
}
# Every change of a request's state, by whoever made it: a poll would miss some.
_RECORD_MOVES: Final = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.moves (
    number bigint GENERATED ALWAYS AS IDENTITY, request_id uuid, attempt integer, state text, outcome jsonb
);
CREATE FUNCTION chaos.record_move() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO chaos.moves (request_id, attempt, state, outcome)
        VALUES (NEW.request_id, NEW.attempt, NEW.state::text, NEW.outcome);
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_record_move AFTER INSERT OR UPDATE OF state, attempt, outcome ON requests
    FOR EACH ROW EXECUTE FUNCTION chaos.record_move();
"""


@dataclass(slots=True)
class Rig:
    """The system under test, and all that is known about it from outside."""

    folder: Path
    stack: Stack
    http: aiohttp.ClientSession
    database: Any
    store: Store
    raw: RawData
    random: Random
    history: History = field(default_factory=History)
    timeline: Timeline = field(default_factory=Timeline)
    children: list[Child] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)
    fronts: dict[str, Front] = field(default_factory=dict)
    kafka_proxy: FaultProxy | None = None
    postgres_proxy: PostgresProxy | None = None
    s3_proxy: S3Proxy | None = None

    @property
    def topics(self) -> KafkaLog:
        return KafkaLog(self.folder / "data" / kafka.NAME / "log")

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    def of(self, kind: str) -> list[Child]:
        return [child for child in self.children if child.kind == kind and child.wanted]

    def environment(self, kind: str, port: int) -> dict[str, str]:
        own = {"EXHAUST_PORT": str(port), "EXHAUST_CATALOGUE": str(self.folder / "catalogue.toml")}
        site = {"PYTHONPATH": str(SITE), "CHAOS_ROOT": str(ROOT), "CHAOS_PROBES": str(self.folder / "probes")}
        if (self.folder / "temporary").exists():
            own["TMPDIR"] = str(self.folder / "temporary")
        values = service_environment(self.folder, kind) | SETTINGS | own | site
        return values | self._routes(values) | self.settings

    def _routes(self, values: Mapping[str, str]) -> dict[str, str]:
        """The addresses of the proxies, where there are some."""
        routes = {}
        if self.kafka_proxy is not None:
            routes["EXHAUST_KAFKA_BOOTSTRAP"] = f"127.0.0.1:{self.kafka_proxy.port}"
        if self.s3_proxy is not None:
            routes["EXHAUST_S3_ENDPOINT"] = f"http://127.0.0.1:{self.s3_proxy.port}"
        if self.postgres_proxy is not None and POSTGRES_DSN in values:
            place = f"@127.0.0.1:{self.postgres_proxy.port}/"
            routes[POSTGRES_DSN] = re.sub(r"@127\.0\.0\.1:\d+/", place, values[POSTGRES_DSN])
        return routes

    @property
    def pooled_ports(self) -> set[int]:
        """The ports of servers to which pools keep connections."""
        servers = Folder(self.folder).settings(may_change_ports=False).ports
        proxies = (self.postgres_proxy, self.s3_proxy)
        return {servers["postgres"], servers["s3"], *(proxy.port for proxy in proxies if proxy is not None)}

    async def add(self, kind: str, **settings: str) -> Child:
        """Start one more process of a kind, and return it before it is ready."""
        port = free_port()
        environment = self.environment(kind, port) | settings
        if kind == "gateway":
            internal = free_port()
            environment |= {"EXHAUST_INTERNAL_PORT": str(internal)}
            port = internal
        number = sum(child.kind == kind for child in self.children)
        child = Child(kind, number, environment, port, self.logs / f"{kind}-{number}.log", self.timeline)
        self.children.append(child)
        await child.start()
        return child

    async def start_services(self, *, gateways: int = 1, aggregators: int = 2, statuses: int = 1) -> None:
        """Start so many of each, and wait until all are ready. Several gateways or status services get a front."""
        status = [await self.add("status") for _ in range(statuses)]
        port = status[0].port
        if statuses > 1:
            await asyncio.gather(*(child.ready() for child in status))
            self.fronts["status"] = await self.closing.enter_async_context(open_front([one.port for one in status]))
            port = self.fronts["status"].port
        self.settings["EXHAUST_STATUS_URL"] = f"http://127.0.0.1:{port}"
        gateway = [await self.add("gateway") for _ in range(gateways)]
        for _ in range(aggregators):
            await self.add("aggregator")
        await asyncio.gather(*(child.ready() for child in self.children))
        if gateways > 1:
            ports = [one.public_port for one in gateway]
            self.fronts["gateway"] = await self.closing.enter_async_context(open_front(ports))

    async def seen_by_front(self, child: Child) -> None:
        """Wait until the front before a process, if there is one, takes it for ready."""
        if child.kind in self.fronts:
            await self.fronts[child.kind].sees(child.public_port)

    @property
    def public(self) -> str:
        """The public address of a gateway, or of the front before several."""
        front = self.fronts.get("gateway")
        return f"http://127.0.0.1:{front.port if front else self.of('gateway')[0].public_port}"

    @property
    def internal(self) -> str:
        """The internal address of a gateway."""
        return f"http://127.0.0.1:{self.of('gateway')[0].port}"

    async def end_services(self) -> None:
        """Ask all services to end; those of the runs behind leave the list."""
        await asyncio.gather(*(child.stop() for child in self.children if child.wanted))

    def server_pid(self, name: str) -> int:
        """The process id of a server, which changes when it is started again."""
        process = Processes(Folder(self.folder)).running(name)
        assert process is not None, f"{name} does not run"
        return process.pid

    async def start_servers(self) -> None:
        """Start whichever server does not run."""
        await asyncio.to_thread(start_stack, self.folder, services=False, stop_at_exit=True)


@asynccontextmanager
async def open_rig(
    folder: Path,
    seed: int,
    *,
    proxied: Collection[str] = (),
    disks: Mapping[str, str] = NONE,
    settings: Mapping[str, str],
) -> AsyncIterator[Rig]:
    """A new system without services, whose folder is emptied first.

    Args:
        folder: where everything lives.
        seed: of all that is random.
        proxied: the servers before which a proxy stands.
        disks: by name of a folder in it, the size of the disk that it gets (tmpfs, which only root can mount).
        settings: variables for all services.
    """
    timeline = Timeline()
    async with AsyncExitStack() as closing:
        folder.parent.mkdir(exist_ok=True)
        lock = closing.enter_context(folder.with_suffix(".lock").open("w"))
        if not try_lock(lock.fileno()):
            raise StackError(f"another run is at work in {folder}: wait for its end")
        await asyncio.to_thread(stop_stack, folder)
        shutil.rmtree(folder, ignore_errors=True)
        for name, size in disks.items():
            closing.enter_context(_mounted(folder / name, size))
        kafka_proxy = None
        if kafka.NAME in proxied:
            kafka_proxy = await closing.enter_async_context(running(FaultProxy(kafka.NAME, 0, timeline)))
            closing.callback(os.environ.pop, kafka.PROXY_PORT)
            os.environ[kafka.PROXY_PORT] = str(kafka_proxy.port)  # each start of the broker reads it
        closing.push_async_callback(asyncio.to_thread, stop_stack, folder)
        starting = asyncio.create_task(asyncio.to_thread(start_stack, folder, services=False, stop_at_exit=True))
        while kafka_proxy is not None and not kafka_proxy.target and not starting.done():
            await asyncio.sleep(0.02)
            kafka_proxy.target = _port(folder, kafka.NAME)
        stack = await starting
        rig = await _new_rig(closing, folder, stack, seed, timeline)
        rig.settings |= settings
        rig.kafka_proxy = kafka_proxy
        await _open_proxies(closing, rig, proxied)
        try:
            yield rig
        finally:
            await asyncio.gather(*(child.end() for child in rig.children))


async def _new_rig(closing: AsyncExitStack, folder: Path, stack: Stack, seed: int, timeline: Timeline) -> Rig:
    (folder / "catalogue.toml").write_text(CATALOGUE)
    (folder / "probes").mkdir()
    await _prepare(folder)
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=2)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    http = await closing.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
    database = await closing.enter_async_context(asyncpg.create_pool(stack.postgres, min_size=0, max_size=3))
    await database.execute(_RECORD_MOVES)
    store = Store(http, stack.s3.endpoint, stack.s3.access_key, stack.s3.secret_key)
    raw = RawData(store, stack.s3.raw_bucket, seed)
    rig = Rig(folder, stack, http, database, store, raw, Random(seed), timeline=timeline, closing=closing)
    rig.history.secrets |= _secrets(folder)
    return rig


@contextmanager
def _mounted(place: Path, size: str) -> Iterator[None]:
    place.mkdir(parents=True)
    mount, unmount = shutil.which("mount") or "mount", shutil.which("umount") or "umount"
    subprocess.run((mount, "-t", "tmpfs", "-o", f"size={size},mode=700", "chaos", str(place)), check=True)
    try:
        yield
    finally:
        subprocess.run((unmount, "--lazy", str(place)), check=True)


async def _open_proxies(closing: AsyncExitStack, rig: Rig, proxied: Collection[str]) -> None:
    if postgres.NAME in proxied:
        before_postgres = PostgresProxy(postgres.NAME, _port(rig.folder, postgres.NAME), rig.timeline)
        rig.postgres_proxy = await closing.enter_async_context(running(before_postgres))
    if seaweedfs.NAME in proxied:
        before_s3 = S3Proxy("s3", _port(rig.folder, "s3"), rig.timeline)
        rig.s3_proxy = await closing.enter_async_context(running(before_s3))


def _port(folder: Path, name: str) -> int:
    """The port of a server; 0 while it has none."""
    place = Folder(folder.resolve())
    return place.ports()[name] if place.settings_file.exists() else 0


async def _prepare(folder: Path) -> None:
    place = Folder(folder.resolve())
    servers = choose_servers(os.environ, place.settings(may_change_ports=False))
    processes = Processes(place)
    await asyncio.gather(*(three_services.prepare(name, processes, servers, ROOT) for name in SERVERS))


def _secrets(folder: Path) -> Mapping[str, str]:
    """All that the stack made up to keep to itself; access keys are no secrets."""
    made = asdict(Folder(folder.resolve()).settings(may_change_ports=False).secrets)
    return {name: value for name, value in made.items() if not name.endswith("access_key")}
