"""The workflow of the mobile app: app, then session, then one player after another."""

from collections.abc import Iterator
from typing import Final

from telemetry.workflows.edata import impression, interact
from telemetry.workflows.session import Event, Producer, Session

_HOME: Final = Producer("prod.example.app", "example.app", "4.2.1", "home")
_PLAYER: Final = Producer("prod.example.app", "example.app.player", "4.2.1", "contentplayer")

_PAGES: Final = ("home", "library", "courses", "profile", "search")
_MODELS: Final = ("Samsung SM-J200G", "Xiaomi Mi A1", "Motorola Moto G5", "Oppo CPH1809")
_MOST_PLAYERS: Final = 3
_MOST_IN_CONTENT: Final = 8


def mobile_app(session: Session) -> Iterator[Event]:
    """Yield the events of the app from its start to its end, in the order in which they happen."""
    device = {"os": "Android 13", "make": session.pick(_MODELS), "mem": 4, "idisk": 24.6, "edisk": 0, "scrn": 5.5}
    opening = {"type": "app", "mode": "", "pageid": "home", "dspec": device}
    return session.span(_HOME, opening, _app(session))


def _app(session: Session) -> Iterator[Event]:
    yield session.event(_HOME, "IMPRESSION", impression("view", "splash"))
    yield from session.span(_HOME, {"type": "session", "mode": "", "pageid": "home"}, _session(session))
    if session.happens(0.3):
        yield session.event(_HOME, "FEEDBACK", {"type": "app", "rating": session.number(1, 5), "comments": ""})
    if session.happens(0.1):
        yield session.event(_HOME, "APP_UPDATE", {"mode": "auto", "ver": "4.2.2", "size": session.number(1, 60)})


def _session(session: Session) -> Iterator[Event]:
    yield from _browse(session)
    for _ in range(session.number(1, _MOST_PLAYERS)):
        content = session.content()
        yield session.event(_HOME, "INTERACT", interact("TOUCH", "play", "content-detail"), about=content)
        opening = {"type": "player", "mode": "play", "pageid": "player"}
        yield from session.span(_PLAYER, opening, _play(session, content), about=content)
        yield session.event(_HOME, "IMPRESSION", impression("detail", "content-detail"), about=content)
        yield from _browse(session)


def _browse(session: Session) -> Iterator[Event]:
    for _ in range(session.number(1, 2)):
        page = session.pick(_PAGES)
        yield session.event(_HOME, "IMPRESSION", impression("list", page))
        yield session.event(_HOME, "INTERACT", interact("TOUCH", "card", page))


def _play(session: Session, content: dict[str, object]) -> Iterator[Event]:
    for index in range(1, session.number(2, _MOST_IN_CONTENT)):
        page = f"stage-{index}"
        yield session.event(_PLAYER, "IMPRESSION", impression("workflow", page), about=content)
        if session.happens(0.5):
            yield session.event(_PLAYER, "INTERACT", interact("TOUCH", "next", page), about=content)
        else:
            yield session.event(_PLAYER, "ASSESS", _assess(session, index), about=content)
        if session.happens(0.1):
            level = {"category": "reading", "current": str(index), "max": str(_MOST_IN_CONTENT)}
            yield session.event(_PLAYER, "LEVEL_SET", level, about=content)


def _assess(session: Session, index: int) -> dict[str, object]:
    passed = session.happens(0.7)
    item = {"id": f"question-{session.number(1, 200)}", "type": "mcq", "maxscore": 1, "title": f"Question {index}"}
    return {
        "item": item,
        "index": index,
        "pass": "Yes" if passed else "No",
        "score": int(passed),
        "resvalues": [{"1": str(session.number(1, 4))}],
        "duration": session.number(1, 60),
    }
