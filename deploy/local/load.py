"""The command behind `make load`: fills the raw bucket of a running local stack.

Made-up telemetry of the last days, or with --raw the files of a folder.
"""

import argparse
import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.raw_files import DEFAULT_DAYS, RawFilesError
from deploy.local.raw_telemetry import ForeignTelemetryError, from_folder, generate_telemetry, load_telemetry
from deploy.local.stack import DEFAULT_FOLDER, StackError, read_stack


def main() -> int:
    """Load the telemetry and print its owners; return 0, or 1 after an error that was printed."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.load", description=__doc__)
    parser.add_argument("--raw", type=Path, help="folder of .json, .jsonl and .gz files")
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the stack keeps everything")
    arguments = parser.parse_args()
    today = datetime.now(UTC).date()
    try:
        stack = read_stack(arguments.folder)
        raw = arguments.raw
        telemetry = from_folder(raw, today, DEFAULT_DAYS) if raw else generate_telemetry(today, DEFAULT_DAYS)
        asyncio.run(load_telemetry(stack, telemetry))
    except (StackError, RawFilesError, ForeignTelemetryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    days = telemetry.days
    print(f"Loaded {telemetry.title}: {telemetry.extent}, {days[0]} to {days[-1]}, dataset eks-consumption-raw.")
    if telemetry.owners:
        print(f"Partners in it: {', '.join(sorted(telemetry.owners))}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
