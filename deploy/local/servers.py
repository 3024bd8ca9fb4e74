"""The servers of a stack: its own, or existing ones that the environment names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deploy.local import kafka, postgres, seaweedfs
from deploy.local.addresses import S3Access
from deploy.local.errors import StackError
from deploy.local.folder import Folder, Settings
from deploy.local.processes import Processes

_KAFKA = "EXHAUST_KAFKA_BOOTSTRAP"
_POSTGRES = ("EXHAUST_POSTGRES_OWNER_DSN", "EXHAUST_POSTGRES_DSN")
_OPERATOR = "EXHAUST_POSTGRES_OPERATOR_DSN"
_S3 = (
    *("EXHAUST_S3_ENDPOINT", "EXHAUST_S3_ACCESS_KEY", "EXHAUST_S3_SECRET_KEY"),
    *("EXHAUST_S3_RAW_BUCKET", "EXHAUST_S3_EXHAUST_BUCKET"),
)


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of the servers, and the names of those that the stack starts itself.

    Attributes:
        kafka_users: passwords by user of the stack's own brokers; empty for existing ones, which the environment
            describes.
        postgres_operator: None for an existing server whose role for operators the environment does not name.
        s3: with all rights; of an existing server, as the environment names it.
        s3_by_service: with the rights of each service; of an existing server, the same for all.
        own: the servers that the stack starts.
    """

    kafka: str
    postgres_owner: str = field(repr=False)
    postgres_runtime: str = field(repr=False)
    postgres_gateway: str = field(repr=False)
    postgres_status: str = field(repr=False)
    postgres_console: str = field(repr=False)
    postgres_operator: str | None = field(repr=False)
    kafka_users: Mapping[str, str] = field(repr=False)
    s3: S3Access
    s3_by_service: Mapping[str, S3Access]
    own: frozenset[str]


def choose_servers(environment: Mapping[str, str], settings: Settings) -> Servers:
    """Choose an existing server where the environment names one, and the stack's own otherwise.

    Raises:
        StackError: an existing server is only half described.
    """
    ports, generated = settings.ports, settings.secrets
    existing_kafka = _complete(environment, (_KAFKA,))
    existing_postgres = _complete(environment, _POSTGRES)
    existing_s3 = _complete(environment, _S3)
    own_postgres = (
        postgres.dsn(postgres.OWNER, generated.postgres_owner, ports["postgres"]),
        postgres.dsn(postgres.RUNTIME, generated.postgres_runtime, ports["postgres"]),
        postgres.dsn(postgres.GATEWAY, generated.postgres_gateway, ports["postgres"]),
        postgres.dsn(postgres.STATUS, generated.postgres_status, ports["postgres"]),
        postgres.dsn(postgres.CONSOLE, generated.postgres_console, ports["postgres"]),
    )
    own_operator = postgres.dsn(postgres.OPERATOR, generated.postgres_operator, ports["postgres"])
    own_s3 = (
        *(f"http://127.0.0.1:{ports['s3']}", generated.s3_access_key, generated.s3_secret_key),
        *(seaweedfs.RAW_BUCKET, seaweedfs.EXHAUST_BUCKET),
    )
    store = S3Access(*(existing_s3 or own_s3))
    keys = seaweedfs.service_keys(generated)
    existing = {kafka.NAME: existing_kafka, postgres.NAME: existing_postgres, seaweedfs.NAME: existing_s3}
    # Of an existing server the environment names one role for all services.
    owner, runtime, gateway, status, console = (*existing_postgres, *existing_postgres[1:] * 3) or own_postgres
    return Servers(
        kafka=existing_kafka[0] if existing_kafka else f"127.0.0.1:{ports['kafka']}",
        postgres_owner=owner,
        postgres_runtime=runtime,
        postgres_gateway=gateway,
        postgres_status=status,
        postgres_console=console,
        postgres_operator=environment.get(_OPERATOR) if existing_postgres else own_operator,
        kafka_users={} if existing_kafka else kafka.users(generated),
        s3=store,
        s3_by_service={
            name: store if existing_s3 else replace(store, access_key=access_key, secret_key=secret_key)
            for name, (access_key, secret_key) in keys.items()
        },
        own=frozenset(name for name, values in existing.items() if not values),
    )


async def serve(
    name: str, servers: Servers, folder: Folder, processes: Processes, settings: Settings, project: Path
) -> None:
    """Start a server that is the stack's own and does not run, and wait until it serves.

    Raises:
        StackError: a step failed.
    """
    if name not in servers.own:
        return
    match name:
        case kafka.NAME:
            await kafka.serve(folder, processes, settings, project)
        case postgres.NAME:
            await postgres.serve(folder, processes, settings.ports["postgres"], settings.secrets)
        case seaweedfs.NAME:
            await seaweedfs.serve(folder, processes, settings)


def _complete(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of all these variables; none when the first is not set."""
    if not environment.get(names[0]):
        return ()
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise StackError(f"{names[0]} names an existing server, so {', '.join(missing)} must be set too")
    return tuple(environment[name] for name in names)
