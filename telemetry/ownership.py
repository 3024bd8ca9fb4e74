"""The owners of an event: its channel and its partners, and its tags, by telemetry version.

| `ver` | partners | tags | channel |
|---|---|---|---|
| 1.0 | `partnerid` of the objects in `tags` | none | none |
| 2.0 | `partnerid` and `partner` of the objects in `tags` | their `genie` and `dims` | `channel` |
| 2.1, 2.2 | `etags.partner` | `etags.app`, `etags.dims` | `channel` |
| 3.x, other | `id` of `context.cdata` of type `partner` | strings in `tags`, `genie` of objects | `context.channel` |
| derived | `etags.partner` | see below | `dimensions.channel`, else `channel` |

Derived events are summaries that the platform computes from other events. Their `eid` begins with `ME_`, and their
`ver` is that of the summary. Their `context` belongs to the pipeline that computed them, and so does its channel. Their
tags are those of 3.x and of 2.2, `genieTag`, and `dimensions.tag` unless it is `all`.
In every version `metadata.partner_name` holds resource ids of partners, already hashed.

Real telemetry is looser than its schemas. These rules settle what the schemas leave open:

- Beside the `eid` of derived events, `ver` alone decides, even when the event looks like another version. A `ver` that
  is a number counts as it is written. Any other `ver`, or none, is read as 3.x.
- An id is a string. Where one is expected, a list of them counts too, however deeply nested; anything else is ignored.
- Where a list is expected, a bare value counts as a list of one.
- Blank ids are ignored; otherwise ids are kept and compared as they are written, with their case and white space.
- A channel that is blank or missing is the default channel, and so is that of every event of version 1.0. Of a list of
  channels the first one counts. A channel that is something else, such as a number or an object, is no channel at all.
- `cdata` is also written `cData`. Its type `partner` is written in any case, but without white space around it.
- In 3.x a string in `tags` is a tag as it stands, even one that looks like serialised JSON.

A change to these rules changes archives, and other files have to follow: CONTRIBUTING.md names each of them under
"Add a telemetry version".
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from telemetry.resource_ids import canonical_resource_id, resource_id

_Event: TypeAlias = Mapping[str, object]
_Reader: TypeAlias = Callable[[_Event], Iterable[str]]


class Ownership:
    """The owners of one event. A property reads the event when it is asked: for most events the channel is enough.

    Attributes:
        channel: the channel's id, never blank; the default channel when the event names none; None when what stands in
            its place is no id.
    """

    __slots__ = ("_event", "_rules", "channel")

    def __init__(self, event: _Event, default_channel: str) -> None:
        self._event = event
        try:
            rules = _rules_by_text.get((event["eid"], event.get("ver")))
        except TypeError:  # a list or an object
            rules = None
        self._rules = rules or _rules_of(event)
        channel = self._rules.channel(event)
        if isinstance(channel, str) and channel and not channel.isspace():  # nearly always
            self.channel: str | None = channel
        else:
            self.channel = _first_id(channel, default_channel)

    @property
    def partners(self) -> frozenset[str]:
        """Ids of the partners, as they are written."""
        return frozenset(self._rules.partners(self._event))

    @property
    def owners(self) -> tuple[str, ...]:
        """Ids of the owners, as they are written: the channel, if there is one, then the partners."""
        partners = self._rules.partners(self._event)
        return (self.channel, *partners) if self.channel is not None else tuple(partners)

    @property
    def partner_resources(self) -> frozenset[str]:
        """Resource ids of partners that stand in the event already hashed, in canonical form."""
        return frozenset(map(canonical_resource_id, _ids(_member(self._event, "metadata", "partner_name"))))

    @property
    def tags(self) -> frozenset[str]:
        """Program tags, as they are written."""
        return frozenset(self._rules.tags(self._event))

    @property
    def resources(self) -> frozenset[str]:
        """Resource ids of the owners, in canonical form."""
        return frozenset(map(resource_id, self.owners)) | self.partner_resources

    def has_any_tag(self, tags: Collection[str]) -> bool:
        """Return True when the event has at least one of the tags, and for no tags, as that filters nothing."""
        return not tags or not self.tags.isdisjoint(tags)


def is_event(value: object) -> TypeGuard[dict[str, object]]:
    """Return True for a decoded line that is an event: a JSON object with an `eid`, whatever its value."""
    return isinstance(value, dict) and "eid" in value


def ownership(event: Mapping[str, object], *, default_channel: str) -> Ownership:
    """Return the owners of an event. It takes any JSON values anywhere and raises nothing.

    Args:
        event: a decoded line for which `is_event` is True.
        default_channel: id of the channel of events that name none.
    """
    return Ownership(event, default_channel)


@dataclass(frozen=True, slots=True)
class _Rules:
    """The places where events of one version name their owners."""

    partners: _Reader
    tags: _Reader
    channel: Callable[[_Event], object]


def _flat(value: object) -> list[object]:
    """Return the items of a value that may be missing, bare, a list or a list of lists, in the order written."""
    if not isinstance(value, list):
        return [] if value is None else [value]
    for item in value:
        if isinstance(item, list):
            return _flattened(value)
    return value


def _flattened(value: list[object]) -> list[object]:
    found: list[object] = []
    # A stack of its own, because lines may nest deeper than Python recurses.
    pending = value[::-1]
    while pending:
        item = pending.pop()
        if isinstance(item, list):
            pending.extend(reversed(item))
        else:
            found.append(item)
    return found


def _ids(value: object) -> list[str]:
    if isinstance(value, str):  # nearly always
        return [] if not value or value.isspace() else [value]
    return [item for item in _flat(value) if isinstance(item, str) and item and not item.isspace()]


def _first_id(value: object, default: str) -> str | None:
    """Return the first id in a value, the default when the value is blank or missing, and None when it is no id."""
    items = _flat(value)
    blank = all(item is None or (isinstance(item, str) and (not item or item.isspace())) for item in items)
    return default if blank else next(iter(_ids(value)), None)


def _objects(value: object) -> list[dict[str, object]]:
    return [item for item in _flat(value) if isinstance(item, dict)]


def _member(event: _Event, parent: str, key: str) -> object:
    """Read a member of an object in the event; None without such an object or member."""
    holder = event.get(parent)
    return holder.get(key) if isinstance(holder, dict) else None


def _nothing(_event: _Event) -> list[str]:
    return []


def _own_channel(event: _Event) -> object:
    return event.get("channel")


def _derived_channel(event: _Event) -> object:
    channel = _member(event, "dimensions", "channel")
    return event.get("channel") if _first_id(channel, "") == "" else channel


def _context_channel(event: _Event) -> object:
    context = event.get("context")
    return context.get("channel") if isinstance(context, dict) else None


def _in(parent: str, *keys: str) -> _Reader:
    """Read the ids at some keys of one object of the event."""
    return lambda event: [found for key in keys for found in _ids(_member(event, parent, key))]


def _in_tags(*keys: str) -> _Reader:
    """Read the ids at some keys of the objects in `tags`."""
    return lambda event: [
        found for tag in _objects(event.get("tags")) for key in keys if key in tag for found in _ids(tag[key])
    ]


def _in_cdata(kind: str) -> _Reader:
    """Read the ids of the correlation data of one type."""

    def of(items: Sequence[object]) -> list[str]:
        found: list[str] = []
        for item in items:
            if isinstance(item, dict):
                written = item.get("type")
                if isinstance(written, str) and len(written) == len(kind) and written.lower() == kind:
                    found += _ids(item.get("id"))
            elif isinstance(item, list):
                found += of(_flattened(item))
        return found

    def read(event: _Event) -> Sequence[str]:
        context = event.get("context")
        if not isinstance(context, dict):
            return ()
        data = context.get("cdata")
        if "cData" in context:
            data = [data, context["cData"]]
        if not data:
            return ()
        return of(data if isinstance(data, list) else (data,))

    return read


def _tags_and_genie(event: _Event) -> list[str]:
    """Read the tags of 3.x: the strings in `tags`, and the values at `genie` of its objects."""
    return [*_ids(event.get("tags")), *_GENIE(event)]


def _tags_of_derived(event: _Event) -> list[str]:
    """Read the tags of derived events: those of 3.x and 2.2, `genieTag`, and the dimension that is not `all`."""
    dimension = [tag for tag in _ids(_member(event, "dimensions", "tag")) if tag != _EVERY_TAG]
    return [*_tags_and_genie(event), *_ETAGS_RULES.tags(event), *_ids(event.get("genieTag")), *dimension]


def _rules_of(event: _Event) -> _Rules:
    """Return the rules of an event, and remember them for the next one with the same `eid` and `ver`."""
    eid, version = event["eid"], event.get("ver")
    if isinstance(eid, str) and eid.startswith(_DERIVED_EID):
        rules = _DERIVED_RULES
    elif isinstance(version, str | float):
        rules = _RULES.get(str(version), _LATEST_RULES)
    else:
        rules = _LATEST_RULES
    # Only text, as numbers of several types are equal; and little, as anybody may write an `eid`.
    characters = len(eid) + len(version) if isinstance(eid, str) and isinstance(version, str) else None
    if characters is not None and characters <= _MAX_REMEMBERED_CHARACTERS and len(_rules_by_text) < _MAX_REMEMBERED:
        _rules_by_text[eid, version] = rules
    return rules


_MAX_REMEMBERED: Final = 1024
_MAX_REMEMBERED_CHARACTERS: Final = 64
_DERIVED_EID: Final = "ME_"
_EVERY_TAG: Final = "all"
_GENIE: Final = _in_tags("genie")
_ETAGS_RULES: Final = _Rules(partners=_in("etags", "partner"), tags=_in("etags", "app", "dims"), channel=_own_channel)
_LATEST_RULES: Final = _Rules(partners=_in_cdata("partner"), tags=_tags_and_genie, channel=_context_channel)
_DERIVED_RULES: Final = _Rules(partners=_in("etags", "partner"), tags=_tags_of_derived, channel=_derived_channel)
_RULES: Final[Mapping[str, _Rules]] = {
    "1.0": _Rules(partners=_in_tags("partnerid"), tags=_nothing, channel=_nothing),
    "2.0": _Rules(partners=_in_tags("partnerid", "partner"), tags=_in_tags("genie", "dims"), channel=_own_channel),
    "2.1": _ETAGS_RULES,
    "2.2": _ETAGS_RULES,
}
# Every version that real telemetry has; 3.0 stands for all that are read by the latest rules.
KNOWN_VERSIONS: Final = (*_RULES, "3.0")
# A few dozen kinds of events make nearly all of telemetry, and looking at each event costs a tenth of the reading.
_rules_by_text: Final[dict[tuple[object, object], _Rules]] = {}
