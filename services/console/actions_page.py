"""The page Actions: who you are, what is paused, and a form for each action."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from exhaust.errors import ExhaustError
from exhaust.postgres.pauses import find_pauses
from services.console.access import READ_ONLY
from services.console.pages import Page
from services.console.roles import CALLER, NOBODY

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.postgres.database import Database
    from exhaust.postgres.pauses import Pause
    from services.console.access import Gate
    from services.console.pages import Document


_WITHIN: Final = timedelta(seconds=1.5)


def actions_page(gate: Gate, database: Database) -> Page:
    """Build the page."""

    async def document(request: web.Request) -> Document:
        caller, unseen = request.get(CALLER, NOBODY), []
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                pauses = [_shown(found) for found in await find_pauses(database)]
        except ExhaustError as error:
            pauses, unseen = None, [error.message]
        except TimeoutError:
            pauses, unseen = None, ["the database does not answer"]
        return {
            "who": caller.name,
            "role": caller.role.value,
            "toldby": caller.told_by.value,
            "mayact": gate.may_act(caller),
            "readonly": "" if gate.acts else READ_ONLY,
            "csrftoken": gate.form_token(request),
            "pauses": pauses,
            "unseen": unseen,
        }

    return Page("/actions", "Actions", "actions.html", document)


def _shown(pause: Pause) -> Document:
    target = pause.target
    return {
        "kind": target.kind.value,
        "name": target.name,
        "named": target.shown,
        "since": pause.since.isoformat(),
        "by": pause.actor,
        "reason": pause.reason,
    }
