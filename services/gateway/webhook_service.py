"""The service of webhooks: what a holder of a license key may register, and where it may lead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.webhooks import Webhook, WebhookOwner
from exhaust.webhooks.resolver import CheckedResolver
from exhaust.webhooks.secrets import new_secret, written_secret
from exhaust.webhooks.urls import parse_webhook_url, refused_host
from schemas.webhooks import EVENTS
from services.gateway.shares import Share

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from exhaust.postgres.database import Database
    from exhaust.webhooks.addresses import Network
    from exhaust.webhooks.resolver import Lookup
    from exhaust.webhooks.secrets import SecretSeal

LOOKUP_TIMEOUT: Final = timedelta(seconds=5)
MAX_LOOKUPS: Final = 8  # at once; also the threads for them
LOOKUPS_OF_A_KEY: Final = 2


@dataclass(frozen=True, slots=True)
class Registered:
    """A webhook with its secret, which nobody is shown a second time."""

    webhook: Webhook
    secret: str


class WebhookService:
    """Registers webhooks and changes them."""

    def __init__(self, database: Database, seal: SecretSeal, lookup: Lookup, networks: Collection[Network]) -> None:
        """Prepare.

        Args:
            database: with the gateway's role.
            seal: of their secrets.
            lookup: finds the addresses of hosts.
            networks: that webhooks may lead to beside the public internet.
        """
        self._database = database
        self._seal = seal
        self._networks = networks
        self._resolver = CheckedResolver(lookup, networks)
        # A server of names may be slow, and is the caller's own choice.
        self._lookups = Share("webhook registrations", per_holder=LOOKUPS_OF_A_KEY, total=MAX_LOOKUPS)

    def of(self, user_id: int) -> WebhookOwner:
        """Return the webhooks of a holder."""
        return WebhookOwner(self._database, user_id)

    async def create(self, user_id: int, *, url: str, events: Sequence[str]) -> Registered:
        """Register a webhook.

        Raises:
            ExhaustError: INVALID_DATA_ERROR for a URL or an event that is not allowed, or one webhook too many.
        """
        checked, wanted = await self._check_url(user_id, url), _check_events(events)
        webhook_id, secret = uuid4(), new_secret()
        webhook = await self.of(user_id).create(
            webhook_id, url=checked, events=wanted, secret=self._seal.seal(secret, webhook_id)
        )
        return Registered(webhook, written_secret(secret))

    async def change(
        self,
        user_id: int,
        webhook_id: UUID,
        *,
        url: str | None,
        events: Sequence[str] | None,
        enabled: bool | None,
    ) -> Webhook:
        """Change what is not None.

        Raises:
            ExhaustError: NOT_FOUND; INVALID_DATA_ERROR for a URL or an event that is not allowed, or no change at all.
        """
        owner = self.of(user_id)
        if url is None and events is None and enabled is None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "request must hold url, events or enabled")
        await owner.find(webhook_id)
        checked = None if url is None else await self._check_url(user_id, url)
        wanted = None if events is None else _check_events(events)
        return await owner.change(webhook_id, url=checked, events=wanted, enabled=enabled)

    async def rotate(self, user_id: int, webhook_id: UUID) -> Registered:
        """Give a webhook a new secret; the old one signs too for a day.

        Raises:
            ExhaustError: NOT_FOUND.
        """
        secret = new_secret()
        sealed = self._seal.seal(secret, webhook_id)
        return Registered(await self.of(user_id).rotate(webhook_id, sealed), written_secret(secret))

    async def _check_url(self, user_id: int, text: str) -> str:
        """Return the URL as it is called, after a look at the addresses of its host."""
        url = parse_webhook_url(text, allow_http=bool(self._networks))
        with self._lookups.hold(user_id):
            try:
                async with asyncio.timeout(LOOKUP_TIMEOUT.total_seconds()):
                    await self._resolver.addresses(url.raw_host or "", public=url.scheme == "https")
            except (OSError, TimeoutError) as error:
                raise refused_host() from error
        return str(url)


def _check_events(events: Sequence[str]) -> list[str]:
    wanted = [event for event in EVENTS if event in events]
    if not wanted or len(wanted) < len(set(events)):
        raise ExhaustError(
            ErrorCode.INVALID_DATA_ERROR, f"request/events must hold one or more of {', '.join(EVENTS)}, and no other"
        )
    return wanted
