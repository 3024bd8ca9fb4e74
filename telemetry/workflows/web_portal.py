"""The workflow of the web portal: a session without an END."""

from collections.abc import Iterator
from typing import Final

from telemetry.workflows.edata import audit, impression, interact
from telemetry.workflows.session import Event, Producer, Session

_PORTAL: Final = Producer("prod.example.portal", "example-portal", "5.0.0", "home")
_PLATFORM: Final = Producer("prod.example.platform", "user-service", "5.0.0", "user", is_system=True)

_PAGES: Final = ("home", "explore", "course-page", "workspace", "profile")
_TARGETS: Final = ("menu", "card", "filter", "enrol", "share")
_AGENT: Final = {"agent": "Firefox", "ver": "128.0", "system": "Linux", "platform": "Gecko", "raw": "Mozilla/5.0"}


def web_portal(session: Session) -> Iterator[Event]:
    """Yield the events of a visit to the portal, in the order in which they happen.

    A visit has no END, so its first events alone are a complete visit too.
    """
    if session.happens(0.2):
        user = {"id": session.new_id(), "type": "User"}
        created = audit(("firstName", "email"), state="Create", previous="")
        yield session.event(_PLATFORM, "AUDIT", created, about=user)
    opening = {"type": "session", "mode": "", "pageid": "home", "uaspec": _AGENT}
    yield session.event(_PORTAL, "START", opening)
    for _ in range(session.number(2, 8)):
        page = session.pick(_PAGES)
        yield session.event(_PORTAL, "IMPRESSION", impression("view", page))
        for _ in range(session.number(0, 3)):
            yield session.event(_PORTAL, "INTERACT", interact("CLICK", session.pick(_TARGETS), page))
