"""A second reading of sessions, which shares no code with the partners' package: counts of one file of events.

It works group by group on small dicts, and asks at each END and START which of the parts of the group are still open;
the reader walks a stack of open parts. What it knows of the telemetry versions it knows in its own words.
"""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

Counts = Counter[tuple[str, ...]]
Fact = dict[str, Any]

OLD = {
    "app": (r"GE_(GENIE_)?START", r"GE_(GENIE_)?END"),
    "session": (r"(GE|CP)_SESSION_START", r"(GE|CP)_SESSION_END"),
    "player": ("OE_START", "OE_END"),
    "contentplay": ("GE_LAUNCH_GAME", "GE_GAME_END"),
    "editor": ("CE_START", "CE_END"),
    "job": ("BE_JOB_START", "BE_JOB_END"),
    "partner session": ("GE_START_PARTNER_SESSION", "GE_STOP_PARTNER_SESSION"),
}
ONE_AT_A_TIME = {"app", "session", "player", "editor", "service", "contentplay", "job", "unnamed"}
WITHOUT_NAME = {"app", "session", "service", "job", "unnamed"}
ONLY_IN = {
    "app": set(),
    "service": set(),
    "session": {"app"},
    "editor": {"session", "app"},
    "contentplay": {"session", "app"},
}


def count_file(path: Path) -> Counts:
    """Count what is in a gzipped file; see count_lines."""
    return count_lines(gzip.decompress(path.read_bytes()))


def count_lines(data: bytes) -> Counts:
    """Count the parts in lines by type and state, ENDs without a START, screens, loose and odd events."""
    counts: Counts = Counter()
    groups: dict[str, list[Fact]] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "eid" not in event:
            counts["unreadable",] += 1
        elif str(event["eid"]).startswith("ME_"):
            counts["derived",] += 1
        else:
            counts["events",] += 1
            fact = fact_of(event, number)
            if fact["when"] is None:
                counts["untimed",] += 1
            else:
                groups.setdefault(fact["group"], []).append(fact)
    for facts in groups.values():
        counts.update(count_group(sorted(facts, key=lambda fact: (fact["when"], fact["number"]))))
    return counts


def fact_of(event: dict[str, Any], number: int) -> Fact:
    eid = event["eid"]
    said = at(event, "edata.eks") or at(event, "edata") or {}
    session = next(filter(None, (text(event, place) for place in ("context.sid", "sid", "edata.eks.context.sid"))), "")
    session = session or correlated(event)
    device = text(event, "context.did") or text(event, "did")
    program: dict[str, Any] = next(
        (at(event, place) for place in ("context.pdata", "pdata", "gdata") if at(event, place)), {}
    )
    programs = " ".join(str(program[key]) for key in ("id", "pid", "model") if program.get(key))
    order = [f"session {session}" if session else "", f"device {device}" if device else ""]
    if re.match("GE_|OE_", eid):
        order.reverse()
    does, kind, about = part_of(event, eid, said)
    return {
        "group": next(filter(None, order), f"program {programs}"),
        "when": when(event),
        "number": number,
        "mid": text(event, "mid"),
        "does": does,
        "kind": kind,
        "about": about,
        "old": bool(re.match("GE_|OE_", eid)),
        "screen": screen(event, eid),
    }


def part_of(event: dict[str, Any], eid: str, said: dict[str, Any]) -> tuple[str, str, str]:
    """Return what an event does to which part, and of which object."""
    if eid in {"START", "END"}:
        kind = text(event, "edata.type")
        kind = "player" if kind == "content" else kind or "unnamed"
        return eid, kind, text(event, "object.id") or text(event, "edata.gid")
    for kind, patterns in OLD.items():
        for does, pattern in zip(("START", "END"), patterns, strict=True):
            if re.fullmatch(pattern, eid):
                place = {"OE": "gdata.id", "CE": "context.content_id"}.get(eid[:2], "")
                return does, kind, text(event, place) or str(said.get("sid" if "PARTNER" in eid else "gid") or "")
    if eid in {"AUDIT", "BE_OBJECT_LIFECYCLE"}:
        thing = text(event, "object.type" if eid == "AUDIT" else "edata.eks.type").lower()
        state = str(said.get("state") or "").lower()
        if thing == "service" and state in {"ready", "stopped"}:
            return "START" if state == "ready" else "END", "service", ""
    return "", "", ""


def count_group(facts: list[Fact]) -> Counts:
    counts: Counts = Counter()
    parts: list[Fact] = []  # all that have begun; each knows what is around it, and how it ended
    seen: set[tuple[int, str]] = set()
    for fact in facts:
        if fact["mid"] and (fact["when"], fact["mid"]) in seen:
            counts["repeated",] += 1
            continue
        seen.add((fact["when"], fact["mid"]))
        outside = all(part["ended"] for part in parts)
        if fact["does"] == "START":
            begin(parts, fact)
        elif fact["does"] == "END" and (found := to_be_ended(parts, fact)) is not None:
            end(parts, found, "finished")
        else:
            counts["orphaned", fact["kind"]] += fact["does"] == "END"
            counts["loose",] += outside
            counts["screens",] += fact["screen"]
    for part in parts:
        if not part["ended"]:
            end(parts, part, "unfinished")
        drawn_so = part["kind"] == "session" and part["around"] is None and not part["old"]
        counts[part["kind"], "without END" if drawn_so and part["ended"] == "unfinished" else part["ended"]] += 1
    return counts


def begin(parts: list[Fact], fact: Fact) -> None:
    kind = fact["kind"]
    for part in parts:
        if not part["ended"] and part["kind"] == kind and (kind in ONE_AT_A_TIME or part["about"] == fact["about"]):
            end(parts, part, "unfinished")
    around = [part for part in parts if not part["ended"] and part["kind"] in ONLY_IN.get(kind, {part["kind"]})]
    parts.append({**fact, "ended": "", "around": around[-1] if around else None})


def to_be_ended(parts: list[Fact], fact: Fact) -> Fact | None:
    same = [part for part in parts if not part["ended"] and part["kind"] == fact["kind"]]
    if fact["about"] and fact["kind"] not in WITHOUT_NAME:
        named = [part for part in same if part["about"] == fact["about"]]
        same = named or [part for part in same if not part["about"]]
    return same[-1] if same else None


def end(parts: list[Fact], part: Fact, how: str) -> None:
    part["ended"] = how
    for other in parts:
        if other["around"] is part and not other["ended"]:
            end(parts, other, "unfinished")


def screen(event: dict[str, Any], eid: str) -> bool:
    shown = {"IMPRESSION": "edata.pageid", "OE_NAVIGATE": "edata.eks.stageto", "CP_IMPRESSION": "edata.eks.pageid"}
    if eid == "GE_INTERACT" and text(event, "edata.eks.type") == "SHOW":
        return bool(text(event, "edata.eks.stageid"))
    return eid in shown and bool(text(event, shown[eid]))


def when(event: dict[str, Any]) -> int | None:
    ets = event.get("ets")
    if isinstance(ets, int | float) and ets > 0:
        return int(ets)
    try:
        return int(datetime.fromisoformat(event["ts"]).timestamp() * 1000)
    except (KeyError, TypeError, ValueError):
        return None


def correlated(event: dict[str, Any]) -> str:
    for place in ("context.cdata", "context.cData", "cdata", "cData"):
        for item in filter(lambda item: isinstance(item, dict), at(event, place) or ()):
            if str(item.get("type")).lower() == "session" and isinstance(item.get("id"), str):
                return str(item["id"])
    return ""


def text(event: dict[str, Any], place: str) -> str:
    value = at(event, place) if place else None
    return value if isinstance(value, str) else ""


def at(event: Any, place: str) -> Any:
    for key in place.split("."):
        event = event.get(key) if isinstance(event, dict) else None
    return event


def sample_files(folder: Path) -> Iterator[Path]:
    """Return the files of events below a folder."""
    return (path for path in sorted(folder.rglob("*.gz")) if path.name.endswith((".jsonl.gz", ".json.gz")))
