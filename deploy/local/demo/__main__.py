"""The command behind `make demo`: `python -m deploy.local.demo [--raw FOLDER] [--days N] [--folder .local/demo]`.

Exit codes: 0 everything matched; 1 something failed or differs; 2 the arguments or the raw files cannot be used;
130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import shutil
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from deploy.local.demo.comparison import compare_downloads, select_owner
from deploy.local.demo.errors import DemoError
from deploy.local.demo.report import console_line, result_line, show_summary
from deploy.local.demo.steps import StepPrinter
from deploy.local.demo.walkthrough import run_walkthrough
from deploy.local.raw_files import DEFAULT_DAYS, RawFilesError
from deploy.local.raw_telemetry import from_folder, generate_telemetry
from deploy.local.stack import StackError, start_stack, stop_stack
from exhaust.errors import ExhaustError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from deploy.local.demo.owner import Owner
    from deploy.local.raw_telemetry import RawTelemetry
    from deploy.local.stack import Stack

MOST_DAYS: Final = 366
STACK: Final = "stack"
FAILED: Final = 1
UNUSABLE: Final = 2
INTERRUPTED: Final = 130  # the shells' exit code for SIGINT: 128 and its number


def main() -> int:
    """Run the demo and return its exit code."""
    arguments = _arguments()
    steps = StepPrinter(Console(highlight=False))
    try:
        telemetry = _telemetry(arguments, steps)
        owner = select_owner(telemetry, steps)
        with _alone_in(arguments.folder):
            return _run(telemetry, owner, arguments.folder, steps)
    except RawFilesError as error:
        return _failed(str(error), UNUSABLE)
    except StackError as error:
        return _failed(str(error), FAILED)
    except (DemoError, ExhaustError) as error:
        return _failed(f"{error} (logs: {arguments.folder / STACK / 'logs'})", FAILED)
    except KeyboardInterrupt:
        return _failed("stopped", INTERRUPTED)


def _failed(message: str, code: int) -> int:
    Console(stderr=True).print(f"demo: {message}", markup=False, highlight=False, soft_wrap=True)
    return code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.demo",
        description="Starts the whole stack, exports telemetry through the public API and checks every line of it.",
    )
    parser.add_argument("--raw", type=Path, metavar="FOLDER", help="load the .json, .jsonl and .gz files of a folder")
    parser.add_argument(
        "--days",
        type=_day_count,
        default=DEFAULT_DAYS,
        metavar="N",
        help=f"over how many days, ending yesterday, telemetry without a date is spread (default {DEFAULT_DAYS})",
    )
    parser.add_argument("--folder", type=Path, default=Path(".local/demo"), help="where servers and downloads are kept")
    return parser.parse_args()


def _day_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of days from 1 to {MOST_DAYS}")
    return int(text)


def _telemetry(arguments: argparse.Namespace, steps: StepPrinter) -> RawTelemetry:
    today = datetime.now(UTC).date()
    with steps.step("Read the raw telemetry" if arguments.raw else "Make up raw telemetry") as step:
        telemetry = (
            from_folder(arguments.raw, today, arguments.days)
            if arguments.raw
            else generate_telemetry(today, arguments.days)
        )
        step.outcome = telemetry.extent
    return telemetry


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoError(
                f"another demo is running in {folder}: wait for its end, or use another --folder"
            ) from error
        yield


def _run(telemetry: RawTelemetry, owner: Owner, folder: Path, steps: StepPrinter) -> int:
    downloads = folder / "downloads"
    downloads.mkdir(exist_ok=True)
    with _new_stack(folder / STACK, steps) as stack:
        finished = asyncio.run(run_walkthrough(stack, telemetry, owner, downloads, steps))
        outcome = compare_downloads(telemetry, owner, finished, steps)
    show_summary(steps.console, outcome, steps, folder / STACK)
    matched, line = result_line(outcome)
    steps.console.print(line, style="bold green" if matched else "bold red", markup=False, soft_wrap=True)
    steps.console.print(console_line(stack.console, folder / STACK), markup=False, highlight=False, soft_wrap=True)
    return 0 if matched else FAILED


@contextmanager
def _new_stack(folder: Path, steps: StepPrinter) -> Iterator[Stack]:
    try:
        with steps.step("Start Kafka, PostgreSQL, S3 and the services") as step:
            # Telemetry of an earlier demo would spoil the exact comparison.
            stop_stack(folder)
            if (folder / "settings.json").exists():  # this is a stack's folder, not somebody else's of that name
                shutil.rmtree(folder)
            stack = start_stack(folder, stop_at_exit=True)
            step.outcome = f"the gateway listens on {stack.gateway}"
        yield stack
    finally:
        with steps.step("Stop the stack") as step:
            stop_stack(folder)
            step.outcome = "stopped"


if __name__ == "__main__":
    sys.exit(main())
