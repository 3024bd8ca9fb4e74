"""A generator of raw telemetry: the same plan gives the same objects, named as the bucket names them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from random import Random
from typing import Final, TypeAlias, TypeVar

import orjson
from isal import isal_zlib

from telemetry.workflows.backend_services import backend_services
from telemetry.workflows.content_editor import content_editor
from telemetry.workflows.mobile_app import mobile_app
from telemetry.workflows.session import Event, Owner, Session
from telemetry.workflows.web_portal import web_portal

_Workflow: TypeAlias = Callable[[Session], Iterator[Event]]
_Value = TypeVar("_Value")

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_DAY_MS: Final = 86_400_000
_SESSIONS_AT_ONCE: Final = 32
_MOST_TAGS_PER_SESSION: Final = 2
_NO_CHANNEL: Final = ""

# How often each workflow runs, in sevenths of all sessions.
_WORKFLOWS: Final[tuple[_Workflow, ...]] = (*(mobile_app,) * 3, *(web_portal,) * 2, content_editor, backend_services)

# Longer than any session lasts, so that a device with the right clock never sends an event from the future.
_BEFORE_RECEIPT: Final = timedelta(hours=1)
_LATE_SHARE: Final = 0.1
_LATEST_DAYS: Final = 30

_COMPRESSION_LEVEL: Final = 2
_GZIP_WBITS: Final = 31  # a window of 32 KiB (15), in gzip's frame (+ 16)
_BATCH: Final = 100  # events that are compressed at once: each call has a price
_NAMES: Final = ("maple", "river", "harbour", "meadow", "lantern", "orchard", "summit", "willow")


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """How much telemetry to generate, and for whom.

    Attributes:
        seed: plans with different seeds give different events.
        days: the UTC days on which the events are received, each once. The objects of a day depend on no other day.
        channels: how many channels send events. Some sessions name no channel, so they are the default channel's.
        partners: how many partners there are. About half of the sessions are a partner's.
        tags: how many program tags there are. A session has up to two.
        events_per_day: exact number of events of each day.
        objects_per_day: number of objects over which they are spread evenly, in the order received.

    Raises:
        ValueError: a number is negative, a day is given twice, or there is less than one object a day or more than
            one a millisecond.
    """

    seed: int
    days: tuple[date, ...]
    channels: int
    partners: int
    tags: int
    events_per_day: int
    objects_per_day: int

    def __post_init__(self) -> None:
        if min(self.channels, self.partners, self.tags, self.events_per_day) < 0:
            raise ValueError("a generator plan has no negative numbers of channels, partners, tags or events")
        if not 1 <= self.objects_per_day <= _DAY_MS:
            raise ValueError(f"objects_per_day is {self.objects_per_day}, not from 1 to {_DAY_MS}")
        if len(set(self.days)) != len(self.days):
            raise ValueError("a generator plan has each day once")

    @property
    def channel_ids(self) -> tuple[str, ...]:
        """Ids of the channels: names and numbers of organisations in turn."""
        return tuple(f"01268{n:014d}" if n % 2 else f"in.example.{_name(n)}" for n in range(self.channels))

    @property
    def partner_ids(self) -> tuple[str, ...]:
        """Ids of the partners."""
        return tuple(f"org.example.partner.{_name(n)}" for n in range(self.partners))

    @property
    def tag_ids(self) -> tuple[str, ...]:
        """The program tags."""
        return tuple(f"program-{_name(n)}" for n in range(self.tags))


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of the raw telemetry bucket.

    Attributes:
        name: `<YYYY-MM-DD>-<epoch ms>.json.gz`; the time at which its last event had been received.
        day: the UTC day of that time.
        data: gzip of one JSON event a line.
    """

    name: str
    day: date
    data: bytes


def generate(plan: GeneratorPlan) -> Iterator[RawObject]:
    """Generate the objects of a plan, day by day, in the order of their names within a day.

    Events carry their time of receipt as `syncts`, in ms. One session in ten comes days late: its `ets` are of 1 to 30
    days before.

    The lines are the same wherever and whenever they are made; the compressed bytes are the same for one version of
    the compression library on one kind of processor. No more than one compressed object is in memory.
    """
    for day in plan.days:
        events = _Day(plan, day).events()
        for number in range(plan.objects_per_day):
            size = _events_before(plan, number + 1) - _events_before(plan, number)
            data = _gzip_lines(islice(events, size))
            last_ms = _midnight_ms(day) + (number + 1) * _DAY_MS // plan.objects_per_day - 1
            yield RawObject(f"{day.isoformat()}-{last_ms}.json.gz", day, data)


class _Day:
    """The events that the platform receives on one day, spread evenly, with many sessions open at once."""

    def __init__(self, plan: GeneratorPlan, day: date) -> None:
        self._seed = f"{plan.seed} {day.isoformat()}"
        self._random = Random(self._seed)
        self._midnight_ms = _midnight_ms(day)
        self._total = plan.events_per_day
        self._received = 0
        self._session_number = 0
        self._unplanned = plan.events_per_day
        self._workflows = _shuffled_cycle(self._random, _WORKFLOWS)
        self._channels = _shuffled_cycle(self._random, (*plan.channel_ids, _NO_CHANNEL))
        self._partners = _shuffled_cycle(
            self._random, (*((partner,) for partner in plan.partner_ids), *((),) * plan.partners)
        )
        self._tags = _shuffled_cycle(self._random, plan.tag_ids)

    def events(self) -> Iterator[Event]:
        """Yield the events of the day in the order received, each with its time of receipt."""
        sessions = self._sessions()
        open_sessions = list(islice(sessions, _SESSIONS_AT_ONCE))
        while open_sessions:
            place = int(self._random.random() * len(open_sessions))
            event = next(open_sessions[place], None)
            if event is not None:
                event["syncts"] = self._now_ms()
                self._received += 1
                yield event
            elif (follower := next(sessions, None)) is not None:
                open_sessions[place] = follower
            else:
                del open_sessions[place]

    def _now_ms(self) -> int:
        return self._midnight_ms + self._received * _DAY_MS // self._total

    def _sessions(self) -> Iterator[Iterator[Event]]:
        """Start sessions until all events of the day are planned."""
        while self._unplanned:
            events = list(next(self._workflows)(self._session()))
            if len(events) > self._unplanned:
                # Only a visit to the portal may stop anywhere: every other workflow has an END to come.
                events = list(islice(web_portal(self._session()), self._unplanned))
            self._unplanned -= len(events)
            yield iter(events)

    def _session(self) -> Session:
        self._session_number += 1
        seed = f"{self._seed} {self._session_number}"
        return Session(self._owner(), started=self._device_clock(), seed=seed)

    def _owner(self) -> Owner:
        tags = islice(self._tags, int(self._random.random() * (_MOST_TAGS_PER_SESSION + 1)))
        return Owner(next(self._channels), next(self._partners, ()), tuple(tags))

    def _device_clock(self) -> datetime:
        late = self._random.random() < _LATE_SHARE
        days = 1 + int(self._random.random() * _LATEST_DAYS) if late else 0
        return _EPOCH + timedelta(milliseconds=self._now_ms(), days=-days) - _BEFORE_RECEIPT


def _shuffled_cycle(random: Random, values: Sequence[_Value]) -> Iterator[_Value]:
    """Yield values for ever in random order: each comes once before any comes again. Yield nothing of no values."""
    while values:
        yield from random.sample(values, len(values))


def _gzip_lines(events: Iterator[Event]) -> bytes:
    """Write one JSON event a line, compressed on the way; the header holds neither a time nor a name."""
    compressor = isal_zlib.compressobj(_COMPRESSION_LEVEL, wbits=_GZIP_WBITS)
    packed = []
    while batch := [orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE) for event in islice(events, _BATCH)]:
        packed.append(compressor.compress(b"".join(batch)))
    return b"".join((*packed, compressor.flush()))


def _events_before(plan: GeneratorPlan, number: int) -> int:
    """Count the events that are received before the object of that number, from 0, begins; rounded up."""
    return -(-number * plan.events_per_day // plan.objects_per_day)


def _midnight_ms(day: date) -> int:
    return (day - _EPOCH.date()).days * _DAY_MS


def _name(number: int) -> str:
    """Return a word for each number, with a numeral behind it once the words are used up."""
    turn, place = divmod(number, len(_NAMES))
    return f"{_NAMES[place]}{turn + 1}" if turn else _NAMES[place]
