"""The workflow of the content editor: from the portal into the editor, then to the review of the content."""

from collections.abc import Iterator
from typing import Final

from telemetry.workflows.edata import access, audit, impression, interact
from telemetry.workflows.session import Event, Producer, Session

_PORTAL: Final = Producer("prod.example.portal", "example-portal", "5.0.0", "workspace")
_EDITOR: Final = Producer("prod.example.portal", "example-portal.editor", "3.1.0", "contenteditor")
_SEARCH: Final = Producer("prod.example.platform", "search-service", "1.0", "search", is_system=True)
_CONTENT: Final = Producer("prod.example.platform", "content-service", "1.0", "content", is_system=True)

_PLUGINS: Final = ("org.example.image", "org.example.audio", "org.example.text", "org.example.quiz")
_QUERIES: Final = ("tree", "river", "numbers", "alphabet")
_STAGE: Final = "stage-editor"


def content_editor(session: Session) -> Iterator[Event]:
    """Yield the events of writing one piece of content, in the order in which they happen.

    Only the editor sends an END; the session of the portal around it sends none.
    """
    content = session.content("Content")
    visit = [{"type": "session", "id": session.id}]
    yield session.event(_PORTAL, "START", {"type": "session", "mode": "", "pageid": "workspace"})
    yield session.event(_PORTAL, "IMPRESSION", impression("workflow", "create-content"), cdata=visit)
    yield session.event(_PORTAL, "INTERACT", interact("CLICK", "create", "create-content"), cdata=visit)
    created = audit(("name", "contentType"), state="Draft", previous="")
    yield session.event(_CONTENT, "AUDIT", created, about=content)
    opening = {"type": "editor", "mode": "content", "pageid": _STAGE}
    yield from session.span(_EDITOR, opening, _edit(session, content), about=content)


def _edit(session: Session, content: dict[str, object]) -> Iterator[Event]:
    for _ in range(session.number(1, 3)):
        yield from _add_asset(session, content)
    yield session.event(_EDITOR, "INTERACT", interact("CLICK", "save", _STAGE), about=content)
    milliseconds, size = session.number(20, 900), session.number(200, 9000)
    saved = access("PATCH", "/content/v1/update", status=200, milliseconds=milliseconds, size=size)
    yield session.event(_CONTENT, "ACCESS", saved, about=content)
    yield session.event(_EDITOR, "INTERACT", interact("CLICK", "submit-for-review", _STAGE), about=content)
    review = audit(("status",), state="Review", previous="Draft")
    yield session.event(_CONTENT, "AUDIT", review, about=content)


def _add_asset(session: Session, content: dict[str, object]) -> Iterator[Event]:
    """Yield the events of searching an asset and adding it to the content; sometimes also of removing it again."""
    search_id = session.new_id()
    found = [{"type": "session", "id": session.id}, {"type": "search", "id": search_id}]
    yield session.event(_EDITOR, "INTERACT", interact("CLICK", "asset-browser", _STAGE), about=content)
    yield session.event(_SEARCH, "SEARCH", _search(session, search_id), cdata=found)
    asset, plugin = session.content("Asset"), session.pick(_PLUGINS)
    yield session.event(_EDITOR, "PLUGIN_LIFECYCLE", _plugin("add", plugin, asset), about=content, cdata=found)
    if session.happens(0.4):
        yield session.event(_EDITOR, "PLUGIN_LIFECYCLE", _plugin("remove", plugin, asset), about=content)


def _search(session: Session, search_id: str) -> dict[str, object]:
    return {
        "type": "content",
        "query": session.pick(_QUERIES),
        "filters": {"contentType": ["Asset"], "status": ["Live"]},
        "sort": {},
        "correlationid": search_id,
        "size": session.number(1, 500),
        "topn": [{"identifier": session.content("Asset")["id"]} for _ in range(3)],
    }


def _plugin(kind: str, plugin: str, asset: dict[str, object]) -> dict[str, object]:
    return {"type": kind, "pluginid": plugin, "pluginver": "1.0", "objectid": asset["id"], "stage": _STAGE}
