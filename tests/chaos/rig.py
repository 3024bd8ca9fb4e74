"""A system of its own for the runs: real servers, the services as children of this process, raw data and clients."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import asyncpg

from deploy.local import kafka, postgres, seaweedfs
from deploy.local import services as three_services
from deploy.local.folder import Folder
from deploy.local.processes import Processes
from deploy.local.servers import choose_servers
from deploy.local.stack import Stack, read_stack, service_environment, start_stack, stop_stack
from tests.attacks.store import Store
from tests.chaos.children import Child, free_port
from tests.chaos.history import History
from tests.chaos.kafka_log import KafkaLog
from tests.chaos.rawdata import CATALOGUE, RawData
from tests.chaos.timeline import Timeline
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

SERVERS: Final = (kafka.NAME, postgres.NAME, seaweedfs.NAME)
SITE: Final = ROOT / "tests" / "chaos" / "child"
SETTINGS: Final = {
    "EXHAUST_KAFKA_SESSION_TIMEOUT": "PT3S",
    "EXHAUST_HOLDER_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_ADDRESS_CALLS_PER_MINUTE": "1000000",
    "EXHAUST_REGISTRATIONS_PER_HOUR": "1000000",
    "EXHAUST_MAX_OPEN_REQUESTS_PER_PARTNER": "10000",
    "EXHAUST_MAX_IN_FLIGHT_PER_PARTNER": "20",
    "EXHAUST_MAX_WAITS_PER_KEY": "1000",
    "EXHAUST_REAP_INTERVAL": "PT0.5S",
    "EXHAUST_ABANDONED_AFTER": "PT60S",
    "EXHAUST_CORES": "1",
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
    pooled_ports: set[int] = field(default_factory=set)

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
        return service_environment(self.folder, kind) | SETTINGS | own | site | self.settings

    async def add(self, kind: str, **settings: str) -> Child:
        """Start one more process of a kind, and return it before it is ready."""
        port = free_port()
        environment = self.environment(kind, port) | settings
        if kind == "gateway":
            internal = free_port()
            environment |= {"EXHAUST_INTERNAL_PORT": str(internal), "CHAOS_PUBLIC_PORT": str(port)}
            port = internal
        number = sum(child.kind == kind for child in self.children)
        child = Child(kind, number, environment, port, self.logs / f"{kind}-{number}.log", self.timeline)
        self.children.append(child)
        await child.start()
        return child

    async def start_services(self, *, gateways: int = 1, aggregators: int = 2, statuses: int = 1) -> None:
        """Start so many of each, and wait until all are ready."""
        status = [await self.add("status") for _ in range(statuses)]
        self.settings["EXHAUST_STATUS_URL"] = f"http://127.0.0.1:{status[0].port}"
        for _ in range(gateways):
            await self.add("gateway")
        for _ in range(aggregators):
            await self.add("aggregator")
        await asyncio.gather(*(child.ready() for child in self.children))

    @property
    def public(self) -> str:
        """The public address of a gateway."""
        return f"http://127.0.0.1:{self.of('gateway')[0].environment['CHAOS_PUBLIC_PORT']}"

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
async def open_rig(folder: Path, seed: int, **settings: str) -> AsyncIterator[Rig]:
    """A new system without services, whose folder is emptied first.

    Args:
        folder: where everything lives.
        seed: of all that is random.
        settings: variables for all services.
    """
    await asyncio.to_thread(stop_stack, folder)
    shutil.rmtree(folder, ignore_errors=True)
    await asyncio.to_thread(start_stack, folder, services=False, stop_at_exit=True)
    stack = read_stack(folder)
    (folder / "catalogue.toml").write_text(CATALOGUE)
    (folder / "probes").mkdir()
    await _prepare(folder)
    try:
        async with AsyncExitStack() as closing:
            timeout = aiohttp.ClientTimeout(total=30, sock_connect=2)
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            http = await closing.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
            database = await closing.enter_async_context(asyncpg.create_pool(stack.postgres, min_size=0, max_size=3))
            await database.execute(_RECORD_MOVES)
            store = Store(http, stack.s3.endpoint, stack.s3.access_key, stack.s3.secret_key)
            raw = RawData(store, stack.s3.raw_bucket, seed)
            rig = Rig(folder, stack, http, database, store, raw, Random(seed), settings=settings)
            rig.history.secrets |= _secrets(folder)
            try:
                yield rig
            finally:
                await asyncio.gather(*(child.end() for child in rig.children))
    finally:
        await asyncio.to_thread(stop_stack, folder)


async def _prepare(folder: Path) -> None:
    place = Folder(folder.resolve())
    servers = choose_servers(os.environ, place.settings(may_change_ports=False))
    processes = Processes(place)
    await asyncio.gather(*(three_services.prepare(name, processes, servers, ROOT) for name in SERVERS))


def _secrets(folder: Path) -> Mapping[str, str]:
    """All that the stack made up to keep to itself; access keys are no secrets."""
    made = asdict(Folder(folder.resolve()).settings(may_change_ports=False).secrets)
    return {name: value for name, value in made.items() if not name.endswith("access_key")}
