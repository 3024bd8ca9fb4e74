"""The services of the stack, and the preparation of its servers for them."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

from deploy.local import kafka, postgres, seaweedfs
from deploy.local.addresses import KAFKA_MECHANISM, KAFKA_PROTOCOL, S3Access
from deploy.local.folder import Settings
from deploy.local.processes import Command, Process, Processes
from deploy.local.readiness import http_request
from deploy.local.servers import Servers

NAMES = ("gateway", "aggregator", "status", "console")
POSTGRES_DSN = "EXHAUST_POSTGRES_DSN"
OPERATOR_DSN = "EXHAUST_POSTGRES_OPERATOR_DSN"
KAFKA_CREDENTIAL = "EXHAUST_KAFKA_SASL_PASSWORD"
WEBHOOK_KEYS = "EXHAUST_WEBHOOK_KEYS"
_STORE_KEYS = frozenset({"EXHAUST_S3_ACCESS_KEY", "EXHAUST_S3_SECRET_KEY"})
# The secrets that each service reads, and so gets.
SECRETS_OF: dict[str, frozenset[str]] = {
    "gateway": _STORE_KEYS
    | {
        POSTGRES_DSN,
        KAFKA_CREDENTIAL,
        "EXHAUST_LICENSE_KEY_PEPPERS",
        "EXHAUST_SERVICE_TOKEN",
        "EXHAUST_REGISTRATION_TOKEN",
        WEBHOOK_KEYS,
        "EXHAUST_PORTAL_CLIENT_SECRET",
    },
    "aggregator": _STORE_KEYS | {KAFKA_CREDENTIAL},
    "status": _STORE_KEYS | {POSTGRES_DSN, KAFKA_CREDENTIAL, "EXHAUST_SERVICE_TOKEN", WEBHOOK_KEYS},
    "console": _STORE_KEYS | {POSTGRES_DSN, OPERATOR_DSN, KAFKA_CREDENTIAL, "EXHAUST_CONSOLE_SESSION_KEY"},
}
# From when on something is the matter, on a machine where a worker that is away for seconds is worth a look.
LAG = {"nobody_after": "PT5S"}
_SECRETS = frozenset({"EXHAUST_POSTGRES_OWNER_DSN"}).union(*SECRETS_OF.values())
_PREPARATIONS = {kafka.NAME: "topics", postgres.NAME: "migrate", seaweedfs.NAME: "buckets"}
_PREPARE_LIMIT = timedelta(seconds=90)
_START_LIMIT = timedelta(seconds=60)
_OK = 200
_PEPPER_VERSION = "1"


def environment(name: str, settings: Settings, servers: Servers) -> dict[str, str]:
    """Return the whole environment of a service: this process's own, overridden by the stack's settings."""
    ports = settings.ports
    secrets = _secrets(settings, servers)
    return (
        _inherited(SECRETS_OF[name])
        | _addresses(servers)
        | _kafka_user(name, servers)
        | {
            "EXHAUST_HOST": "127.0.0.1",
            "EXHAUST_PORT": str(ports[name]),
            "EXHAUST_INTERNAL_PORT": str(ports["gateway_internal"]),
            "EXHAUST_STATUS_URL": f"http://127.0.0.1:{ports['status']}",
            # Shorter than the default, so that the work of a killed service moves on soon.
            "EXHAUST_KAFKA_SESSION_TIMEOUT": "PT10S",
            "EXHAUST_SAMPLE_INTERVAL": "PT1S",
            # On a machine of one person, whoever reaches the console from it is that person.
            "EXHAUST_CONSOLE_LOOPBACK_ROLE": "operator",
            # Receivers of webhooks run here too.
            "EXHAUST_WEBHOOK_NETWORKS": json.dumps(["127.0.0.0/8", "::1/128"]),
            # Nothing stands before the services that would look elsewhere meanwhile.
            "EXHAUST_DRAIN_DELAY": "PT0S",
        }
        | {f"EXHAUST_{setting.upper()}": value for setting, value in LAG.items()}
        | {secret: secrets[name][secret] for secret in SECRETS_OF[name] if secret in secrets[name]}
    )


def _secrets(settings: Settings, servers: Servers) -> dict[str, dict[str, str]]:
    """Return the secrets of each service."""
    token = {"EXHAUST_SERVICE_TOKEN": settings.secrets.service_token}
    peppers = {"EXHAUST_LICENSE_KEY_PEPPERS": json.dumps({_PEPPER_VERSION: settings.secrets.pepper})}
    webhooks = {WEBHOOK_KEYS: json.dumps({_PEPPER_VERSION: settings.secrets.webhook_key})}
    keys = {name: _store_keys(access) for name, access in servers.s3_by_service.items()}
    return {
        "gateway": keys["gateway"] | token | peppers | webhooks | {POSTGRES_DSN: servers.postgres_gateway},
        "aggregator": keys["aggregator"],
        "status": keys["status"] | token | webhooks | {POSTGRES_DSN: servers.postgres_status},
        "console": keys["console"]
        | {POSTGRES_DSN: servers.postgres_console}
        | ({OPERATOR_DSN: servers.postgres_operator} if servers.postgres_operator else {}),
    }


def _store_keys(access: S3Access) -> dict[str, str]:
    return {"EXHAUST_S3_ACCESS_KEY": access.access_key, "EXHAUST_S3_SECRET_KEY": access.secret_key}


def _kafka_user(name: str, servers: Servers) -> dict[str, str]:
    if name not in servers.kafka_users:
        return {}
    return {
        "EXHAUST_KAFKA_SECURITY_PROTOCOL": KAFKA_PROTOCOL,
        "EXHAUST_KAFKA_SASL_MECHANISM": KAFKA_MECHANISM,
        "EXHAUST_KAFKA_SASL_USERNAME": name,
        KAFKA_CREDENTIAL: servers.kafka_users[name],
    }


def _inherited(secrets: frozenset[str]) -> dict[str, str]:
    """Return this process's environment without what gives access to something, but for the named secrets."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    return {key: value for key, value in kept.items() if key not in _SECRETS - secrets} | {"PYTHONUNBUFFERED": "1"}


def _addresses(servers: Servers) -> dict[str, str]:
    return {
        "EXHAUST_KAFKA_BOOTSTRAP": servers.kafka,
        "EXHAUST_S3_ENDPOINT": servers.s3.endpoint,
        "EXHAUST_S3_RAW_BUCKET": servers.s3.raw_bucket,
        "EXHAUST_S3_EXHAUST_BUCKET": servers.s3.exhaust_bucket,
    }


async def prepare(server: str, processes: Processes, servers: Servers, project: Path) -> None:
    """Create that server's tables, topics or buckets, with the command that an operator uses too.

    Raises:
        StackError: the command failed.
    """
    name = _PREPARATIONS[server]
    needed = {
        kafka.NAME: _kafka_user(kafka.ADMIN, servers),
        postgres.NAME: {"EXHAUST_POSTGRES_OWNER_DSN": servers.postgres_owner},
        seaweedfs.NAME: _store_keys(servers.s3),
    }
    kept = frozenset({KAFKA_CREDENTIAL}) if server == kafka.NAME else frozenset[str]()
    values = _inherited(kept) | _addresses(servers) | needed[server]
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
