"""The steps of a partner and an operator: load, register, grant, submit, watch, download."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import aiohttp

from deploy.local.demo.date_ranges import cover_with_ranges
from deploy.local.demo.errors import DemoError
from deploy.local.demo.public_api import DATASET, PublicApi
from deploy.local.demo.steps import RequestProgress, StepPrinter, describe, pluralize
from deploy.local.raw_telemetry import ForeignTelemetryError, load_telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from deploy.local.demo.date_ranges import DateRange
    from deploy.local.demo.owner import Owner
    from deploy.local.demo.public_api import Status
    from deploy.local.raw_telemetry import RawTelemetry
    from deploy.local.stack import Stack

KEY_NAME: Final = "dashboard"
POLL_INTERVAL: Final = timedelta(seconds=0.2)
STUCK_AFTER: Final = timedelta(seconds=120)
COMMAND_TIMEOUT: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Partner:
    """The registered client, its license key and whose telemetry it asks for."""

    client: str
    key: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A complete request, with its last status and the file of its download."""

    dates: DateRange
    request_id: str
    status: Status
    archive: Path


async def run_walkthrough(
    stack: Stack, telemetry: RawTelemetry, owner: Owner, downloads: Path, steps: StepPrinter
) -> list[FinishedRequest]:
    """Run all steps of a partner and an operator on a running stack.

    Args:
        stack: Where the servers are.
        telemetry: What to load into the raw bucket.
        owner: Whose telemetry to ask for.
        downloads: The folder for the downloaded zips.
        steps: Shows each step.

    Returns:
        The requests that together cover all days of the telemetry, in order.

    Raises:
        DemoError: If a step fails or does not end in time.
        ExhaustError: If the bucket cannot be used.
    """
    await _load(stack, telemetry, steps)
    async with aiohttp.ClientSession() as session:
        api = PublicApi(session, stack.gateway)
        partner = await _register(api, owner, steps)
        await _grant(stack, partner, steps)
        return [await _request(api, partner, dates, downloads, steps) for dates in cover_with_ranges(telemetry.days)]


async def _load(stack: Stack, telemetry: RawTelemetry, steps: StepPrinter) -> None:
    with steps.step(f"Load {telemetry.title} into the raw bucket") as step:
        try:
            size = await load_telemetry(stack, telemetry)
        except ForeignTelemetryError as error:
            raise DemoError(str(error)) from error
        step.outcome = f"{telemetry.extent}, {pluralize(size, 'byte')} compressed"


async def _register(api: PublicApi, owner: Owner, steps: StepPrinter) -> Partner:
    client = f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with steps.step("Register a client: POST /v1/client") as step:
        key = await api.register(client, KEY_NAME)
        step.outcome = f"client {client} has a license key named {KEY_NAME}"
    return Partner(client, key, owner)


async def _grant(stack: Stack, partner: Partner, steps: StepPrinter) -> None:
    owner = partner.owner
    words = ["grant", "--client", partner.client, "--key-name", KEY_NAME, f"--{owner.kind}={owner.identifier}"]
    with steps.step("Grant it the resource: exhaustctl grant") as step:
        await _run_command(words, {"EXHAUST_POSTGRES_OWNER_DSN": stack.postgres})
        step.outcome = f"{partner.client} may read {owner.resource}"


async def _run_command(words: Sequence[str], environment: Mapping[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "admin.command", *words),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT.total_seconds())
    except TimeoutError as error:
        raise DemoError(f"exhaustctl {words[0]} did not end within {COMMAND_TIMEOUT.total_seconds():.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    if process.returncode:
        raise DemoError(f"exhaustctl {words[0]} failed: {said.decode(errors='replace').strip()}")


async def _request(
    api: PublicApi, partner: Partner, dates: DateRange, downloads: Path, steps: StepPrinter
) -> FinishedRequest:
    first, last = dates.first.isoformat(), dates.last.isoformat()
    with steps.step(f"Request {first} to {last}: POST /v2/datasets/...") as step:
        request_id = await api.submit(partner.owner.resource, dates, partner.key, partner.owner.identifier)
        with RequestProgress(steps.console) as progress:
            status = await _until_ended(api, request_id, partner.key, progress)
        if status.word != "complete":
            raise DemoError(f"request {request_id} ended {status.word}: {status.error or 'no reason given'}")
        step.outcome = describe(status)
    archive = downloads / f"{DATASET}_{first}_{last}.zip"
    with steps.step(f"Download {first} to {last} with its signed URL") as step:
        size = await api.download(status.url, archive)
        step.outcome = f"{pluralize(size, 'byte')} in {archive}"
    return FinishedRequest(dates, request_id, status, archive)


async def _until_ended(api: PublicApi, request_id: str, key: str, progress: RequestProgress) -> Status:
    changed = time.monotonic()
    while True:
        status = await api.status(request_id, key)
        if status.word != "inprogress":
            return status
        if progress.show(status):
            changed = time.monotonic()
        if time.monotonic() - changed > STUCK_AFTER.total_seconds():
            limit = f"{STUCK_AFTER.total_seconds():.0f} s"
            raise DemoError(f"request {request_id} made no progress for {limit}: {describe(status)}")
        await asyncio.sleep(POLL_INTERVAL.total_seconds())
