"""The settings that say who calls the console, and who may act."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr

from exhaust.settings import Dsn, SettingsGroup

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110, 5.6.2


def is_loopback(host: str) -> bool:
    """Return True for a name or an address that means this machine alone."""
    try:
        return host.lower() == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _header(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("this is no name of a header")
    return name


def _some(networks: frozenset[IPv4Network | IPv6Network]) -> frozenset[IPv4Network | IPv6Network]:
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("not everybody can be a trusted proxy")
    return networks


Networks = Annotated[frozenset[IPv4Network | IPv6Network], Field(min_length=0, max_length=100), AfterValidator(_some)]
HeaderName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_header)]
Word = Annotated[str, Field(min_length=1, max_length=256)]


class AccessSettings(SettingsGroup):
    """Who calls the console, and who may act.

    Attributes:
        postgres_operator_dsn: the database, as the role of actions; without it nobody may act.
        console_proxies: networks of the proxies that tell by headers who calls.
        console_user_header: of the person's name.
        console_role_header: of the person's roles or groups, with commas between them.
        console_token_issuers: the file of the issuers whose tokens say who calls; without it, none do.
        console_role_claim: of a token, the roles: a text, or a list of texts.
        console_operator: the role or group, in header or claim, that may act.
        console_session_key: signs the tokens of forms; without one it is made at the start.
        console_loopback_role: of callers on this machine whom nothing else tells.
    """

    postgres_operator_dsn: Dsn | None = None
    console_proxies: Networks = frozenset()
    console_user_header: HeaderName = "X-Forwarded-User"
    console_role_header: HeaderName = "X-Forwarded-Groups"
    console_token_issuers: Path | None = None
    console_role_claim: Word = "roles"
    console_operator: Word = "exhaust-operator"
    console_session_key: Annotated[SecretStr, Field(min_length=32, max_length=1024)] | None = None
    console_loopback_role: Literal["viewer", "operator"] = "viewer"
