import aiohttp
import pytest

from exhaust.errors import ConfigurationError
from exhaust.http.health import open_health_listener
from exhaust.process.health import Health
from tests.support.s3_proxy import closed_port


async def test_the_health_listener_answers_health_and_metrics_until_its_block_ends() -> None:
    health, port = Health(), closed_port()
    base = f"http://127.0.0.1:{port}"
    async with aiohttp.ClientSession() as session:
        async with open_health_listener(health, "127.0.0.1", port):
            statuses = {}
            for path in ("/health/live", "/health/ready", "/metrics", "/v1/client"):
                async with session.get(f"{base}{path}") as answer:
                    statuses[path] = answer.status
            health.stop.set()
            async with session.get(f"{base}/health/ready") as answer:
                assert (answer.status, await answer.json()) == (
                    503,
                    {"ready": False, "problems": {"process": "draining"}},
                )
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{base}/health/live")
    assert statuses == {"/health/live": 200, "/health/ready": 200, "/metrics": 200, "/v1/client": 404}


async def test_an_address_in_use_is_named() -> None:
    port = closed_port()
    async with open_health_listener(Health(), "127.0.0.1", port):
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}"):
            async with open_health_listener(Health(), "127.0.0.1", port):
                pass
