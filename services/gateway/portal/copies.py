"""The same request for a terminal and for a program, to be copied. No key stands in it."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from services.gateway.portal.choice import Choice


@dataclass(frozen=True, slots=True)
class Copy:
    """A text to be copied, and what it is for."""

    id: str
    title: str
    text: str


def copies_of(choice: Choice, base: str, username: str) -> list[Copy]:
    """Return the same request as a line of the command, for curl, and in Python.

    Args:
        choice: the days that are asked for, and whose.
        base: address of the gateway.
        username: for whom it is.
    """
    curl = Copy("curl", "curl", _curl(choice, base, username))
    if not choice.names_owner:  # the package asks by the plain id alone
        return [curl]
    return [Copy("command", "Command exhaust", _command(choice)), curl, Copy("python", "Python", _python(choice))]


def _command(choice: Choice) -> str:
    option = "--channel" if choice.kind == "channel" else "--partner"
    words = ["exhaust", "get", option, choice.partner, "--dataset", choice.dataset]
    return shlex.join([*words, "--from", choice.first, "--to", choice.last, "-o", "data"])


def _curl(choice: Choice, base: str, username: str) -> str:
    path = "/".join(quote(part, safe="") for part in (choice.dataset, choice.resource, choice.first, choice.last))
    request = {"licenseKey": "KEY", "partnerid": choice.partner, "username": username}
    # The shell looks for $, ` and \ in what follows <<END; the key alone shall come from the environment.
    body = json.dumps({"request": request}).translate({ord(sign): f"\\{sign}" for sign in "\\$`"})
    body = body.replace('"KEY"', '"$EXHAUST_LICENSE_KEY"', 1)
    address = shlex.quote(f"{base}/v2/datasets/{path}")
    return f"curl -sS {address} -H 'Content-Type: application/json' --data-binary @- <<END\n{body}\nEND"


def _python(choice: Choice) -> str:
    owner = "channel" if choice.kind == "channel" else "partner"
    arguments = {owner: choice.partner, "dataset": choice.dataset, "start": choice.first, "end": choice.last}
    given = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return f'from telemetry_exhaust import Client\n\nexport = Client.from_profile().get({given}, folder="data")'
