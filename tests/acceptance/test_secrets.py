"""No secret lies where it does not belong: logs, topics, tables, downloads, errors."""

import asyncio
import io
import json
import sys
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import pytest

from admin.test_issuer import LocalIssuer, mint_token
from deploy.local.kafka_settings import kafka_fields
from deploy.local.stack import Stack, service_environment
from exhaust.kafka.producer import open_producer
from exhaust.postgres.audit import record_action
from exhaust.postgres.database import Database
from exhaust.settings import KafkaSettings
from schemas.events import TOPIC_DEAD_LETTERS
from tests.acceptance.conftest import FIRST, FOLDER, PLAN
from tests.acceptance.test_v3 import SUBJECT, bind
from tests.conftest import ROOT
from tests.support.partner import Partner, post, resource_of
from tests.support.s3_proxy import closed_port
from tests.support.secret_search import in_files, in_tables

OWNER = PLAN.partner_ids[2]
LOGS, TOPICS = FOLDER / "logs", FOLDER / "data" / "kafka"


def secrets_of(stack: Stack, partner: Partner, token: str) -> dict[str, str]:
    environment = service_environment(FOLDER, "gateway")
    operator = service_environment(FOLDER, "console")["EXHAUST_POSTGRES_OPERATOR_DSN"]
    return {
        "license key": partner.license_key,
        "token": token,
        "signature of the token": token.rpartition(".")[2],
        "service token": stack.service_token,
        "S3 secret": stack.s3.secret_key,
        "owner's password": urlsplit(stack.postgres).password or "",
        "runtime password": urlsplit(environment["EXHAUST_POSTGRES_DSN"]).password or "",
        "operators' password": urlsplit(operator).password or "",
        "peppers": environment["EXHAUST_LICENSE_KEY_PEPPERS"].split('"')[3],
        "webhook key": environment["EXHAUST_WEBHOOK_KEYS"].split('"')[3],
    }


async def webhook_secret(partner: Partner) -> str:
    """The secret of a webhook that was tried, and answers nothing; without its prefix."""
    headers, base = {"X-API-Key": partner.license_key}, f"{partner.stack.gateway}/v2/webhooks"
    request = {"url": f"http://127.0.0.1:{closed_port()}/", "events": ["request.complete"]}
    async with partner.http.post(base, json={"request": request}, headers=headers) as answer:
        made = (await answer.json())["result"]
    one = f"{base}/{made['webhook']['id']}"
    async with partner.http.post(f"{one}/test", headers=headers) as answer:
        assert answer.status == 202
    async with asyncio.timeout(30):
        while True:
            async with partner.http.get(f"{one}/deliveries", headers=headers) as answer:
                (delivery,) = (await answer.json())["result"]["deliveries"]
            if delivery.get("reason") == "no connection":
                return str(made["secret"]).removeprefix("whsec_")


async def test_secrets_stay_where_they_belong(
    partner: Partner,
    stack: Stack,
    issuer: LocalIssuer,
    raw_days: dict[str, object],
    owner_database: Database,
    tmp_path: Path,
) -> None:
    assert raw_days
    await partner.grant(OWNER)
    await bind(stack, issuer, partner)
    path = f"eks-consumption-raw/{resource_of(OWNER)}/{FIRST}/{FIRST}"
    reply = await partner.submit(path, partner_id=OWNER)
    data = await partner.download(await partner.finished(reply.result["requestid"]))
    (tmp_path / "v2.zip").write_bytes(data)
    token, wrong = mint_token(issuer, SUBJECT), "wrong-key-5b1f9d0e-canary"
    for name, headers in {"v1": {"X-API-Key": partner.license_key}, "v3": {"Authorization": f"Bearer {token}"}}.items():
        root = {"v1": "/v1/datasets", "v3": "/data/v3/datasets"}[name]
        async with partner.http.get(f"{stack.gateway}{root}/{path}", headers=headers) as answer:
            assert answer.status == 200
            (tmp_path / f"{name}.zip").write_bytes(await answer.read())
        async with partner.http.get(f"{stack.gateway}{root}/nothing/{OWNER}", headers=headers) as answer:
            assert answer.status == 403
            (tmp_path / f"{name}-error").write_bytes(await answer.read())
    async with partner.http.get(f"{stack.gateway}/v1/datasets/{path}", headers={"X-API-Key": wrong}) as answer:
        assert answer.status == 401
        (tmp_path / "wrong-error").write_bytes(await answer.read())
    errors = [
        await post(partner.http, f"{stack.gateway}/v2/datasets/{path}", {"licenseKey": wrong}),
        await partner.submit("nothing/else", partner_id=partner.license_key),
        await partner.submit(path, partner_id=OWNER, username=["odd"]),
    ]
    (tmp_path / "errors").write_text("\n".join(str(error.body) for error in errors))
    secrets = secrets_of(stack, partner, token) | {"wrong key": wrong, "webhook secret": await webhook_secret(partner)}
    assert all(len(secret) >= 16 for secret in secrets.values())
    assert in_files([LOGS, TOPICS, tmp_path], secrets) == []
    assert await in_tables(owner_database, secrets) == []
    # The files of the database as well: what was written and rolled back or deleted again.
    ours = {name: secrets[name] for name in ("license key", "wrong key", "token", "webhook secret")}
    assert in_files([FOLDER / "data" / "postgres"], ours) == []


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret that is to be leaked on purpose, and where.

    Attributes:
        downloads: a folder of what a partner was answered.
    """

    secret: str
    partner: Partner
    database: Database
    downloads: Path


async def into_log(leak: Leak) -> Path:
    code = (
        "import sys, structlog; from exhaust.logs import configure_logging;"
        " configure_logging('canary', 'INFO'); structlog.get_logger().info('canary', license_key=sys.argv[1])"
    )
    log = LOGS / "canary.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, leak.secret, stdout=output, cwd=ROOT)
        assert await process.wait() == 0
    return log


async def into_topic(leak: Leak) -> Path:
    async with open_producer(KafkaSettings.model_validate(kafka_fields(leak.partner.stack))) as producer:
        await producer.send_raw(TOPIC_DEAD_LETTERS, b"canary", json.dumps({"key": leak.secret}).encode(), [])
    return TOPICS


async def into_table(leak: Leak) -> str:
    async with leak.database.transaction() as connection:
        detail = {"licenseKey": leak.secret}
        await record_action(connection, actor="public", action="canary", subject="canary", detail=detail)
    return "table audit"


async def into_zip(leak: Leak) -> str:
    """Compressed, in a day of an archive: a search of the plain bytes would pass it by."""
    day, outer = io.BytesIO(), leak.downloads / "outer.zip"
    with zipfile.ZipFile(day, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("2026-09-01-1.json", f'{{"eid": "X", "key": "{leak.secret}"}}\n' * 100)
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("2026-09-01.zip", day.getvalue())
    assert leak.secret.encode() not in outer.read_bytes()
    return f"{outer}/2026-09-01.zip/2026-09-01-1.json"


async def into_error(leak: Leak) -> Path:
    """As the message id, the one thing of the caller's that an error repeats."""
    body = {"params": {"msgid": leak.secret}, "request": {}}
    errors = leak.downloads / "errors"
    async with leak.partner.http.post(f"{leak.partner.stack.gateway}/v1/client", json=body) as answer:
        assert answer.status == 400
        errors.write_bytes(await answer.read())
    return errors


@pytest.mark.parametrize("plant", [into_log, into_topic, into_table, into_zip, into_error])
async def test_the_search_finds_what_is_leaked_on_purpose(
    plant: Callable[[Leak], Awaitable[Path | str]], partner: Partner, owner_database: Database, tmp_path: Path
) -> None:
    leak = Leak(f"canary-{token_hex(16)}", partner, owner_database, tmp_path)

    async def search() -> list[str]:
        planted = {"planted": leak.secret}
        return in_files([LOGS, TOPICS, tmp_path], planted) + await in_tables(owner_database, planted)

    assert await search() == []
    place = await plant(leak)
    found = await search()
    assert found
    assert all(one.startswith(f"planted in {place}") for one in found), found
