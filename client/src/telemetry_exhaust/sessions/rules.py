"""The standard workflows as one table: which event of which telemetry version begins, ends or fills which part.

The `eid` alone decides, since 3.x has other names than 1.0 to 2.2; `ver` is only told. What a 3.x event says stands in
`edata`, what an older one says in `edata.eks`.

| workflow | drawn as | 3.x | 1.0 to 2.2 |
|---|---|---|---|
| mobile app | app, in it session, in it player | START, END: app, session, player | GE_GENIE_…, GE_SESSION_…, OE_… |
| web portal | session without an END | START: session | CP_SESSION_START |
| content editor | such a session, in it editor | START, END: editor | CE_START, CE_END |
| backend services | service, in it ACCESS, in it LOG | AUDIT: Ready, Stopped | BE_OBJECT_LIFECYCLE |

Real telemetry has more, and these rules settle it:

- Events that name the same session (`sid`) belong together. Those of the old mobile app (GE_…, OE_…) belong together by
  device (`did`), since there a session begins within its app. What names no session belongs to its device, and what
  names neither to its program. Within that the device's clock decides, then the order in which they were read.
- A START of a type that is open begins it anew: the one before has no END. Parts of a type that the documents do not
  draw (a page of a textbook, a QR scanner) are named as they are written, and each object has its own.
- An END ends the open part of its type and object that began last. Parts within that are open have no END.
- The last event of a part tells how long it lasted at least; nothing is said of when it ended.
"""

from __future__ import annotations

from typing import Final, NamedTuple

APP: Final = "app"
SESSION: Final = "session"
PLAYER: Final = "player"
EDITOR: Final = "editor"
SERVICE: Final = "service"
PLAY: Final = "contentplay"  # a play as the old app around the player tells it, under the name that 3.x gave it
JOB: Final = "job"
PARTNER_SESSION: Final = "partner session"
UNNAMED: Final = "unnamed"  # the type of a START or END that names none

MOBILE_APP: Final = "mobile app"
WEB_PORTAL: Final = "web portal"
CONTENT_EDITOR: Final = "content editor"
BACKEND_SERVICES: Final = "backend services"

# Of what an event does in a workflow.
PLAIN: Final = 0
START: Final = 1
END: Final = 2
SCREEN: Final = 3
REQUEST: Final = 4
LOG: Final = 5
NEW_USER: Final = 6

# Names of 3.x types that mean a part of another name: the player of the mobile app writes `content`.
TYPES: Final = {"content": PLAYER}

# Types of which one at most is open; others are told apart by their object.
SINGLE: Final = frozenset({APP, SESSION, PLAYER, EDITOR, SERVICE, PLAY, JOB, UNNAMED})
# Types whose END need not name the object of their START.
NAMELESS: Final = frozenset({APP, SESSION, SERVICE, JOB, UNNAMED})

# The parts that may be around one, where not any may.
AROUND: Final[dict[str, tuple[str, ...]]] = {
    APP: (),
    SERVICE: (),
    SESSION: (APP,),
    EDITOR: (SESSION, APP),
    PLAY: (SESSION, APP),
}
# The part that the documents draw around one.
DRAWN_IN: Final = {SESSION: APP, PLAYER: SESSION, PLAY: SESSION, EDITOR: SESSION}
# The workflow of a tree by its root; of a session that alone does not tell (see trees.workflow_of).
WORKFLOWS: Final = {APP: MOBILE_APP, EDITOR: CONTENT_EDITOR, SERVICE: BACKEND_SERVICES, JOB: BACKEND_SERVICES}

DERIVED: Final = "ME_"  # begins the `eid` of summaries, which are of no session
MOBILE_1_2: Final = ("GE_", "OE_")  # begin those of the old mobile app

_Path = tuple[str, ...]


class Rule(NamedTuple):
    """What an event of one `eid` does.

    Attributes:
        part: the type that it begins or ends; "" where the event says it.
        about: where it names its object.
        value: where it names its screen, or at an END how long the part lasted.
        unit: of that, in seconds.
        only: what `type` must be.
    """

    role: int
    part: str = ""
    about: _Path = ()
    value: _Path = ()
    unit: float = 1.0
    only: str = ""


_OBJECT: Final = ("object", "id")
_CONTENT: Final = ("gdata", "id")
_EDITED: Final = ("context", "content_id")
_GAME: Final = ("edata", "eks", "gid")
_PARTNER: Final = ("edata", "eks", "sid")
_LENGTH: Final = ("edata", "eks", "length")
_MILLISECONDS: Final = 0.001

RULES: Final[dict[str, Rule]] = {
    # 3.x
    "START": Rule(START, about=_OBJECT),
    "END": Rule(END, about=_OBJECT, value=("edata", "duration")),
    "IMPRESSION": Rule(SCREEN, value=("edata", "pageid")),
    "ACCESS": Rule(REQUEST),
    "LOG": Rule(LOG),
    # the mobile app of 1.0 to 2.2
    "GE_GENIE_START": Rule(START, APP),
    "GE_START": Rule(START, APP),
    "GE_GENIE_END": Rule(END, APP, value=_LENGTH),
    "GE_END": Rule(END, APP, value=_LENGTH),
    "GE_SESSION_START": Rule(START, SESSION),
    "GE_SESSION_END": Rule(END, SESSION, value=_LENGTH),
    "GE_LAUNCH_GAME": Rule(START, PLAY, about=_GAME),
    "GE_GAME_END": Rule(END, PLAY, about=_GAME, value=_LENGTH),
    "GE_START_PARTNER_SESSION": Rule(START, PARTNER_SESSION, about=_PARTNER),
    "GE_STOP_PARTNER_SESSION": Rule(END, PARTNER_SESSION, about=_PARTNER, value=_LENGTH),
    "GE_INTERACT": Rule(SCREEN, value=("edata", "eks", "stageid"), only="SHOW"),
    "OE_START": Rule(START, PLAYER, about=_CONTENT),
    "OE_END": Rule(END, PLAYER, about=_CONTENT, value=_LENGTH),
    "OE_NAVIGATE": Rule(SCREEN, value=("edata", "eks", "stageto")),
    # the portal and the editor of 1.0 to 2.2
    "CP_SESSION_START": Rule(START, SESSION),
    "CP_SESSION_END": Rule(END, SESSION),
    "CP_IMPRESSION": Rule(SCREEN, value=("edata", "eks", "pageid")),
    "CE_START": Rule(START, EDITOR, about=_EDITED),
    "CE_END": Rule(END, EDITOR, about=_EDITED, value=("edata", "eks", "duration"), unit=_MILLISECONDS),
    # the services of 1.0 to 2.2
    "BE_ACCESS": Rule(REQUEST),
    "BE_JOB_LOG": Rule(LOG),
    "BE_JOB_START": Rule(START, JOB),
    "BE_JOB_END": Rule(END, JOB),
}

# Changes of an object, which begin or end a service, or make a user: where they name the type of the object.
LIFECYCLES: Final[dict[str, _Path]] = {
    "AUDIT": ("object", "type"),
    "BE_OBJECT_LIFECYCLE": ("edata", "eks", "type"),
}
# What such a change does, by type of the object and new state, both in lower case.
CHANGES: Final[dict[tuple[str, str], Rule]] = {
    ("service", "ready"): Rule(START, SERVICE),
    ("service", "stopped"): Rule(END, SERVICE),
    ("user", "create"): Rule(NEW_USER),
}
