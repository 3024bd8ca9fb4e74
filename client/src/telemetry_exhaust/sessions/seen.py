"""What the trees need to know of an event, wherever its version says it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from sys import intern
from typing import Any, Final, NamedTuple, Optional

from telemetry_exhaust.event_values import value_at
from telemetry_exhaust.sessions.rules import (
    CHANGES,
    END,
    LIFECYCLES,
    LOG,
    MOBILE_1_2,
    PLAIN,
    REQUEST,
    RULES,
    SCREEN,
    START,
    TYPES,
    UNNAMED,
    Rule,
)

# The fields of Seen as a bare tuple, which sorts and is written faster.
Record = tuple[str, int, int, str, int, str, str, str, Optional[float], int, str, str, str]

_LATEST_MS: Final = 253_402_300_800_000  # the year 10000
_MOST_SECONDS: Final = 1e12
_LONGEST: Final = 256  # of an id or a name that is kept; a longer one is damaged
_DEVICE: Final = "\0device "
_CORRELATED: Final = frozenset({REQUEST, LOG})
_PROGRAM: Final = "\0program "
_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):?(\d\d))")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Seen(NamedTuple):
    """What the trees need to know of an event. It sorts by group, time and place.

    Attributes:
        group: what it belongs to: a session, a device, or a program.
        time: when it happened, in ms since 1970.
        place: where it was read.
        role: what it does in a workflow, one of those in rules.
        part: the type of the part that it begins or ends.
        about: its object, or its request.
        said: the seconds that an END tells.
        mid: a number that stands for its `mid`; 0 when it has none.
        session, version: of the START of a part.
        shown: its text in a drawing, where that is more than its eid.
    """

    group: str
    time: int
    place: int
    eid: str
    role: int
    part: str
    about: str
    screen: str
    said: float | None
    mid: int
    session: str
    version: str
    shown: str


def record_of(event: dict[str, Any], place: int) -> Record | None:
    """Return what the trees need of an event; None when it does not say when it happened."""
    time = event.get("ets")
    if time.__class__ is not int or not 0 < time < _LATEST_MS:
        time = _time(event)
        if time is None:
            return None
    eid = event["eid"]
    eid = intern(eid[:_LONGEST]) if eid.__class__ is str else "?"
    mid = event.get("mid")
    context = event.get("context")
    if context.__class__ is not dict:
        context = event
    sid = context.get("sid")
    if sid.__class__ is not str or not sid:
        sid = _session(event)
    key = sid[:_LONGEST]
    if not key or eid.startswith(MOBILE_1_2):
        key = _device(event) or key or _program(event)
    stamp = hash(mid) if mid and mid.__class__ is str else 0
    rule = RULES.get(eid) or (_change(event, eid) if eid in LIFECYCLES else None)
    if rule is None:
        if eid in LIFECYCLES:
            return (key, time, place, eid, PLAIN, "", "", "", None, stamp, "", "", _change_shown(event, eid))
        return (key, time, place, eid, PLAIN, "", "", "", None, stamp, "", "", "")
    if rule.role == SCREEN:
        page = "" if rule.only and value_at(event, ("edata", "eks", "type")) != rule.only else _text(event, rule.value)
        return (key, time, place, eid, SCREEN if page else PLAIN, "", "", page, None, stamp, "", "", "")
    if rule.role in _CORRELATED:
        about = _correlated(event, "request")
        return (key, time, place, eid, rule.role, "", about, "", None, stamp, "", "", "")
    return _boundary(event, rule, (key, time, place, eid), stamp, sid)


def group_name(key: str) -> str:
    """Return the name of a group as people read it."""
    return key.lstrip("\0")


def _boundary(event: dict[str, Any], rule: Rule, head: tuple[str, int, int, str], stamp: int, sid: str) -> Record:
    """Return what is needed of the START or END of a part, or of the change of an object."""
    eid = head[3]
    part = rule.part
    if eid in LIFECYCLES:
        shown = _change_shown(event, eid)
    elif part:
        shown = eid
    else:
        written, mode = _text(event, ("edata", "type")), _text(event, ("edata", "mode"))
        part = TYPES.get(written, written) or UNNAMED
        shown = f'{eid} (type: "{written}"' + (f', mode: "{mode}")' if mode else ")")
    about = _text(event, rule.about) or (_text(event, ("edata", "gid")) if rule.role in {START, END} else "")
    said = _seconds(value_at(event, rule.value), rule.unit) if rule.value else None
    version = event.get("ver")
    shown_version = version[:_LONGEST] if isinstance(version, str) else str(version or "")[:_LONGEST]
    return (*head, rule.role, intern(part), about, "", said, stamp, sid[:_LONGEST], intern(shown_version), shown)


def _change(event: dict[str, Any], eid: str) -> Rule | None:
    state = _text_in(_body(event), "state")
    return CHANGES.get((_text(event, LIFECYCLES[eid]).lower(), state.lower()))


def _change_shown(event: dict[str, Any], eid: str) -> str:
    body = _body(event)
    states = [f', {name}: "{value}"' for name in ("state", "prevstate") if (value := _text_in(body, name))]
    return f"{eid} (object: {_text(event, LIFECYCLES[eid])}{''.join(states)})"


def _body(event: dict[str, Any]) -> dict[str, Any]:
    body = event.get("edata")
    inner = body.get("eks") if isinstance(body, dict) else None
    found = inner if isinstance(inner, dict) else body
    return found if isinstance(found, dict) else {}


def _text(event: dict[str, Any], path: tuple[str, ...]) -> str:
    value = value_at(event, path) if path else None
    return value[:_LONGEST] if isinstance(value, str) else ""


def _text_in(holder: dict[str, Any], name: str) -> str:
    value = holder.get(name)
    return value[:_LONGEST] if isinstance(value, str) else ""


def _seconds(value: object, unit: float) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return float(value) * unit if 0 <= value < _MOST_SECONDS else None


def _session(event: dict[str, Any]) -> str:
    """Return the session of an event, where its context does not name it: older places, then correlation data."""
    for path in (("sid",), ("edata", "eks", "context", "sid")):
        if found := _text(event, path):
            return found
    return _correlated(event, "session")


def _device(event: dict[str, Any]) -> str:
    found = _text(event, ("context", "did")) or _text(event, ("did",))
    return f"{_DEVICE}{found}" if found else ""


def _program(event: dict[str, Any]) -> str:
    holders = (value_at(event, ("context", "pdata")), event.get("pdata"), event.get("gdata"))
    for holder in holders:
        if isinstance(holder, dict):
            names = (_text_in(holder, "id"), _text_in(holder, "pid"), _text_in(holder, "model"))
            return _PROGRAM + " ".join(name for name in names if name)
    return _PROGRAM


def _correlated(event: dict[str, Any], kind: str) -> str:
    """Return the id of the first correlation data of one type."""
    context = event.get("context")
    holders = (context, event) if isinstance(context, dict) else (event,)
    for holder in holders:
        for name in ("cdata", "cData"):
            items = holder.get(name)
            for item in items if isinstance(items, list) else (items,):
                if isinstance(item, dict):
                    written = item.get("type")
                    if isinstance(written, str) and written.lower() == kind and (found := _text_in(item, "id")):
                        return found
    return ""


def _time(event: dict[str, Any]) -> int | None:
    """Return when an event happened: `ets`, or else `ts` of 1.0 to 2.2, ISO 8601 with its offset."""
    ets = event.get("ets")
    if isinstance(ets, (int, float)) and not isinstance(ets, bool) and 0 < ets < _LATEST_MS:
        return int(ets)
    written = event.get("ts")
    found = _ISO.fullmatch(written) if isinstance(written, str) else None
    if not found:
        return None
    clock, part, sign, hours, minutes = found.groups()
    try:
        since = datetime.fromisoformat(f"{clock}+00:00") - _EPOCH
    except ValueError:
        return None
    offset = timedelta(hours=int(hours), minutes=int(minutes)) if sign else timedelta()
    ms = (since - offset if sign == "+" else since + offset) // timedelta(milliseconds=1)
    ms += int((part or "0").ljust(3, "0")[:3])
    return ms if 0 < ms < _LATEST_MS else None
