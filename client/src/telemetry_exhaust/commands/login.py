"""Stores a license key in a profile."""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING

from telemetry_exhaust.api import Api
from telemetry_exhaust.errors import OK, UnknownOperationError, UsageError
from telemetry_exhaust.http import Http
from telemetry_exhaust.keyring_secrets import keep_in_keyring
from telemetry_exhaust.profile import DEFAULT, KEY, Profile, checked_gateway, save_profile

if TYPE_CHECKING:
    import argparse

    from telemetry_exhaust.output import Output


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Ask for the key, have the gateway check it, and store it."""
    name = arguments.profile or os.environ.get("EXHAUST_PROFILE") or DEFAULT
    gateway = arguments.gateway or os.environ.get("EXHAUST_GATEWAY") or ""
    if not gateway:
        raise UsageError("name the gateway: exhaust login --gateway https://exhaust.example.org")
    gateway = checked_gateway(gateway)
    key = _asked_key()
    ca_bundle = arguments.ca_bundle or os.environ.get("EXHAUST_CA_BUNDLE") or None
    api = Api(Profile(name, gateway, key, "", ""), Http(ca_bundle=ca_bundle))
    api.check_key()
    settings = {
        "gateway": gateway,
        "username": arguments.username or "",
        "partner": arguments.partner or "",
        "channel": arguments.channel or "",
        "dataset": arguments.dataset or "",
        "ca_bundle": ca_bundle or "",
    }
    in_keyring = arguments.keyring and keep_in_keyring(name, key)
    if arguments.keyring and not in_keyring:
        raise UsageError(
            "there is no keyring that works; install telemetry-exhaust-client[keyring], or leave --keyring out"
        )
    owner = settings["partner"] or settings["channel"] or _only_grant(api, settings)
    path = save_profile(name, settings if in_keyring else {**settings, KEY: key})
    output.note(f"the gateway takes the key; profile {name} is in {path}")
    output.note(f"next: `exhaust get --from 7d -o data`{'' if owner else ' with --partner ID'}")
    return OK


def _only_grant(api: Api, settings: dict[str, str]) -> str:
    """Take over whose data is meant when the key may read one partner or channel alone, and return its id."""
    try:
        grants = api.me().get("grants") or []
    except UnknownOperationError:  # an older gateway
        return ""
    named = {(grant.get("kind"), grant.get("id")) for grant in grants if grant.get("id")}
    if len(named) != 1 or any(not grant.get("id") for grant in grants):
        return ""
    [(kind, owner)] = named
    if kind in {"partner", "channel"} and not (settings["partner"] or settings["channel"]):
        settings[kind] = owner
    return str(owner)


def _asked_key() -> str:
    key = getpass.getpass("License key: ") if sys.stdin.isatty() else sys.stdin.readline()
    key = key.strip()
    if not key or not key.isprintable():
        raise UsageError("no license key was given; type it, or pipe it in: exhaust login … < key.txt")
    return key
