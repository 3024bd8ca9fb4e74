"""Who calls the console, and who may act: by a trusted proxy's headers, by a token, or on a machine of one person."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from aiohttp import web

from exhaust.domain.text import is_storable_text
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.http.request import repeated_header
from services.console.access_settings import is_loopback

if TYPE_CHECKING:
    from ipaddress import IPv4Address

    from exhaust.tokens.verifier import TokenVerifier
    from services.console.access_settings import AccessSettings

MAX_NAME_LENGTH: Final = 256
MAX_ROLES_LENGTH: Final = 8 * 1024
# Of a call that came through somebody else: it tells nothing of where the caller is.
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


class Role(StrEnum):
    """What a caller may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"


class ToldBy(StrEnum):
    """How the console knows who calls."""

    PROXY = "proxy"
    ISSUER = "issuer"
    LOOPBACK = "loopback"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: the person; empty when nobody says it.
        role: what that person may do.
        told_by: how that is known.
    """

    name: str
    role: Role
    told_by: ToldBy

    @property
    def by_browser(self) -> bool:
        """True when a browser makes the caller known without being asked, so that a foreign page can use it."""
        return self.told_by is not ToldBy.ISSUER


NOBODY: Final = Caller("", Role.VIEWER, ToldBy.NOBODY)
CALLER: Final = web.RequestKey("caller", Caller)
ROLE: Final = web.RequestKey("role", Role)
OPERATOR_NAME: Final = web.RequestKey("operator_name", str)


class Callers:
    """Finds out who calls."""

    def __init__(self, settings: AccessSettings, tokens: TokenVerifier | None) -> None:
        """Prepare.

        Args:
            settings: whom to believe.
            tokens: verifies those of the configured issuers; None believes no token.
        """
        self._settings = settings
        self._tokens = tokens
        self._local = _account() if settings.console_loopback_role == "operator" else ""

    async def identify(self, request: web.BaseRequest) -> Caller:
        """Return who calls.

        Raises:
            ExhaustError: INVALID_DATA_ERROR for headers that a proxy must not send; LOGIN_FAILED for a bad token.
        """
        if self.from_proxy(request):
            name = _header(request, self._settings.console_user_header, MAX_NAME_LENGTH)
            if name:
                roles = _header(request, self._settings.console_role_header, MAX_ROLES_LENGTH).split(",")
                return self._caller(name, [role.strip() for role in roles], ToldBy.PROXY)
        elif self._at_loopback(request):
            return Caller(self._local, Role.OPERATOR, ToldBy.LOOPBACK)
        return await self._bearer(request) or NOBODY

    def from_proxy(self, request: web.BaseRequest) -> bool:
        """Return True when a trusted proxy passes this call on."""
        address = _address(request)
        return address is not None and any(address in network for network in self._settings.console_proxies)

    async def _bearer(self, request: web.BaseRequest) -> Caller | None:
        given = request.headers.getall("Authorization", [])
        scheme, _, text = "".join(given[:1]).partition(" ")
        if self._tokens is None or scheme.lower() != "bearer":
            return None
        if len(given) > 1:
            raise repeated_header("Authorization")
        token = await self._tokens.verify_claims(text)
        claimed = token.claims.get(self._settings.console_role_claim)
        roles = claimed if isinstance(claimed, list) else [claimed]
        # Two issuers may give one name to two people.
        return self._caller(f"{token.subject.subject} of {token.subject.issuer}", roles, ToldBy.ISSUER)

    def _caller(self, name: str, roles: list[object], told_by: ToldBy) -> Caller:
        is_operator = self._settings.console_operator in roles
        return Caller(name, Role.OPERATOR if is_operator else Role.VIEWER, told_by)

    def _at_loopback(self, request: web.BaseRequest) -> bool:
        """Return True for a caller on this machine who may act, by its own address and not that of a page elsewhere."""
        if self._settings.console_loopback_role != "operator" or any(name in request.headers for name in _FORWARDED):
            return False
        address = _address(request)
        # A foreign name that leads to this machine, as in DNS rebinding, would make a foreign page one of ours.
        named = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        return address is not None and address.is_loopback and is_loopback(named)


def _header(request: web.BaseRequest, name: str, limit: int) -> str:
    """Return a header of the proxy.

    Raises:
        ExhaustError: INVALID_DATA_ERROR for one that came twice, so that the caller may have sent one of them.
    """
    values = request.headers.getall(name, [])
    if len(values) > 1:
        raise repeated_header(name)
    value = "".join(values).strip()
    if len(value) > limit or not value.isprintable() or not is_storable_text(value):
        raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, f"the header {name} is too long, or no text")
    return value


def _address(request: web.BaseRequest) -> IPv4Address | IPv6Address | None:
    """Return the address from which the connection came, whatever its headers say."""
    try:
        address = ip_address(request.remote or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _account() -> str:
    """Return the name of the account of this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody at this machine"
