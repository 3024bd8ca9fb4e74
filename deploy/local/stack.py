"""The whole system on this machine: starting, stopping and finding it.

The real servers and the services run as ordinary processes that keep everything in one folder. Two stacks in two
folders know nothing of each other.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from deploy.local import exit_watcher, kafka, postgres, seaweedfs
from deploy.local import servers as three_servers
from deploy.local import services as our_services
from deploy.local.addresses import S3Access, Stack, load_stack, save_stack
from deploy.local.errors import StackError
from deploy.local.folder import Folder, Settings
from deploy.local.processes import Processes
from deploy.local.servers import Servers, choose_servers

__all__ = [
    "DEFAULT_FOLDER",
    "PROJECT",
    "S3Access",
    "Stack",
    "StackError",
    "read_stack",
    "service_environment",
    "start_stack",
    "stop_stack",
]

PROJECT = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = PROJECT / ".local"
_SERVERS = (kafka.NAME, postgres.NAME, seaweedfs.NAME)
_AT_ONCE = timedelta(0)
_PATIENCE = timedelta(seconds=60)
_STOP_LIMIT = timedelta(seconds=20)


def start_stack(folder: Path, *, services: bool = True, stop_at_exit: bool = False) -> Stack:
    """Start what does not run yet, and return when everything can be used.

    Servers whose address is set in this process's environment (EXHAUST_KAFKA_BOOTSTRAP, EXHAUST_POSTGRES_OWNER_DSN,
    EXHAUST_S3_ENDPOINT, each with its credentials) are used as they are, and not started.

    Args:
        folder: keeps data, logs, ports and credentials; made when it is missing.
        services: start the gateway, the aggregator, the status service and the console too.
        stop_at_exit: stop everything when this process ends, even by SIGKILL.

    Raises:
        StackError: something is missing, failed or was not ready in time; what this call started is stopped again.
    """
    place = Folder(folder.resolve())
    place.create()
    processes = Processes(place)
    with place.locked(_AT_ONCE):
        exit_watcher.check_starter(place, processes)
        with _undone_on_failure(place, processes):
            settings = place.settings(may_change_ports=not processes.running_names())
            servers = choose_servers(os.environ, settings)
            with asyncio.Runner(
                loop_factory=asyncio.new_event_loop
            ) as runner:  # a factory leaves the current event loop as it is
                runner.run(_start(place, processes, settings, servers, services=services, stop_at_exit=stop_at_exit))
            stack = _describe(settings, servers, processes)
            save_stack(place, stack)
    return stack


def stop_stack(folder: Path) -> None:
    """Stop everything that was started in this folder: services first, then servers. Its data stays.

    Raises:
        StackError: another start or stop was at work for too long.
    """
    place = Folder(folder.resolve())
    if not place.runs.exists():
        return
    with place.locked(_PATIENCE):
        _stop(place, Processes(place), frozenset())


def read_stack(folder: Path) -> Stack:
    """Return the addresses of the stack in this folder.

    Raises:
        StackError: it is not up.
    """
    return load_stack(Folder(folder.resolve()))


def service_environment(folder: Path, name: str) -> dict[str, str]:
    """Return the environment in which the stack runs a service, for another process of it or a test in its place.

    Args:
        folder: the stack's.
        name: gateway, aggregator, status or console.

    Raises:
        StackError: the stack is not up.
    """
    place = Folder(folder.resolve())
    load_stack(place)
    settings = place.settings(may_change_ports=False)
    return our_services.environment(name, settings, choose_servers(os.environ, settings))


@contextmanager
def _undone_on_failure(place: Folder, processes: Processes) -> Iterator[None]:
    before = processes.running_names()
    try:
        yield
    except BaseException:  # also Ctrl-C
        _stop(place, processes, before)
        raise


async def _start(
    place: Folder, processes: Processes, settings: Settings, servers: Servers, *, services: bool, stop_at_exit: bool
) -> None:
    """Start servers side by side, then services; the first that fails cancels the starts of the others."""
    if stop_at_exit:
        await exit_watcher.start_watcher(place, processes, PROJECT)
    known = (processes, settings, servers, PROJECT)
    prepare = services and not processes.running_names().intersection(our_services.NAMES)

    async def start_server(name: str) -> None:
        await three_servers.serve(name, servers, place, processes, settings, PROJECT)
        if prepare:  # services that run already need no preparation
            await our_services.prepare(name, processes, servers, PROJECT)

    try:
        async with asyncio.TaskGroup() as starting:
            for name in _SERVERS:
                starting.create_task(start_server(name))
        if services:
            async with asyncio.TaskGroup() as starting:
                for name in our_services.NAMES:
                    starting.create_task(our_services.serve(name, *known))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _stop(place: Folder, processes: Processes, kept: frozenset[str]) -> None:
    """Stop all but the kept ones, the watcher last: until then a crash of this process leaves nothing behind."""
    found = [name for name in processes.recorded() if name not in kept]
    last = (*_SERVERS, exit_watcher.NAME)
    processes.stop({name: _STOP_LIMIT for name in found if name not in last})
    limits = {seaweedfs.NAME: seaweedfs.STOP_LIMIT}
    processes.stop({name: limits.get(name, _STOP_LIMIT) for name in found if name in _SERVERS})
    if not kept:
        place.stack_file.unlink(missing_ok=True)
        if place.settings_file.exists():
            seaweedfs.remove_sockets(place.ports())
    processes.stop({name: _STOP_LIMIT for name in found if name == exit_watcher.NAME})


def _describe(settings: Settings, servers: Servers, processes: Processes) -> Stack:
    ports = settings.ports
    running = ((name, processes.running(name)) for name in (*_SERVERS, *our_services.NAMES))
    return Stack(
        gateway=f"http://127.0.0.1:{ports['gateway']}",
        gateway_internal=f"http://127.0.0.1:{ports['gateway_internal']}",
        status_internal=f"http://127.0.0.1:{ports['status']}",
        aggregator_internal=f"http://127.0.0.1:{ports['aggregator']}",
        console=f"http://127.0.0.1:{ports['console']}",
        kafka=servers.kafka,
        postgres=servers.postgres_owner,
        s3=servers.s3,
        service_token=settings.secrets.service_token,
        processes={name: process.pid for name, process in running if process is not None},
        kafka_home=str(kafka.home(PROJECT)),
        kafka_username=kafka.ADMIN if servers.kafka_users else None,
        kafka_password=servers.kafka_users.get(kafka.ADMIN),
        lag=dict(our_services.LAG),
    )
