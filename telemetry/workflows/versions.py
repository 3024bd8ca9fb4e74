"""The events of the workflows in every telemetry version: made in 3.0, and written as older programs wrote them.

The events of 1.0 to 2.2 are those that the platform itself converts into the ones of 3.0. METRICS have no older form.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, TypeAlias

from telemetry.workflows.session import Event

VERSIONS: Final = ("1.0", "2.0", "2.1", "2.2", "3.0", "3.1")
_Data: TypeAlias = Mapping[str, Any]
_Eks: TypeAlias = Callable[[_Data, _Data], dict[str, object]]  # of edata and object

_WITH_ETAGS: Final = frozenset({"2.1", "2.2"})
_INDIA: Final = timezone(timedelta(hours=5, minutes=30))
_APP, _PLAYER, _PORTAL, _EDITOR, _SERVICE = "GE", "OE", "CP", "CE", "BE"
_PROGRAMS: Final = {
    "example.app": _APP,
    "example.app.player": _PLAYER,
    "example-portal": _PORTAL,
    "example-portal.editor": _EDITOR,
}
_MILLISECONDS: Final = 1000


def in_version(events: Iterator[Event], version: str) -> Iterator[Event]:
    """Yield the events of a workflow as a program of that version writes them.

    Args:
        events: of version 3.0.
        version: one of VERSIONS.
    """
    for event in events:
        if version.startswith("3."):
            yield {**event, "ver": version}
        elif (older := _older(event, version)) is not None:
            yield older


def _older(event: Event, version: str) -> Event | None:
    context: Any = event["context"]
    edata: Any = event["edata"]
    program = _PROGRAMS.get(context["pdata"]["pid"], _SERVICE)
    kind = str(event["eid"])
    found = _EVENTS.get((program, kind)) or _EVENTS.get((program, f"{kind} {edata.get('type')}"))
    if found is None:
        return None
    eid, eks = found
    written: Event = {"eid": eid, "ver": version, "mid": event["mid"], "uid": _member(event, "actor", "id")}
    written |= _owners(event, version)
    written |= _of_mobile(event, eid, version) if program in {_APP, _PLAYER} else _of_web(event, program)
    about: Any = event["object"]
    payload = eks(edata, about)
    if program == _SERVICE:
        payload["context"] = {"sid": context["sid"], "did": "", "uid": "", "cid": ""}
    return written | {"edata": {"eks": payload}}


def _of_mobile(event: Event, eid: str, version: str) -> Event:
    """Return session, device, time and program as the mobile app wrote them; its start knew no session yet."""
    context: Any = event["context"]
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(str(event["ets"])))
    of_content = eid.startswith(_PLAYER)
    return {
        "sid": "" if eid == "GE_GENIE_START" else context["sid"],
        "did": context["did"],
        "ts": moment.astimezone(_INDIA).isoformat(timespec="milliseconds"),
        **({} if version == "1.0" else {"ets": event["ets"]}),
        "gdata": {"id": _member(event, "object", "id") if of_content else context["pdata"]["pid"], "ver": "1"},
    }


def _of_web(event: Event, program: str) -> Event:
    context: Any = event["context"]
    written: Event = {"ets": event["ets"], "pdata": context["pdata"], "cdata": context["cdata"]}
    if program != _SERVICE:
        content = _member(event, "object", "id") if program == _EDITOR else ""
        written["context"] = {"sid": context["sid"], "content_id": content or ""}
    return written


def _owners(event: Event, version: str) -> Event:
    """Return channel, partners and tags where that version has them."""
    context: Any = event["context"]
    partners = [item["id"] for item in context["cdata"] if item["type"] == "partner"]
    channel: Event = {"channel": context["channel"]} if version != "1.0" else {}
    if version in _WITH_ETAGS:
        return {**channel, "etags": {"partner": partners, "app": event["tags"], "dims": []}}
    return {**channel, "tags": [*({"partnerid": partner} for partner in partners), {"genie": event["tags"]}]}


def _member(event: Event, parent: str, key: str) -> object:
    holder = event[parent]
    return holder.get(key) if isinstance(holder, Mapping) else None


def _started(edata: _Data, _about: _Data) -> dict[str, object]:
    return {"stageid": edata.get("pageid", ""), "mode": edata.get("mode", "")}


def _length(edata: _Data, _about: _Data) -> dict[str, object]:
    return {"length": edata["duration"]}


def _touched(edata: _Data, _about: _Data) -> dict[str, object]:
    return {"type": edata["type"], "id": edata["id"], "stageid": edata["pageid"], "subtype": "", "values": []}


def _as_it_is(edata: _Data, _about: _Data) -> dict[str, object]:
    return dict(edata)


# The older event of each program's event, with what it says.
_EVENTS: Final[Mapping[tuple[str, str], tuple[str, _Eks]]] = {
    (_APP, "START app"): ("GE_GENIE_START", lambda edata, _: {"dspec": edata["dspec"], "loc": ""}),
    (_APP, "END app"): ("GE_GENIE_END", _length),
    (_APP, "START session"): ("GE_SESSION_START", lambda _, __: {"loc": ""}),
    (_APP, "END session"): ("GE_SESSION_END", _length),
    (_APP, "IMPRESSION"): ("GE_INTERACT", lambda edata, _: {"type": "SHOW", "id": "", "stageid": edata["pageid"]}),
    (_APP, "INTERACT"): ("GE_INTERACT", _touched),
    (_APP, "FEEDBACK"): ("GE_FEEDBACK", _as_it_is),
    (_APP, "APP_UPDATE"): ("GE_GENIE_UPDATE", _as_it_is),
    (_PLAYER, "START"): ("OE_START", _started),
    (_PLAYER, "END"): ("OE_END", _length),
    (_PLAYER, "IMPRESSION"): ("OE_NAVIGATE", lambda edata, _: {"stageid": "", "stageto": edata["pageid"], "type": ""}),
    (_PLAYER, "INTERACT"): ("OE_INTERACT", _touched),
    (_PLAYER, "ASSESS"): ("OE_ASSESS", _as_it_is),
    (_PLAYER, "LEVEL_SET"): ("OE_LEVEL_SET", _as_it_is),
    (_PORTAL, "START"): ("CP_SESSION_START", lambda edata, _: {"uaspec": edata.get("uaspec", {})}),
    (_PORTAL, "IMPRESSION"): ("CP_IMPRESSION", _as_it_is),
    (_PORTAL, "INTERACT"): ("CP_INTERACT", _touched),
    (_EDITOR, "START"): ("CE_START", lambda _, __: {"defaultPlugins": [], "client": {}}),
    (_EDITOR, "END"): ("CE_END", lambda edata, _: {"duration": edata["duration"] * _MILLISECONDS}),
    (_EDITOR, "INTERACT"): ("CE_INTERACT", lambda edata, _: {"type": "click", "target": edata["id"], "stage": ""}),
    (_EDITOR, "PLUGIN_LIFECYCLE"): ("CE_PLUGIN_LIFECYCLE", _as_it_is),
    (_SERVICE, "AUDIT"): (
        "BE_OBJECT_LIFECYCLE",
        lambda edata, about: {**about, "state": edata["state"], "prevstate": edata["prevstate"]},
    ),
    (_SERVICE, "ACCESS"): ("BE_ACCESS", lambda edata, _: {**edata, "path": edata["title"], "rid": edata["title"]}),
    (_SERVICE, "LOG"): ("BE_JOB_LOG", _as_it_is),
    (_SERVICE, "SEARCH"): ("BE_CONTENT_SEARCH", _as_it_is),
}
