"""Templates of raw telemetry, made of the standard workflows, so that many lines can be generated fast.

A line is about 1 KB: an event of telemetry/workflows, with the fields that a platform's pipeline adds behind it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Final

import orjson

from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Owner, Session
from telemetry.workflows.web_portal import web_portal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemetry.workflows.session import Event

Template = bytes
_WORKFLOWS: Final = (mobile_app, web_portal, mobile_app, content_editor, web_portal, mobile_app, backend_services)
_SCRIPTS: Final = 210  # sessions that are made once and filled in again and again
_OPEN_SESSIONS: Final = 64  # their events come in between one another
_PARTNERS: Final = 12
_PARTNER_SHARE: Final = 0.3
_FOREIGN_SHARE: Final = 0.05  # of sessions in whose events another channel's id stands too, as that of the content
_LONGEST_DELAY_MS: Final = 90_000
_CHANNEL: Final = "-channel-"
_PARTNER: Final = "-partner-"
_PIPELINE: Final = (
    b',"syncts":%(received)d,"@timestamp":"%(stamp)s","type":"events",'
    b'"flags":{"dd_processed":true,"ldata_retrieved":false,"pp_validation_processed":true,"pp_duplicate":false},'
    b'"devicedata":{"statecustomcode":"29","state":"Example","districtcustom":"2901","city":"Riverton",'
    b'"countrycode":"XX","country":"Exampleland","statecustomname":"Example","iso3166statecode":"XX-EX",'
    b'"firstaccess":%(first_access)d,"devicespec":{"os":"Android 13","cpu":"abi: arm64-v8a","scrn":"5.46"}}}\n'
)


def scripts() -> list[list[Template]]:
    """Return the lines of some sessions, in order, to be filled in by `bytes % mapping`."""
    made = []
    started = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(_SCRIPTS):
        session = Session(Owner(_CHANNEL, (_PARTNER,)), started=started, seed=f"script {number}")
        workflow = _WORKFLOWS[number % len(_WORKFLOWS)]
        made.append([_template(event, session.id) for event in workflow(session)])
    return made


def lines(
    scripts: Sequence[Sequence[Template]], channels: Sequence[str], *, seed: str, start_ms: int
) -> Iterator[bytes]:
    """Yield lines without end, each with its line feed; equal arguments give equal lines.

    Args:
        scripts: as of `scripts()`.
        channels: who sends them, in equal shares.
        seed: decides every choice.
        start_ms: when the first event is received, in ms since 1970; the others follow by a millisecond each.
    """
    random = Random(seed)
    sessions = [_session(random, scripts, channels, start_ms) for _ in range(_OPEN_SESSIONS)]
    received = start_ms
    while True:
        place = int(random.random() * _OPEN_SESSIONS)
        line = next(sessions[place], None)
        if line is None:
            sessions[place] = _session(random, scripts, channels, received)
            continue
        template, values = line
        received += 1
        values[b"mid"] = b"%032x" % random.getrandbits(128)
        values[b"happened"] = received - 1 - int(random.random() * _LONGEST_DELAY_MS)
        values[b"received"] = received
        yield template % values


def _session(
    random: Random, scripts: Sequence[Sequence[Template]], channels: Sequence[str], now_ms: int
) -> Iterator[tuple[Template, dict[bytes, object]]]:
    """Yield the templates of one session in order, each with the values that all of them share."""
    script = random.choice(scripts)
    channel = random.choice(channels)
    origin = random.choice(channels) if random.random() < _FOREIGN_SHARE else channel
    kind, name = (b"partner", b"org.example.partner") if random.random() < _PARTNER_SHARE else (b"program", b"program")
    values: dict[bytes, object] = {
        b"channel": channel.encode(),
        b"origin": origin.encode(),
        b"about": b'{"type":"%s","id":"%s.%02d"}' % (kind, name, random.randrange(_PARTNERS)),
        b"session": b"%032x" % random.getrandbits(128),
        b"device": b"%064x" % random.getrandbits(256),
        b"user": b"%032x" % random.getrandbits(128),
        b"first_access": now_ms - random.randrange(10**10),
        b"stamp": datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="milliseconds").encode(),
    }
    return ((template, values) for template in script)


def _template(event: Event, session: str) -> Template:
    """Return the JSON of an event, with names in brackets where one event differs from the next."""
    text = orjson.dumps(event).replace(b"%", b"%%")
    text = text.replace(session.encode(), b"%(session)s")
    text = text.replace(b'{"type":"partner","id":"%s"}' % _PARTNER.encode(), b"%(about)s")
    text = text.replace(b'"rollup":{"l1":"%s"}' % _CHANNEL.encode(), b'"rollup":{"l1":"%(origin)s"}')
    text = text.replace(_CHANNEL.encode(), b"%(channel)s")
    text = re.sub(rb'("mid":"[A-Z_]+:)[0-9a-f]{32}', rb"\1%(mid)s", text)
    text = re.sub(rb'"ets":[0-9]+', b'"ets":%(happened)d', text)
    text = re.sub(rb'"did":"[0-9a-f]{32}"', b'"did":"%(device)s"', text)
    text = re.sub(rb'"actor":\{"id":"[0-9a-f]{32}"', b'"actor":{"id":"%(user)s"', text)
    return text[:-1] + _PIPELINE
