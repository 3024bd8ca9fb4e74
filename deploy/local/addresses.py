"""The addresses and credentials of a running stack, as kept in its stack.json."""

import json
from dataclasses import asdict, dataclass, field

from deploy.local.errors import StackError
from deploy.local.folder import Folder, write_private

KAFKA_PROTOCOL, KAFKA_MECHANISM = "SASL_PLAINTEXT", "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class S3Access:
    """The address, credentials and buckets of the S3 server."""

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    raw_bucket: str
    exhaust_bucket: str


@dataclass(frozen=True, slots=True)
class Stack:
    """A running stack: its addresses, credentials and processes.

    Attributes:
        gateway: base URL of the only public listener.
        gateway_internal: base URL of the gateway's listener for services and operators.
        status_internal: base URL of the status service.
        aggregator_internal: base URL of the aggregator's health and metrics.
        console: base URL of the operators' console.
        kafka: bootstrap address.
        postgres: DSN of the role that owns the database.
        s3: the S3 server.
        service_token: what internal calls carry.
        processes: process ids by name, of what the stack itself started.
        kafka_username: of the user with all rights; None for existing brokers, whose user the environment names.
        kafka_password: of that user.
        kafka_home: the folder with Kafka's jars, and so its tools.
        lag: the settings of lag that differ from their defaults here.
    """

    gateway: str
    gateway_internal: str
    status_internal: str
    aggregator_internal: str
    console: str
    kafka: str
    postgres: str = field(repr=False)
    s3: S3Access
    service_token: str = field(repr=False)
    processes: dict[str, int]
    kafka_home: str
    kafka_username: str | None = None
    kafka_password: str | None = field(default=None, repr=False)
    lag: dict[str, str] = field(default_factory=dict)


def save_stack(folder: Folder, stack: Stack) -> None:
    """Write stack.json, readable by this user alone."""
    write_private(folder.stack_file, json.dumps(asdict(stack), indent=2) + "\n")


def load_stack(folder: Folder) -> Stack:
    """Read stack.json.

    Raises:
        StackError: there is none.
    """
    try:
        facts = json.loads(folder.stack_file.read_text())
    except FileNotFoundError:
        raise StackError(f"no stack is up in {folder.root}, there is no {folder.stack_file.name}: `make up`") from None
    return Stack(**facts | {"s3": S3Access(**facts["s3"])})
