"""The local stack keeps its promises: private, beside others, back after a crash, gone with its starter."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.local.folder import Folder
from deploy.local.postgres import programs
from deploy.local.processes import Processes
from deploy.local.stack import (
    PROJECT,
    Stack,
    StackError,
    read_stack,
    service_environment,
    start_stack,
    stop_stack,
)

SERVERS = ("kafka", "postgres", "seaweedfs")
STARTER = """
import sys
from pathlib import Path
from deploy.local.stack import start_stack
start_stack(Path(sys.argv[1]), services=False, stop_at_exit=True)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def _own_servers() -> Iterator[None]:
    """No server from outside, whatever the rest of the tests run on."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("EXHAUST_")]:
            environment.delenv(name)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("stack")
    start_stack(path, services=False, stop_at_exit=True)
    yield path
    stop_stack(path)
    shutil.rmtree(path)


@pytest.fixture
def stack(folder: Path) -> Stack:
    return start_stack(folder, services=False, stop_at_exit=True)


def psql(dsn: str, statement: str) -> str:
    command = (programs() / "psql", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-At", "-c", statement, dsn)
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def processes_of(folder: Path) -> list[str]:
    """The command lines that name the folder, which each process of its stack does."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(folder) in line:
            found.append(line)
    return found


def wait_until(condition: Callable[[], bool], limit: timedelta = timedelta(seconds=40)) -> bool:
    deadline = time.monotonic() + limit.total_seconds()
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_only_its_user_can_read_it(folder: Path, stack: Stack) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("stack.json", "settings.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert set(stack.processes) == set(SERVERS)
    assert (Path(stack.kafka_home) / "kafka_2.13-4.3.0.jar").is_file()
    assert read_stack(folder) == stack


def test_no_secret_in_logs_command_lines_or_prints(folder: Path, stack: Stack) -> None:
    settings = json.loads((folder / "settings.json").read_text())
    secrets = [value for name, value in settings["secrets"].items() if not name.endswith("access_key")]
    said = [path.read_text() for path in (folder / "logs").iterdir()]
    assert len(said) > len(SERVERS)
    assert len(secrets) > 3
    for text in [*said, *processes_of(folder), repr(stack)]:
        assert not [secret for secret in secrets if secret in text]


def test_servers_listen_on_loopback_alone(folder: Path, stack: Stack) -> None:
    ports = Folder(folder).settings(may_change_ports=False).ports
    services = {"gateway", "gateway_internal", "aggregator", "status", "console"}
    own = [port for name, port in ports.items() if name not in services]
    for port in own:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(ConnectionRefusedError):  # a server on all addresses would answer on this one too
            socket.create_connection(("127.0.0.2", port), timeout=5)
    assert str(ports["kafka"]) in stack.kafka


def test_start_again_changes_nothing(folder: Path, stack: Stack) -> None:
    assert start_stack(folder, services=False, stop_at_exit=True) == stack


@pytest.mark.parametrize("name", ["gateway", "status", "console"])
def test_each_service_has_a_role_that_defines_nothing(folder: Path, stack: Stack, name: str) -> None:
    dsn = service_environment(folder, name)["EXHAUST_POSTGRES_DSN"]
    assert psql(dsn, "SELECT current_user") == f"exhaust_{name}"
    assert psql(stack.postgres, "SELECT current_user") == "exhaust_owner"
    for statement in ("CREATE TABLE forbidden ()", "CREATE SCHEMA forbidden", "CREATE TEMP TABLE forbidden ()"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            psql(dsn, statement)
        assert "permission denied" in refused.value.stderr


def test_a_stack_of_an_earlier_version_gets_the_roles_and_credentials_that_it_lacks(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    start_stack(tmp_path, services=False, stop_at_exit=True)
    stop_stack(tmp_path)
    kept = json.loads(place.settings_file.read_text())
    del kept["secrets"]["postgres_gateway"], kept["secrets"]["kafka_admin"]
    (place.data("kafka") / "has-users").unlink()
    place.settings_file.write_text(json.dumps(kept))
    access = place.data("postgres") / "pg_hba.conf"
    access.write_text(access.read_text().replace(",exhaust_gateway", ""))
    with pytest.raises(StackError, match="an earlier version started the stack"):
        place.settings(may_change_ports=False)
    start_stack(tmp_path, services=False, stop_at_exit=True)
    assert place.ports() == kept["ports"]
    dsn = service_environment(tmp_path, "gateway")["EXHAUST_POSTGRES_DSN"]
    assert psql(dsn, "SELECT current_user") == "exhaust_gateway"
    assert place.data("kafka-without-users").is_dir()
    stop_stack(tmp_path)


def test_superuser_has_no_way_in(stack: Stack) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        psql(stack.postgres.replace("exhaust_owner", "postgres"), "SELECT 1")
    assert "no pg_hba.conf entry" in refused.value.stderr


@pytest.mark.parametrize("name", SERVERS)
def test_killed_server_comes_back_at_its_address(folder: Path, stack: Stack, name: str) -> None:
    psql(stack.postgres, "CREATE TABLE IF NOT EXISTS kept (number serial)")
    psql(stack.postgres, "INSERT INTO kept DEFAULT VALUES")
    rows = psql(stack.postgres, "SELECT array_agg(number) FROM kept")
    os.kill(stack.processes[name], signal.SIGKILL)
    again = start_stack(folder, services=False, stop_at_exit=True)
    assert {server for server in SERVERS if again.processes[server] != stack.processes[server]} == {name}
    assert replace(again, processes={}) == replace(stack, processes={})
    assert psql(again.postgres, "SELECT array_agg(number) FROM kept") == rows


@pytest.mark.parametrize("moment", ["ready", "starting"])
def test_kill_of_the_starter_leaves_no_process(tmp_path: Path, moment: str) -> None:
    command = (sys.executable, "-c", STARTER, str(tmp_path))
    with subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        if moment == "ready":
            assert starter.stdout.readline() == "ready\n"
            assert len(processes_of(tmp_path)) > len(SERVERS)
            with pytest.raises(StackError, match=f"ends with process {starter.pid}"):
                start_stack(tmp_path, services=False)
        else:
            assert wait_until((tmp_path / "run" / "seaweedfs.json").exists)
        starter.kill()
    assert wait_until(lambda: not processes_of(tmp_path)), processes_of(tmp_path)
    assert list((tmp_path / "run").iterdir()) == []
    stop_stack(tmp_path)
    stop_stack(tmp_path)
    with pytest.raises(StackError, match=r"no stack is up in .*`make up`"):
        read_stack(tmp_path)


def test_foreign_process_with_a_recorded_id_is_left_alone(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.create()
    with subprocess.Popen(("/bin/sleep", "60")) as foreign:
        record = {"pid": foreign.pid, "started": 1, "starter": os.getpid(), "stop_signal": "SIGTERM"}
        (place.runs / "kafka.json").write_text(json.dumps(record))
        stop_stack(tmp_path)
        assert foreign.poll() is None
        assert Processes(place).recorded() == {}
        foreign.kill()


def test_two_starters_at_once_are_refused(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.create()
    message = rf"process {os.getpid()} is starting or stopping the stack in {tmp_path}"
    with place.locked(timedelta(0)), pytest.raises(StackError, match=message):
        start_stack(tmp_path, services=False)


def test_existing_servers_are_used(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXHAUST_KAFKA_BOOTSTRAP", stack.kafka)
    monkeypatch.setenv("EXHAUST_POSTGRES_OWNER_DSN", stack.postgres)
    with pytest.raises(StackError, match="EXHAUST_POSTGRES_DSN must be set too"):
        start_stack(tmp_path, services=False)
    monkeypatch.setenv("EXHAUST_POSTGRES_DSN", "postgresql://exhaust_runtime@127.0.0.1/exhaust")
    for name in ("endpoint", "access_key", "secret_key", "raw_bucket", "exhaust_bucket"):
        monkeypatch.setenv(f"EXHAUST_S3_{name.upper()}", getattr(stack.s3, name))
    other = start_stack(tmp_path, services=False)
    assert (other.kafka, other.postgres, other.s3, other.processes) == (stack.kafka, stack.postgres, stack.s3, {})


def test_failed_start_tells_why_and_stops_what_it_started(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    place.create()
    place.settings(may_change_ports=True)
    place.data("postgres").mkdir()
    with pytest.raises(StackError, match=r"(?s)postgres ended .*postgres.log:.*postgresql.conf"):
        start_stack(tmp_path, services=False, stop_at_exit=True)
    assert processes_of(tmp_path) == []


def test_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="apt-get install -y openjdk-17-jdk-headless"):
        start_stack(tmp_path, services=False)
    assert processes_of(tmp_path) == []
