"""Arguments of every command of `exhaust`. Nothing else is imported here, so that help is there at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from telemetry_exhaust import __version__

_EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 failed or a file is wrong, 2 usage or no download, 3 time is up or cancelled,"
    " 4 key or grant, 5 request failed, 6 some days are missing, 8 still running, 130 interrupted."
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="exhaust", description="Get your telemetry, check it, and read it.", epilog=_EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"exhaust {__version__}")
    commands = _Commands(parser.add_subparsers(dest="command", metavar="COMMAND", required=True))
    _login(commands)
    _whoami(commands)
    _verify(commands)
    return parser


class _Commands:
    """The commands, and the options that many of them have."""

    def __init__(self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        self._subparsers = subparsers

    def add(self, name: str, summary: str, *, profile: bool = True, more: str = "") -> argparse.ArgumentParser:
        """Add a command."""
        description = f"{summary[0].upper()}{summary[1:]}. {more}".strip()
        parser = self._subparsers.add_parser(name, help=summary, description=description, epilog=_EXIT_CODES)
        parser.add_argument("--json", action="store_true", help="print one JSON object a line")
        parser.add_argument("-q", "--quiet", action="store_true", help="print errors only beside the data")
        if profile:
            parser.add_argument("--profile", metavar="NAME", help="the profile of `exhaust login`; or EXHAUST_PROFILE")
        return parser


def _owner(parser: argparse.ArgumentParser) -> None:
    owner = parser.add_mutually_exclusive_group()
    owner.add_argument("--partner", metavar="ID", help="plain id of the partner, such as org.example.partner.maple")
    owner.add_argument("--channel", metavar="ID", help="plain id of the channel, such as in.example.maple")
    parser.add_argument("--dataset", metavar="ID", help="the dataset (default: eks-consumption-raw)")


def _login(commands: _Commands) -> None:
    parser = commands.add(
        "login",
        "store a license key, and who you are, in a profile",
        more="The key is asked for, or read from stdin; it is never an argument.",
    )
    parser.add_argument("--gateway", metavar="ADDRESS", help="such as https://exhaust.example.org")
    parser.add_argument("--username", metavar="NAME", help="who asks, for the records of the platform")
    parser.add_argument("--ca-bundle", metavar="FILE", help="certificates to trust, as PEM")
    parser.add_argument("--keyring", action="store_true", help="keep the key in the keyring of the desktop")
    _owner(parser)


def _whoami(commands: _Commands) -> None:
    parser = commands.add("whoami", "tell which gateway, key and profile are used, and whether the gateway takes them")
    _owner(parser)


def _verify(commands: _Commands) -> None:
    parser = commands.add(
        "verify",
        "check downloads against their own manifests: bytes, checksums, members and events of every day",
        profile=False,
        more="It needs little memory, and shows nothing of a file that a terminal would obey.",
    )
    parser.add_argument("paths", metavar="FILE|DIR", type=Path, nargs="+", help="a download, or a folder of them")
