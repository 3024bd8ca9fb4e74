"""The command `exhaust-events`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import TYPE_CHECKING, Final

from exhaust_contract.documents import KINDS, VARIANTS
from exhaust_contract.output import tell
from exhaust_contract.refusals import RefusalCode
from exhaust_contract.written_events import UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OK: Final = 0
REFUSED: Final = 1
NO_FILE: Final = 2
_NAMES: Final = [kind.name for kind in KINDS]
_EXAMPLES: Final = [*_NAMES, *(code.value for code in RefusalCode)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with this process's arguments, or with the given ones, and exit."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command, and return its exit code."""
    asked = _parser().parse_args(arguments)
    module = importlib.import_module(f"exhaust_contract.commands.{asked.command}")
    act: Callable[[argparse.Namespace], int] = module.run
    try:
        code = act(asked)
        sys.stdout.flush()
    except UnreadableFileError as error:
        tell(str(error))
        return NO_FILE
    except BrokenPipeError:  # of `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exhaust-events", description="Events by which services report requests.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    example = commands.add_parser("example", help="print an example, to be changed and sent")
    names = f"{', '.join(_NAMES)}; or the code of a refusal, such as SCHEMA"
    example.add_argument("kind", metavar="KIND", choices=_EXAMPLES, help=names)
    example.add_argument(
        "variant", choices=VARIANTS, nargs="?", default="least", help="least (as it stands), full, refused"
    )
    example.add_argument("--request", metavar="ID", help="of this request")
    example.add_argument("--attempt", type=int, metavar="N", help="of this attempt")
    example.add_argument("--source", metavar="URI", help="from this ce_source, such as /spark")
    validate = commands.add_parser("validate", help="say what the status service would say of events")
    validate.add_argument("file", help="a JSON object, an array, or one object a line; - reads the standard input")
    validate.add_argument("--json", action="store_true", help="print a JSON object an event")
    publish = commands.add_parser("publish", help="send events to dataset.completions, once all are right")
    publish.add_argument("file", help="as validate's")
    publish.add_argument("--bootstrap", help="host:port of brokers; else EXHAUST_KAFKA_BOOTSTRAP")
    publish.add_argument("--config", metavar="FILE", help="more of the client's settings, a name=value a line")
    compat = commands.add_parser("compat", help="hold every released version of the contract against the present one")
    compat.add_argument("--schemas", metavar="DIR", help="another folder of schemas, with its examples")
    return parser
