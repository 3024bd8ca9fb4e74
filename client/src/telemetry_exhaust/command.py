"""The partners' command `exhaust`: finds the command's module, runs it, and turns how it ends into an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

from telemetry_exhaust.errors import FAILED, INTERRUPTED, OK, ExhaustError
from telemetry_exhaust.output import Output
from telemetry_exhaust.parser import build_parser
from telemetry_exhaust.safe_text import safe_text

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with this process's arguments, or with the given ones, and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code."""
    asked = build_parser().parse_args(arguments)
    output = Output(as_json=getattr(asked, "json", False), quiet=getattr(asked, "quiet", False))
    try:
        command = importlib.import_module(f"telemetry_exhaust.commands.{asked.command}")
        code: int = command.run(asked, output)
        sys.stdout.flush()
    except ExhaustError as error:
        return _failed(output, error.told(), error.exit_code)
    except KeyboardInterrupt:
        return _failed(output, "stopped; the same command goes on where it was", INTERRUPTED)
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(output, safe_text(f"{where}{error.strerror or error}"), FAILED)
    return code


def _failed(output: Output, sentence: str, code: int) -> int:
    output.end_bar()
    output.say(sentence)
    return code
