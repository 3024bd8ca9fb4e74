"""Apache Kafka from its jars: one process as broker and controller.

Clients are sent to the broker's own port, or to that of a proxy, which EXHAUST_LOCAL_KAFKA_PROXY_PORT names.
"""

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from deploy.local.addresses import KAFKA_MECHANISM, KAFKA_PROTOCOL
from deploy.local.errors import StackError
from deploy.local.folder import Folder, Secrets, Settings, try_lock, write_private
from deploy.local.processes import Command, Process, Processes, until
from deploy.local.readiness import kafka_is_ready

NAME = "kafka"
ADMIN = "admin"
PROXY_PORT = "EXHAUST_LOCAL_KAFKA_PROXY_PORT"
_SEAL = "has-users"  # names them
_FIRST_USERS = ("admin", "gateway", "aggregator", "status")  # of a seal without names
_POM = Path(__file__).with_name("pom.xml")
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_INSTALL = "apt-get install -y openjdk-17-jdk-headless maven"
_OLDEST_JAVA = 17
# A small heap and only the first compiler (C1): the start matters more here than a long run.
_JVM = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", "-Dlog4j2.level=WARN")
_DOWNLOAD_LIMIT = timedelta(minutes=10)
_START_LIMIT = timedelta(seconds=60)

_CONFIGURATION = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=BROKER://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=BROKER://127.0.0.1:{advertised}
inter.broker.listener.name=BROKER
listener.security.protocol.map=BROKER:{protocol},CONTROLLER:{protocol}
sasl.enabled.mechanisms={mechanism}
sasl.mechanism.inter.broker.protocol={mechanism}
listener.name.broker.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \
username="{admin}" password="{admin_password}";
# The controller knows no users before it has read the metadata, where they are kept.
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.sasl.enabled.mechanisms=PLAIN
listener.name.controller.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
username="controller" password="{controller_password}" user_controller="{controller_password}";
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
# Consumers may choose session time-outs below the default minimum of 6 s.
group.min.session.timeout.ms=1000
# There is one broker, so one replica.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# The default of 50 partitions each is meant for clusters.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=4
# A killed broker can register again when its old session has expired: after 2 s instead of 9 s.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
# The default takes 128 MiB of heap, for compacted topics that this stack does not have.
log.cleaner.dedupe.buffer.size=4194304
"""


def home(project: Path) -> Path:
    """Return the folder for the jars of the version that pom.xml names; it may not exist yet."""
    version = re.search(r"<kafka\.version>([\d.]+)<", _POM.read_text())
    if version is None:
        raise StackError(f"{_POM} has no kafka.version: restore it")
    return project / ".cache" / f"kafka-{version[1]}"


def users(passwords: Secrets) -> dict[str, str]:
    """Return the password of each user of the brokers: the one with all rights, and one for each service."""
    return {
        ADMIN: passwords.kafka_admin,
        "gateway": passwords.kafka_gateway,
        "aggregator": passwords.kafka_aggregator,
        "status": passwords.kafka_status,
        "console": passwords.kafka_console,
    }


async def serve(folder: Folder, processes: Processes, settings: Settings, project: Path) -> None:
    """Install, format and start Kafka where it is missing, and wait until the broker has joined the cluster.

    Raises:
        StackError: Java or Maven is missing or too old, or a step failed.
    """
    data = folder.data(NAME)

    async def start() -> Process:
        base = _java_command(project)
        await _install(processes, home(project))
        if data.exists() and not (data / _SEAL).exists():
            # Users are created with the data, so data of an earlier version cannot be used.
            data.rename(data.with_name(f"{NAME}-without-users"))
        if not data.exists():
            await _format(data, processes, settings, base)
        program = (*base, "kafka.Kafka", str(_configure(settings, data)))
        return await processes.start(Command(NAME, program, _environment(), data))

    await processes.serve(
        NAME, start, lambda: kafka_is_ready(settings.ports["kafka"], ADMIN, settings.secrets.kafka_admin), _START_LIMIT
    )
    known = (data / _SEAL).read_text().split() or _FIRST_USERS
    if missing := {name: word for name, word in users(settings.secrets).items() if name not in known}:
        await _add_users(missing, data, processes, settings, _java_command(project))


def _java_command(project: Path) -> tuple[str, ...]:
    return (_java(), *_JVM, "-cp", f"{home(project)}/*")


def _java() -> str:
    java_home = os.environ.get("JAVA_HOME")
    java = (java_home and shutil.which("java", path=f"{java_home}/bin")) or shutil.which("java")
    if java is None:
        raise StackError(f"Kafka needs Java {_OLDEST_JAVA} or newer, and there is no `java`: {_INSTALL}")
    told = subprocess.run((java, "-version"), capture_output=True, text=True, timeout=30, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        raise StackError(f"Kafka needs Java {_OLDEST_JAVA} or newer, and {java} is another: {_INSTALL}\n{told}")
    return java


async def _install(processes: Processes, jars: Path) -> None:
    """Download the jars once for all stacks of the project; a copy of pom.xml, written last, marks them complete."""
    jars.parent.mkdir(exist_ok=True)
    with jars.with_name(f"{jars.name}.lock").open("w") as lock:
        if not await until(lambda: try_lock(lock.fileno()), _DOWNLOAD_LIMIT):
            raise StackError(f"another start has been downloading Kafka into {jars} for too long: end it and try again")
        seal = jars / _POM.name
        if seal.exists() and seal.read_bytes() == _POM.read_bytes():
            return
        if shutil.which("mvn") is None:
            raise StackError(f"Maven brings Kafka's jars, and there is no `mvn`: {_INSTALL}")
        unfinished = jars.with_name(f".{jars.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        program = ("mvn", "-B", "-ntp", "--strict-checksums", "-f", str(_POM), _COPY, f"-DoutputDirectory={unfinished}")
        print("Download Kafka's jars with Maven, once (45 MB) ... ", end="", file=sys.stderr, flush=True)
        began = time.monotonic()
        await processes.finish(Command("maven", program, os.environ, jars.parent), _DOWNLOAD_LIMIT)
        shutil.copy(_POM, unfinished)
        shutil.rmtree(jars, ignore_errors=True)
        unfinished.rename(jars)
        print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


async def _format(data: Path, processes: Processes, settings: Settings, base: tuple[str, ...]) -> None:
    unfinished = data.with_name(f".{data.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    configuration = _configure(settings, unfinished)
    # In a file, because everybody on the machine can read arguments.
    arguments = unfinished / "users"
    described = (f"{KAFKA_MECHANISM}=[name={name},password={word}]" for name, word in users(settings.secrets).items())
    write_private(arguments, "".join(f"--add-scram\n{user}\n" for user in described))
    cluster = secrets.token_hex(11)  # 22 characters of base64 without a dash, which would look like an option
    program = (*base, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(configuration), f"@{arguments}")
    await processes.finish(Command("kafka-format", program, _environment(), unfinished), _START_LIMIT)
    arguments.unlink()
    (unfinished / _SEAL).write_text(" ".join(users(settings.secrets)))
    unfinished.rename(data)


async def _add_users(
    added: dict[str, str], data: Path, processes: Processes, settings: Settings, base: tuple[str, ...]
) -> None:
    """Create users that data of an earlier version lacks, on the brokers that run."""
    jaas = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{ADMIN}"'
    login, entry = data / "login.properties", data / "user.properties"  # everybody on the machine can read arguments
    write_private(
        login,
        f"security.protocol={KAFKA_PROTOCOL}\nsasl.mechanism={KAFKA_MECHANISM}\n"
        f'sasl.jaas.config={jaas} password="{settings.secrets.kafka_admin}";\n',
    )
    where = ("--bootstrap-server", f"127.0.0.1:{settings.ports['kafka']}", "--command-config", str(login))
    for name, word in added.items():
        write_private(entry, f"{KAFKA_MECHANISM}=password={word}\n")
        what = ("--entity-type", "users", "--entity-name", name, "--alter", "--add-config-file", str(entry))
        program = (*base, "kafka.admin.ConfigCommand", *where, *what)
        await processes.finish(Command("kafka-users", program, _environment(), data), _START_LIMIT)
        entry.unlink()
    login.unlink()
    (data / _SEAL).write_text(" ".join(users(settings.secrets)))


def _configure(settings: Settings, data: Path) -> Path:
    """Write the broker's configuration beside its data."""
    path = data / "server.properties"
    text = _CONFIGURATION.format(
        broker=settings.ports["kafka"],
        advertised=os.environ.get(PROXY_PORT, settings.ports["kafka"]),
        controller=settings.ports["kafka_controller"],
        data=data / "log",
        protocol=KAFKA_PROTOCOL,
        mechanism=KAFKA_MECHANISM,
        admin=ADMIN,
        admin_password=settings.secrets.kafka_admin,
        controller_password=settings.secrets.kafka_controller,
    )
    write_private(path, text)
    return path


def _environment() -> dict[str, str]:
    """Return this process's environment without our own settings, which the broker does not need."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("EXHAUST_", "AWS_"))}
