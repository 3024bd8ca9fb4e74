"""The page Actions: who you are, what is paused, and a form for each action."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exhaust.lag.findings import pause_document
from exhaust.postgres.pauses import find_pauses
from services.console.access import READ_ONLY
from services.console.pages import Page
from services.console.reading import Reading
from services.console.roles import CALLER, NOBODY

if TYPE_CHECKING:
    from aiohttp import web

    from exhaust.postgres.database import Database
    from services.console.access import Gate
    from services.console.pages import Document


def actions_page(gate: Gate, database: Database) -> Page:
    """Build the page."""

    async def document(request: web.Request) -> Document:
        caller, reading = request.get(CALLER, NOBODY), Reading()
        pauses = await reading.see(find_pauses(database), "what is paused")
        return {
            "who": caller.name,
            "role": caller.role.value,
            "toldby": caller.told_by.value,
            "mayact": gate.may_act(caller),
            "readonly": "" if gate.acts else READ_ONLY,
            "csrftoken": gate.form_token(request),
            "pauses": None if pauses is None else [pause_document(pause) for pause in pauses],
            "unseen": reading.unseen,
        }

    return Page("/actions", "Actions", "actions.html", document)
