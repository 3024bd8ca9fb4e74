"""The steps of a partner and an operator: load, register and grant; log in, get, verify and read."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deploy.local.demo.date_ranges import cover_with_ranges
from deploy.local.demo.errors import DemoError
from deploy.local.demo.partner_command import PartnerCommand, shown
from deploy.local.demo.public_api import register
from deploy.local.demo.steps import StepPrinter, pluralize
from deploy.local.raw_telemetry import ForeignTelemetryError, load_telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from deploy.local.demo.date_ranges import DateRange
    from deploy.local.demo.owner import Owner
    from deploy.local.raw_telemetry import RawTelemetry
    from deploy.local.stack import Stack

KEY_NAME: Final = "dashboard"
PROFILES: Final = "profiles.ini"
LONGEST_WAIT: Final = timedelta(hours=1)
KINDS_SHOWN: Final = 3
COMMAND_TIMEOUT: Final = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Partner:
    """The registered client, its license key and whose telemetry it asks for."""

    client: str
    key: str
    owner: Owner


@dataclass(frozen=True, slots=True)
class FinishedRequest:
    """A complete request and the file of its download.

    Attributes:
        figures: days, events and bytes, as its status tells them.
    """

    dates: DateRange
    request_id: str
    figures: tuple[int, int, int]
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
    partner = await _register(stack, owner, steps)
    await _grant(stack, partner, steps)
    profiles = downloads.parent / PROFILES
    profiles.unlink(missing_ok=True)
    command = PartnerCommand(profiles)
    await _log_in(command, stack, partner, steps)
    finished = [await _get(command, dates, downloads, steps) for dates in cover_with_ranges(telemetry.days)]
    await _verify(command, finished, steps)
    await _read(command, finished, steps)
    return finished


async def _load(stack: Stack, telemetry: RawTelemetry, steps: StepPrinter) -> None:
    with steps.step(f"Load {telemetry.title} into the raw bucket") as step:
        try:
            size = await load_telemetry(stack, telemetry)
        except ForeignTelemetryError as error:
            raise DemoError(str(error)) from error
        step.outcome = f"{telemetry.extent}, {pluralize(size, 'byte')} compressed"


async def _register(stack: Stack, owner: Owner, steps: StepPrinter) -> Partner:
    client = f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    with steps.step("Register a client: POST /v1/client") as step:
        key = await register(stack.gateway, client, KEY_NAME)
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


async def _log_in(command: PartnerCommand, stack: Stack, partner: Partner, steps: StepPrinter) -> None:
    owner = partner.owner
    words = ("login", "--gateway", stack.gateway, f"--{owner.kind}", owner.identifier)
    with steps.step(shown(*words)) as step:
        await command.rows(*words, "--quiet", stdin=f"{partner.key}\n")
        step.outcome = "the gateway takes the license key"


async def _get(command: PartnerCommand, dates: DateRange, downloads: Path, steps: StepPrinter) -> FinishedRequest:
    words = ("get", "--from", str(dates.first), "--to", str(dates.last), "-o", str(downloads))
    with steps.step(shown(*words)) as step:
        [got] = await command.rows(*words, "--within", f"{LONGEST_WAIT.total_seconds():.0f}")
        [status] = await command.rows("show", str(got["request"]))
        figures = _figures(status)
        step.outcome = f"{got['bytes']:,} bytes in {got['file']}"
    return FinishedRequest(dates, str(got["request"]), figures, Path(str(got["file"])))


def _figures(status: Mapping[str, object]) -> tuple[int, int, int]:
    progress = status.get("progress")
    if not isinstance(progress, dict):
        raise DemoError("the status of a complete request has no progress")
    return int(progress["daysdone"]), int(progress["events"]), int(progress["bytes"])


async def _verify(command: PartnerCommand, finished: Sequence[FinishedRequest], steps: StepPrinter) -> None:
    words = ("verify", *(str(request.archive) for request in finished))
    with steps.step(shown(*words)) as step:
        step.outcome = f"{pluralize(len(await command.rows(*words)), 'day')} ok"


async def _read(command: PartnerCommand, finished: Sequence[FinishedRequest], steps: StepPrinter) -> None:
    words = ("read", *(str(request.archive) for request in finished), "--columns", "eid", "--format", "csv")
    with steps.step(shown(*words)) as step:
        kinds = Counter([line.decode().strip() async for line in command.lines(*words)][1:])
        most = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common(KINDS_SHOWN))
        step.outcome = f"{pluralize(kinds.total(), 'event')}: {most}{', …' if len(kinds) > KINDS_SHOWN else ''}"
