"""A Prometheus that scrapes a stack every second, and evaluates the rules of alerts for a time that runs faster."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import yaml

from deploy.prometheus.__main__ import RULES, configuration
from tests.recovery.testbed import until
from tests.runbooks.hurried_rules import hurry
from tests.support.promtool import find_prometheus
from tests.support.s3_proxy import closed_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from deploy.local.stack import Stack

_FIRING: Final = "firing"
_START_LIMIT_S: Final = 30.0
_SCRAPES: Final = "min(sum_over_time(up[1m]))"
_ENOUGH_SCRAPES: Final = 4


@dataclass(frozen=True, slots=True)
class Alerting:
    """The alerts, as Prometheus tells them."""

    http: aiohttp.ClientSession
    url: str

    async def firing(self) -> dict[str, str]:
        """The alerts that fire, each with the sentence of one of its instances."""
        async with self.http.get(f"{self.url}/api/v1/alerts") as answer:
            alerts: list[dict[str, Any]] = (await answer.json())["data"]["alerts"]
        return {
            alert["labels"]["alertname"].removeprefix("Exhaust"): alert["annotations"]["summary"]
            for alert in alerts
            if alert["state"] == _FIRING
        }

    async def has_scraped(self) -> bool:
        """True when every process was scraped some times: a counter that starts above 0 has no increase."""
        async with self.http.get(f"{self.url}/api/v1/query", params={"query": _SCRAPES}) as answer:
            result = (await answer.json())["data"]["result"]
        return bool(result) and float(result[0]["value"][1]) >= _ENOUGH_SCRAPES

    async def fires(self, alert: str, within: float) -> float:
        """Wait until an alert fires, and return the seconds that took.

        Raises:
            AssertionError: it did not in time.
        """

        async def is_there() -> bool:
            return alert in await self.firing()

        try:
            return await until(is_there, within)
        except TimeoutError:
            raise AssertionError(f"{alert} does not fire within {within:.0f} s; {await self.firing()}") from None

    async def is_over(self, alert: str, within: float) -> float:
        """Wait until an alert fires no longer, and return the seconds that took.

        Raises:
            AssertionError: it did in the end.
        """

        async def is_gone() -> bool:
            return alert not in await self.firing()

        try:
            return await until(is_gone, within)
        except TimeoutError:
            raise AssertionError(f"{alert} still fires after {within:.0f} s; {await self.firing()}") from None


@asynccontextmanager
async def open_alerting(
    http: aiohttp.ClientSession, stack: Stack, folder: Path, faster: int
) -> AsyncIterator[Alerting]:
    """Run a Prometheus on loopback while the block runs.

    Args:
        http: to ask it.
        stack: what it scrapes.
        folder: for what it keeps; made anew.
        faster: as its time runs.
    """
    config = _configure(stack, folder, faster)
    port = closed_port()
    program = await asyncio.to_thread(find_prometheus)
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=log,
            stderr=log,
            env={name: value for name, value in os.environ.items() if not re.match(r"(?i)https?_proxy$", name)},
        )
    alerting = Alerting(http, f"http://127.0.0.1:{port}")
    try:
        await until(lambda: _answers(alerting), _START_LIMIT_S)
        yield alerting
    finally:
        process.terminate()
        await process.wait()


def _configure(stack: Stack, folder: Path, faster: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rules, config = folder / "rules.yaml", folder / "prometheus.yaml"
    rules.write_text(hurry(RULES.read_text(), faster))
    second = {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
    config.write_text(yaml.safe_dump(configuration(stack, rules) | {"global": second}))
    return config


async def _answers(alerting: Alerting) -> bool:
    try:
        await alerting.firing()
    except (aiohttp.ClientError, KeyError):
        return False
    return True
