"""A status service that is killed in the middle of its deliveries loses none, and makes none up."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from deploy.local.stack import Stack
from exhaust.process.failpoints import CRASH_EXIT_CODE
from tests.integration.webhooks.conftest import KEYS, WITHIN, Hooks, Receiver
from tests.support.gateway_process import ServiceProcess
from tests.support.kafka_cluster import KafkaTestSettings

REQUESTS = 24
SETTINGS = {
    "EXHAUST_WEBHOOK_KEYS": json.dumps({version: key.get_secret_value() for version, key in KEYS.items()}),
    "EXHAUST_WEBHOOK_NETWORKS": '["127.0.0.0/8"]',
    "EXHAUST_WEBHOOK_INTERVAL": "PT0.1S",
}
# As when the leases of whoever died have run out.
EXPIRE = "UPDATE webhook_deliveries SET claimed_until = now(), next_at = now() WHERE claimed_until IS NOT NULL"


@pytest.fixture
def service(
    servers: Stack, servers_folder: Path, runtime_dsn: SecretStr, kafka_settings: KafkaTestSettings, tmp_path: Path
) -> ServiceProcess:
    """A status service on the tables of these tests."""
    assert kafka_settings.kafka_bootstrap == servers.kafka
    settings = SETTINGS | {"EXHAUST_POSTGRES_DSN": runtime_dsn.get_secret_value()}
    return ServiceProcess(servers_folder, tmp_path / "status.log", settings, "status")


@pytest.mark.parametrize("failpoint", ["webhook.after_claim:2", "webhook.after_send:9"])
async def test_a_killed_deliverer_loses_nothing(
    hooks: Hooks, receiver: Receiver, service: ServiceProcess, failpoint: str
) -> None:
    user = await hooks.user()
    _, verifier = await hooks.create(receiver.base, user_id=user)
    service.settings["EXHAUST_FAILPOINTS"] = failpoint
    async with aiohttp.ClientSession() as http:
        try:
            await service.start(http)
            ended = {str(await hooks.end_request(user)) for _ in range(REQUESTS)}
            assert await asyncio.wait_for(service.process.wait(), WITHIN.total_seconds()) == CRASH_EXIT_CODE
            unfinished = [row for row in await hooks.deliveries() if row["state"] == "waiting"]
            assert unfinished
            await hooks.database.fetch(EXPIRE)
            del service.settings["EXHAUST_FAILPOINTS"]
            await service.start(http)
            await hooks.until(lambda found: all(row["state"] == "delivered" for row in found))
            assert await service.stop() == 0
        finally:
            await service.kill()
    arrived = Counter(headers["webhook-id"] for headers, _ in receiver.arrived)
    assert len(arrived) == REQUESTS
    assert max(arrived.values()) <= 2
    told = [verifier.verify(body, headers)["data"]["requestid"] for headers, body in receiver.arrived]
    assert set(told) == ended
    log = service.log.read_text()
    assert "whsec_" not in log
    assert receiver.base not in log
