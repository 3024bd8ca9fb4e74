"""Shows how one request stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_exhaust.calls import help_address
from telemetry_exhaust.client import Client
from telemetry_exhaust.errors import OK

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output

_LINKS = ("downloadurl", "partialurl")  # whoever has one may download: only --json prints them


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print the document of the API with --json, else one line a field."""
    client = Client.from_profile(arguments.profile)
    document = client.api.status_document(arguments.request)
    if output.as_json:
        output.rows([{"requestid": arguments.request, **document}])
    else:
        output.rows({"field": name, "value": value} for name, value in _fields(document, client.profile.gateway))
    return OK


def _fields(document: dict[str, Any], gateway: str, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in document.items():
        if isinstance(value, dict):
            found += _fields(value, gateway, f"{prefix}{name}.")
        elif name == "help":
            found.append((f"{prefix}{name}", help_address(gateway, value)))
        elif name not in _LINKS:
            found.append((f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else value))
    return found
