"""The command behind `make up`, `make down`, `make logs`: `python -m deploy.local up|down|logs|status`."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.local.folder import Folder
from deploy.local.logs import follow
from deploy.local.processes import Processes
from deploy.local.stack import DEFAULT_FOLDER, StackError, read_stack, start_stack, stop_stack

_INTERRUPTED = 130


def _up(folder: Path) -> None:
    print("Starting what does not run yet of Kafka, PostgreSQL, SeaweedFS and the four services ...", flush=True)
    stack = start_stack(folder)
    print(f"The stack is up; its addresses and credentials are in {Folder(folder.resolve()).stack_file}.")
    print(f"  gateway    {stack.gateway}")
    print(f"  internal   {stack.gateway_internal} (gateway), {stack.status_internal} (status),")
    print(f"             {stack.aggregator_internal} (aggregator): /health/ready, /metrics")
    print(f"  console    {stack.console}/now: what waits, and why; `exhaustctl now` says the same")
    print(f"  Kafka      {stack.kafka}")
    print(f"  PostgreSQL {stack.postgres.rpartition('@')[2]}")
    print(f"  S3         {stack.s3.endpoint}, buckets {stack.s3.raw_bucket} and {stack.s3.exhaust_bucket}")
    print("Next: `make logs` follows the logs, `make down` stops it; `make up` again starts only what has ended.")


def _down(folder: Path) -> None:
    stop_stack(folder)
    print("The stack is down; its data stays for the next `make up`.")


def _logs(folder: Path) -> None:
    read_stack(folder)
    for name, line in follow(Folder(folder.resolve()).logs):
        print(f"{name:12} | {line}", flush=True)


def _status(folder: Path) -> None:
    read_stack(folder)
    for name, process in Processes(Folder(folder.resolve())).recorded().items():
        print(f"{name:12} {process.pid:>8} {'runs' if process.runs() else 'has ended: `make up` starts it again'}")


_COMMANDS: dict[str, tuple[Callable[[Path], None], str]] = {
    "up": (_up, "start what does not run yet and return when all is ready"),
    "down": (_down, "stop everything; the data stays"),
    "logs": (_logs, "follow all logs until Ctrl-C"),
    "status": (_status, "tell which processes run"),
}


def main() -> int:
    """Run one command.

    Returns:
        The exit code: 0, 1 for an error that is told, 130 when it was cut short by Ctrl-C.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, purpose) in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose)
        command.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="where the stack keeps everything")
    chosen = parser.parse_args()
    try:
        _COMMANDS[chosen.command][0](chosen.folder)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader of the output has ended, such as `head`. Without this Python would flush the output again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 0 if chosen.command == "logs" else _INTERRUPTED  # Ctrl-C is the only way to end the logs
    return 0


if __name__ == "__main__":
    sys.exit(main())
