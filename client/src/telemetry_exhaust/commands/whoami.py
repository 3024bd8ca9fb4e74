"""Tells which gateway, key and profile are used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_exhaust.api import Api
from telemetry_exhaust.errors import NO_ACCESS, OK
from telemetry_exhaust.http import Http
from telemetry_exhaust.profile import load_profile

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Have the gateway check the key, and the grant when a partner or channel is named."""
    profile = load_profile(arguments.profile)
    api = Api(profile, Http(ca_bundle=profile.ca_bundle))
    api.check_key()
    owner = arguments.partner or arguments.channel or profile.partner or profile.channel
    may_read = api.may_read(owner) if owner else None
    row = {
        "profile": profile.name,
        "gateway": profile.gateway,
        "key": "valid",
        "keyfrom": profile.key_from,
        "username": profile.username,
        "owner": owner or None,
        "granted": None if may_read is None else ("yes" if may_read else "no"),
    }
    output.rows([row])
    if may_read is False:
        output.say(f"the key has no grant for {owner}; ask the operators for one, or check the id")
        return NO_ACCESS
    return OK
