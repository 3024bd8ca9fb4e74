"""Arguments of every command of `exhaust`. Nothing slow is imported here, so that help is there at once."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from pathlib import Path
from typing import Final, NoReturn

from telemetry_exhaust import __version__
from telemetry_exhaust.errors import USAGE

_CHOICE: Final = re.compile(r"invalid choice: '?([^' ]*)'? \(choose from (.*)\)")
_EXAMPLES: Final = "Examples:"
_EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed or a file is wrong, 2 usage or no download, 3 time is up or cancelled,"
    " 4 key or grant, 5 request failed, 6 some days are missing, 8 still running, 130 interrupted."
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = _Parser(
        prog="exhaust",
        description="Get your telemetry, check it, and read it. Begin with `exhaust login`.",
        epilog=_epilog(
            "exhaust login --gateway https://exhaust.example.org",
            "exhaust get --from 7d -o data",
            "exhaust sync telemetry",
            "exhaust COMMAND --help",
        ),
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"exhaust {__version__}")
    commands = _Commands(parser.add_subparsers(dest="command", metavar="COMMAND", required=True))
    _login(commands)
    _whoami(commands)
    _get(commands)
    _sync(commands)
    _requests(commands)
    _webhooks(commands)
    _verify(commands)
    _read(commands)
    _sessions(commands)
    _helpers(commands)
    return parser


class _Formatter(argparse.HelpFormatter):
    """Help whose last part, the examples and the exit codes, keeps its lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        return "\n\n".join(
            part if part.startswith(_EXAMPLES) else super(_Formatter, self)._fill_text(part, width, indent)
            for part in parts
        )


class _Parser(argparse.ArgumentParser):
    """Arguments whose faults are told in one sentence, with what was probably meant."""

    def error(self, message: str) -> NoReturn:
        """Tell a fault, and exit."""
        if len(sys.argv) == 1 and self.prog == "exhaust":
            self.print_help(sys.stderr)
            self.exit(USAGE)
        found = _CHOICE.search(message)
        near = difflib.get_close_matches(found[1], re.findall(r"[\w-]+", found[2]), 1) if found else []
        said = f"there is no {found[1]}" if found and not near else message
        said = f"there is no {found[1]}; perhaps {near[0]} is meant" if found and near else said
        self.exit(USAGE, f"{self.prog}: {said}; see `{self.prog} --help`\n")


def _epilog(*examples: str) -> str:
    shown = "".join(f"\n  {example}" for example in examples)
    return f"{_EXAMPLES}{shown}\n\n{_EXIT_CODES}" if examples else _EXIT_CODES


class _Commands:
    """The commands, and the options that many of them have."""

    def __init__(self, subparsers: argparse._SubParsersAction[_Parser]) -> None:
        self._subparsers = subparsers

    def add(
        self, name: str, summary: str, *examples: str, profile: bool = True, more: str = ""
    ) -> argparse.ArgumentParser:
        """Add a command."""
        parser = self._subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
            epilog=_epilog(*(f"exhaust {name} {example}" for example in examples)),
            formatter_class=_Formatter,
        )
        _common(parser, profile=profile, default=False)
        return parser


def _common(parser: argparse.ArgumentParser, *, profile: bool, default: bool | str) -> None:
    """Add what every command has; an operation of a command leaves the defaults to the command."""
    parser.add_argument("--json", action="store_true", default=default, help="print one JSON object a line")
    parser.add_argument("-q", "--quiet", action="store_true", default=default, help="say nothing beside it but errors")
    if profile:
        parser.add_argument(
            "--profile", metavar="NAME", default=default or None, help="of `exhaust login` (or EXHAUST_PROFILE)"
        )


def _owner(parser: argparse.ArgumentParser, *, dataset: bool = True) -> None:
    owner = parser.add_mutually_exclusive_group()
    owner.add_argument("--partner", metavar="ID", help="plain id of the partner, such as org.example.partner.maple")
    owner.add_argument("--channel", metavar="ID", help="plain id of the channel, such as in.example.maple")
    if dataset:
        parser.add_argument("--dataset", metavar="ID", help="the dataset (default: eks-consumption-raw)")


def _range(parser: argparse.ArgumentParser, first: str) -> None:
    days = "2026-11-01, yesterday, or 7d for seven days ago"
    parser.add_argument("--from", dest="first", metavar="DAY", default=first, help=f"{days} (default: {first})")
    parser.add_argument(
        "--to", dest="last", metavar="DAY", default="yesterday", help="the last day, included (default: yesterday)"
    )


def _login(commands: _Commands) -> None:
    parser = commands.add(
        "login",
        "store a license key, and whose data you want, in a profile",
        "--gateway https://exhaust.example.org",
        "--gateway https://exhaust.example.org --partner org.example.partner.maple < key.txt",
        more="The key is asked for, or read from stdin; it is never an argument.",
    )
    parser.add_argument("--gateway", metavar="ADDRESS", help="such as https://exhaust.example.org")
    parser.add_argument("--username", metavar="NAME", help="who asks (default: your login name)")
    parser.add_argument("--ca-bundle", metavar="FILE", help="certificates to trust, as PEM")
    parser.add_argument("--keyring", action="store_true", help="keep the key in the keyring of the desktop")
    _owner(parser)


def _whoami(commands: _Commands) -> None:
    parser = commands.add("whoami", "tell which gateway, key and profile are used, and whether the gateway takes them")
    _owner(parser, dataset=False)


def _get(commands: _Commands) -> None:
    parser = commands.add(
        "get",
        "get days into a folder",
        "--from 7d -o data",
        "--from 2026-11-01 --to 2026-11-30 --estimate",
        more="It waits, resumes what broke off, verifies, and says on stdout which files are there. More than 31 days"
        " become several files.",
    )
    _owner(parser)
    _range(parser, "yesterday")
    parser.add_argument(
        "--tag", action="append", metavar="TAG", help="only events with this tag; repeat it for several"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path, default=Path(), help="the folder (default: this one)"
    )
    parser.add_argument("--within", metavar="SECONDS", type=float, help="stop waiting then, with exit code 8")
    parser.add_argument("--partial", action="store_true", help="when days fail, get the others, with exit code 6")
    parser.add_argument("--estimate", action="store_true", help="only tell how long it would take, and its size")


def _sync(commands: _Commands) -> None:
    parser = commands.add(
        "sync",
        "keep a folder whole, one file a day",
        "telemetry",
        "telemetry --since 2026-01-01 --recheck 3 --quiet",
        more="It asks only for the days that the folder lacks, and may be killed and run again at any time.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the folder; it is made when it is not there")
    _owner(parser)
    parser.add_argument("--since", metavar="DAY", help="the first day (default: of the oldest file, else 31 days ago)")
    parser.add_argument(
        "--tag", action="append", metavar="TAG", help="only events with this tag; repeat it for several"
    )
    parser.add_argument(
        "--recheck", metavar="DAYS", type=int, default=0, help="ask again for so many last days, as some may be amended"
    )
    parser.add_argument("--hook", metavar="CMD", help="run for each new file, which EXHAUST_FILE and EXHAUST_DAY name")


def _verify(commands: _Commands) -> None:
    parser = commands.add(
        "verify",
        "check downloads against their own manifests",
        "data",
        profile=False,
        more="Bytes, checksums, members and events of every day are compared, in little memory.",
    )
    parser.add_argument("paths", metavar="FILE|DIR", type=Path, nargs="+", help="a download, or a folder of them")


def _read(commands: _Commands) -> None:
    parser = commands.add(
        "read",
        "print the events of downloads",
        "data --eid IMPRESSION | head",
        "data --columns eid,ets,context.channel --format csv -o events.csv",
        profile=False,
        more="Without a filter the lines come as they were received.",
    )
    parser.add_argument("paths", metavar="FILE|DIR", type=Path, nargs="+", help="a download, or a folder of them")
    parser.add_argument("--eid", action="append", metavar="EID", help="only events of this kind; repeat it for several")
    parser.add_argument(
        "--tag", action="append", metavar="TAG", help="only events with this tag; repeat it for several"
    )
    parser.add_argument("--columns", metavar="NAMES", help="only these fields, such as eid,ets,context.channel")
    parser.add_argument("--format", choices=("jsonl", "csv", "parquet"), default="jsonl", help="(default: jsonl)")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write into a file, not to stdout")


def _sessions(commands: _Commands) -> None:
    parser = commands.add(
        "sessions",
        "read downloads as sessions of apps, portals, editors and services",
        "telemetry",
        "telemetry --plot lasted.svg",
        "telemetry --format tree --session ID --plot session.svg",
        "telemetry --format parquet -o parts.parquet",
        profile=False,
        more="It tells each place where they are not as the documents draw them, then a summary;"
        " or it writes the trees. What does not fit in little memory is put into a temporary file, in the folder that"
        " TMPDIR names.",
    )
    parser.add_argument(
        "paths",
        metavar="FILE|DIR",
        type=Path,
        nargs="+",
        help="a download, the zip of a day, lines, or a folder",
    )
    parser.add_argument(
        "--format", choices=("summary", "jsonl", "csv", "parquet", "tree"), default="summary", help="(default: summary)"
    )
    parser.add_argument("--session", metavar="ID", help="only trees that have this session, device or program")
    parser.add_argument(
        "--plot", metavar="FILE.svg", type=Path, help="draw how long parts lasted; with --session, that one along time"
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write the trees into a file, not to stdout")


def _requests(commands: _Commands) -> None:
    parser = commands.add("requests", "list requests, newest first")
    _owner(parser, dataset=False)
    parser.add_argument("--all", action="store_true", help="all that the key may see (default when nobody is named)")
    parser.add_argument("--limit", metavar="N", type=int, default=50, help="so many at most (default: 50)")
    parser = commands.add("show", "show how a request stands")
    parser.add_argument("request", metavar="REQUEST", help="its id")
    parser = commands.add("watch", "wait until a request ends; the exit code tells how")
    parser.add_argument("request", metavar="REQUEST", help="its id")
    parser.add_argument("--within", metavar="SECONDS", type=float, help="stop waiting then, with exit code 8")
    for name, summary in (
        ("cancel", "cancel requests in progress"),
        ("retry", "have failed requests tried again; only the days that failed are built"),
        ("delete", "remove requests that have ended, and their downloads"),
    ):
        parser = commands.add(name, summary)
        parser.add_argument("requests", metavar="REQUEST", nargs="+", help="their ids")
    parser = commands.add("days", "tell of each day whether it is there, and how many events it has", "--from 31d")
    _owner(parser)
    _range(parser, "31d")


def _webhooks(commands: _Commands) -> None:
    parent = commands.add(
        "webhooks",
        "have an address told when a request ends, and check what it is told",
        "list",
        "add https://hooks.example.org/telemetry",
        "OPERATION --help",
    )
    operations = parent.add_subparsers(dest="operation", metavar="[OPERATION]", title="operations (default: list)")

    def add(name: str, summary: str) -> argparse.ArgumentParser:
        more = f"{summary[0].upper()}{summary[1:]}."
        parser = operations.add_parser(name, help=summary, description=more, formatter_class=_Formatter)
        _common(parser, profile=True, default=argparse.SUPPRESS)
        return parser

    add("list", "list webhooks")
    parser = add("add", "register an https address; the secret is told once")
    parser.add_argument("url", metavar="ADDRESS", help="such as https://hooks.example.org/telemetry")
    parser.add_argument("--event", action="append", metavar="EVENT", help="only this event; repeat it for several")
    for name, summary in (
        ("remove", "remove a webhook"),
        ("test", "deliver an event that means nothing"),
        ("deliveries", "list what a webhook was told, newest first"),
        ("replay", "deliver again"),
    ):
        parser = add(name, summary)
        parser.add_argument("webhook", metavar="WEBHOOK", help="its id")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--since", metavar="TIME", help="all since then, such as 2026-11-01T00:00:00Z")
    which.add_argument("--delivery", metavar="ID", help="this one")
    parser = add("verify", "check a delivery; the secret is in EXHAUST_WEBHOOK_SECRET, or its file in …_FILE")
    for name in ("id", "timestamp", "signature"):
        parser.add_argument(f"--{name}", metavar="HEADER", required=True, help=f"the header webhook-{name}")
    parser.add_argument("body", metavar="FILE", type=Path, nargs="?", default=Path("-"), help="the body; - for stdin")


def _helpers(commands: _Commands) -> None:
    parser = commands.add("doctor", "look for what keeps data from arriving: clock, proxy, TLS, key, grant, store")
    _owner(parser, dataset=False)
    parser = commands.add(
        "completion",
        "print a script with which a shell completes this command",
        "bash >> ~/.bashrc",
        "zsh >> ~/.zshrc",
        profile=False,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))
