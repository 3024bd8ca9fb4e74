"""Sessions: they give their events an actor, a device, a program, an owner and a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Final, TypeAlias, TypeVar

Event: TypeAlias = dict[str, object]
Value = TypeVar("Value")

_LONGEST_PAUSE_MS: Final = 20_000
_ID_BITS: Final = 128
_CONTENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of the events of a session.

    Attributes:
        channel: the channel's id; blank when the events name none.
        partners: ids of the partners, written into the correlation data of each event.
        tags: program tags.
    """

    channel: str
    partners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Producer:
    """A program that sends events.

    Attributes:
        id: the product that it is part of.
        pid: the program itself.
        version: its version.
        env: the part of the product in which its events happen.
        is_system: true when the program itself acts, False when its user does.
    """

    id: str
    pid: str
    version: str
    env: str
    is_system: bool = False


class Session:
    """One session: one user on one device, whose clock advances with each event.

    Args:
        owner: the owner of the events.
        started: what the device's clock shows at the start; the first event comes up to 20 s later.
        seed: decides every choice, also those that the workflows make: the same seed gives the same session.
    """

    def __init__(self, owner: Owner, *, started: datetime, seed: str) -> None:
        self._owner = owner
        self._now_ms = int(started.timestamp() * 1000)
        self._random = Random(seed)
        self._tags = list(owner.tags)
        self._partners = [{"type": "partner", "id": partner} for partner in owner.partners]
        self._rollup = {"l1": owner.channel} if owner.channel else {}
        self.id = self.new_id()
        self._user = self.new_id()
        self._device = self.new_id()

    def event(
        self,
        producer: Producer,
        eid: str,
        edata: Mapping[str, object],
        *,
        about: Mapping[str, object] | None = None,
        cdata: Sequence[Mapping[str, str]] = (),
    ) -> Event:
        """Make the next event, in version 3.0.

        Args:
            producer: The program that sends it.
            eid: The kind of event.
            edata: What happened.
            about: The object that it happened to, if any.
            cdata: Correlation data beside the partners.
        """
        self._now_ms += 1 + int(self._random.random() * _LONGEST_PAUSE_MS)
        return {
            "eid": eid,
            "ets": self._now_ms,
            "ver": "3.0",
            "mid": f"{eid}:{self._random.getrandbits(_ID_BITS):032x}",
            "actor": {"id": producer.pid, "type": "System"}
            if producer.is_system
            else {"id": self._user, "type": "User"},
            "context": {
                "channel": self._owner.channel,
                "pdata": {"id": producer.id, "pid": producer.pid, "ver": producer.version},
                "env": producer.env,
                "sid": self.id,
                "did": self._device,
                "cdata": [*cdata, *self._partners],
                "rollup": self._rollup,
            },
            "object": about or {},
            "edata": edata,
            "tags": self._tags,
        }

    def span(
        self,
        producer: Producer,
        opening: Mapping[str, object],
        inner: Iterable[Event],
        *,
        about: Mapping[str, object] | None = None,
    ) -> Iterator[Event]:
        """Yield a START, some events, and the END that belongs to the START.

        Args:
            producer: The program that sends START and END.
            opening: What START says; END repeats its type, mode and page.
            inner: The events between. They must be made as they are asked for, so that the clock goes in order.
            about: The object that is started and ended, if any.
        """
        yield self.event(producer, "START", opening, about=about)
        started_ms = self._now_ms
        yield from inner
        same = {key: opening[key] for key in ("type", "mode", "pageid") if key in opening}
        seconds = (self._now_ms - started_ms) / 1000
        yield self.event(producer, "END", {**same, "duration": seconds}, about=about)

    def number(self, lowest: int, highest: int) -> int:
        """Choose a whole number; both ends are possible."""
        # Not randint: it costs several times as much, and this is called for every event.
        return lowest + int(self._random.random() * (highest - lowest + 1))

    def pick(self, values: Sequence[Value]) -> Value:
        """Choose one of the values."""
        return values[int(self._random.random() * len(values))]

    def happens(self, probability: float) -> bool:
        """Return True with a probability from 0 to 1."""
        return self._random.random() < probability

    def new_id(self) -> str:
        """Make an id of 128 random bits in hex digits."""
        return f"{self._random.getrandbits(_ID_BITS):032x}"

    def content(self, kind: str = "Content") -> dict[str, object]:
        """Choose a piece of content as the object of events, with the textbook and the unit that hold it."""
        number = self.number(1, _CONTENTS)
        book, unit = f"do_3129{number % 20:017d}", f"do_3130{number % 100:017d}"
        identifier = f"do_3131{number:017d}"
        return {"id": identifier, "type": kind, "ver": "1", "rollup": {"l1": book, "l2": unit, "l3": identifier}}
