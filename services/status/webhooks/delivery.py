"""The loops that deliver to webhooks, and close the days of which these are told, where the settings switch them on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exhaust.postgres.notifications import listen
from exhaust.postgres.webhook_deliveries import CHANNEL
from exhaust.webhooks.resolver import open_lookup
from exhaust.webhooks.secrets import SecretSeal
from services.status.webhooks.day_closer import DayCloser
from services.status.webhooks.deliverer import Deliverer, Lane
from services.status.webhooks.sender import open_sender

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextlib import AsyncExitStack

    from exhaust.domain.catalogue import Catalogue
    from exhaust.postgres.database import Database
    from exhaust.process.health import Health
    from services.status.settings import StatusSettings

# By a healthy webhook as many at once as keep its receiver busy; by one that fails, one that finds out if it is back.
FAST_PLACES: Final = 256
FAST_SHARE: Final = 4
SLOW_PLACES: Final = 64
SLOW_SHARE: Final = 1
NAME_THREADS: Final = 32  # of each lane; they start as they are needed


async def webhook_loops(
    stack: AsyncExitStack, settings: StatusSettings, database: Database, catalogue: Catalogue, health: Health
) -> list[Coroutine[None, None, None]]:
    """Build the loops; without keys for secrets there are none.

    Args:
        stack: closes what they need.
        settings: of the process.
        database: with the status service's role.
        catalogue: of the datasets whose days are closed.
        health: of the process.
    """
    if not settings.webhook_keys:
        return []
    lanes = []
    for slow, places, share in ((False, FAST_PLACES, FAST_SHARE), (True, SLOW_PLACES, SLOW_SHARE)):
        lookup = stack.enter_context(open_lookup(NAME_THREADS))
        sender = await stack.enter_async_context(open_sender(lookup, settings.webhook_networks))
        lanes.append(Lane(slow, places, share, sender))
    deliverer = Deliverer(database, SecretSeal(settings.webhook_keys), tuple(lanes), health.registry)
    datasets = sorted({dataset.id for dataset in catalogue.by_name.values()})
    return [
        deliverer.run(health, settings.webhook_interval),
        DayCloser(database, datasets, settings).run(health),
        listen(settings.postgres_dsn, CHANNEL, deliverer.wake, health.stop),
    ]
