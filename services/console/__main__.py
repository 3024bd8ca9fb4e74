"""The process of the console: `python -m services.console`."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from exhaust.domain.catalogue import load_catalogue
from exhaust.http.listener import open_listener
from exhaust.lag.assessment import targets_from
from exhaust.lag.sampler import open_sampler
from exhaust.logs import configure_logging
from exhaust.postgres.database import open_service_database
from exhaust.process.health import STALL_LIMIT, Health
from exhaust.process.run import run_process, run_until_stopped
from exhaust.s3.store import open_object_store
from services.console.access import open_gate
from services.console.action_runs import open_tools
from services.console.actions_page import actions_page
from services.console.app import console_app
from services.console.dead_letter_age import DeadLetterAge
from services.console.documents import lag_pages
from services.console.history import history_page
from services.console.lag_metrics import publish_lag_metrics
from services.console.letter_index import keep_index
from services.console.runbooks import runbook_page
from services.console.sampling import Sampling
from services.console.settings import ConsoleSettings
from services.console.stories.days import RawObjects
from services.console.stories.pages import Stories, story_pages

if TYPE_CHECKING:
    from datetime import timedelta

    from services.console.pages import Page


def all_pages(sampling: Sampling, stories: Stories) -> list[Page]:
    """Build all pages, in the order of the navigation."""
    database = stories.database
    return [*lag_pages(sampling, database), *story_pages(stories), history_page(database), runbook_page()]


async def serve(stall_limit: timedelta = STALL_LIMIT) -> None:
    """Look at all stages and show what is the matter, until SIGTERM. No server has to answer for that.

    Args:
        stall_limit: for how long a loop may stand still before the watchdog ends the process.
    """
    settings = ConsoleSettings()
    configure_logging("console", settings.log_level)
    catalogue = load_catalogue(settings.catalogue)
    health = Health(stall_limit=stall_limit)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_service_database(settings, health.registry, connect=False))
        sampler = await stack.enter_async_context(
            open_sampler(
                settings,
                database,
                max_in_flight_per_partner=settings.max_in_flight_per_partner,
                built_elsewhere=catalogue.built_elsewhere(),
            )
        )
        sampling = Sampling(sampler, targets_from(settings))
        publish_lag_metrics(health.registry, sampling.latest)
        store = await stack.enter_async_context(open_object_store(settings, health.registry))
        raw = RawObjects(store, settings.s3_raw_bucket)
        stories = Stories(database, raw, catalogue, settings.max_in_flight_per_partner)
        tools = await stack.enter_async_context(open_tools(settings, database, catalogue))
        gate = await stack.enter_async_context(open_gate(settings, acts=tools is not None))
        app = console_app(
            health,
            [*all_pages(sampling, stories), actions_page(gate, database)],
            prefix=settings.console_prefix,
            runbooks=settings.runbook_base,
            gate=gate,
            tools=tools,
        )
        await stack.enter_async_context(open_listener(app, settings.host, settings.port, draining=health.draining))
        letters = DeadLetterAge(database, health)
        await run_until_stopped(
            health,
            sampling.run(health, settings.sample_interval),
            letters.run(),
            keep_index(health, database, settings, sampling.wrote),
        )


def main() -> None:
    """Run the process."""
    run_process(serve)


if __name__ == "__main__":
    main()
