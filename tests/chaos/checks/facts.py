"""All that the servers hold and the processes wrote, gathered from outside, for the checker."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.attacks.store import Store
    from tests.chaos.kafka_log import Committed, Stored
    from tests.chaos.rig import Rig

REQUESTS, DAYS, COMPLETIONS = "dataset.requests", "dataset.days", "dataset.completions"
LETTERS: Final = "dataset.dead-letters"
GROUPS: Final = {"aggregator-plan": REQUESTS, "aggregator-build": DAYS, "status": COMPLETIONS}
OPEN: Final = {"submitted", "inprogress"}
_ROWS: Final = """
SELECT r.request_id::text AS id, r.state::text AS state, r.attempt, r.outcome::text AS outcome, r.username,
       r.partner_id, r.dataset_id, r.resource, r.from_date::text AS first, r.to_date::text AS last, r.tags,
       u.client_name, r.parked_at IS NOT NULL AS parked
FROM requests r JOIN data_exhaust_users u ON u.id = r.user_id
"""
_MOVES: Final = """
SELECT request_id::text AS id, attempt, state, md5(outcome::text) AS outcome FROM chaos.moves ORDER BY number
"""
_TABLES: Final = """
SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A request as PostgreSQL has it."""

    id: str
    state: str
    attempt: int
    outcome: Mapping[str, Any]
    username: str
    asked: tuple[str, str, str, str, str, tuple[str, ...]]
    client: str
    parked: bool


@dataclass(frozen=True, slots=True)
class Move:
    """A change of a request's row."""

    id: str
    attempt: int
    state: str
    outcome: str | None


@dataclass(slots=True)
class Facts:
    """The state of the system at one moment when things are quiet.

    Attributes:
        inbox: source, id and digest of each event that counted.
        topics: all records by topic.
        ends: by topic, the next offset of each partition.
        commits: all offsets ever committed, in order.
        objects: sizes of the objects of the exhaust bucket, by key.
        uploads: keys of open multipart uploads.
        texts: every row of every table as text, for the search of secrets.
        logs: by name of the file.
        letters: for each dead letter, the topic, partition and offset of its record.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    moves: list[Move] = field(default_factory=list)
    outbox: list[str] = field(default_factory=list)
    inbox: set[tuple[str, str, bytes]] = field(default_factory=set)
    topics: dict[str, list[Stored]] = field(default_factory=dict)
    ends: dict[str, dict[int, int]] = field(default_factory=dict)
    commits: list[Committed] = field(default_factory=list)
    objects: dict[str, int] = field(default_factory=dict)
    uploads: list[str] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)

    def committed(self) -> dict[tuple[str, str, int], int]:
        """The last offset of each group and partition."""
        return {(commit.group, commit.topic, commit.partition): commit.offset for commit in self.commits}

    def lag(self) -> dict[tuple[str, str, int], int]:
        """What each group has not yet committed, where that is anything."""
        committed = self.committed()
        return {
            (group, topic, partition): end - committed.get((group, topic, partition), 0)
            for group, topic in GROUPS.items()
            for partition, end in self.ends.get(topic, {}).items()
            if end != committed.get((group, topic, partition), 0)
        }

    def moves_of(self) -> dict[str, list[Move]]:
        found: defaultdict[str, list[Move]] = defaultdict(list)
        for move in self.moves:
            found[move.id].append(move)
        return found


async def gather_facts(rig: Rig) -> Facts:
    """Read everything."""
    facts = Facts()
    await _read_database(rig, facts)
    _read_kafka(rig, facts)
    bucket = rig.stack.s3.exhaust_bucket
    facts.objects = await list_objects(rig.store, bucket)
    facts.uploads = await list_uploads(rig.store, bucket)
    facts.logs = {path.name: path.read_bytes() for path in sorted(rig.logs.glob("*.log"))}
    return facts


async def _read_database(rig: Rig, facts: Facts) -> None:
    async with rig.database.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        for row in await connection.fetch(_ROWS):
            asked = (
                *(row["dataset_id"], row["partner_id"], row["resource"], row["first"], row["last"]),
                tuple(sorted(row["tags"])),
            )
            facts.rows[row["id"]] = Row(
                row["id"],
                row["state"],
                row["attempt"],
                orjson.loads(row["outcome"] or "{}"),
                row["username"],
                asked,
                row["client_name"],
                row["parked"],
            )
        facts.moves = [Move(*row) for row in await connection.fetch(_MOVES)]
        facts.outbox = [row["id"] for row in await connection.fetch("SELECT request_id::text AS id FROM outbox")]
        inbox = await connection.fetch("SELECT source, event_id, digest FROM inbox")
        facts.inbox = {(row["source"], row["event_id"], row["digest"]) for row in inbox}
        for [table] in await connection.fetch(_TABLES):
            rows = await connection.fetch(f'SELECT t::text FROM "{table}" t')
            facts.texts[table] = [row[0] for row in rows]


def _read_kafka(rig: Rig, facts: Facts) -> None:
    log = rig.topics
    facts.topics = {topic: list(log.records(topic)) for topic in (REQUESTS, DAYS, COMPLETIONS, LETTERS)}
    facts.ends = {topic: log.ends(topic) for topic in facts.topics}
    facts.commits = list(log.commits())


def event_identity(record: Stored) -> tuple[str, str, bytes]:
    """Return what makes a completion event this one: who sent it, its id, and all that it says."""
    kind = record.header("ce_type").encode()
    return (
        record.header("ce_source"),
        record.header("ce_id"),
        hashlib.sha256(kind + b"\0" + (record.value or b"")).digest(),
    )


def origin_of(letter: Stored) -> tuple[str, int, int]:
    """Return the topic, partition and offset from which a dead letter came."""
    numbers = [letter.header(name) for name in ("dl_partition", "dl_offset")]
    partition, offset = (int(number) if number.isdigit() else -1 for number in numbers)
    return letter.header("dl_topic"), partition, offset


async def list_objects(store: Store, bucket: str, prefix: str = "") -> dict[str, int]:
    """Return the sizes of all objects by key."""
    found: dict[str, int] = {}
    token = ""
    while True:
        more = f"continuation-token={quote(token, safe='')}&" if token else ""
        status, body = await store.call("GET", bucket, query=f"{more}list-type=2&prefix={quote(prefix, safe='')}")
        assert status == 200, body
        text = body.decode()
        entries = re.findall("<Key>([^<]*)</Key>.*?<Size>([0-9]+)</Size>", text)
        found |= {unescape(key): int(size) for key, size in entries}
        following = re.search("<NextContinuationToken>([^<]+)</NextContinuationToken>", text)
        if following is None:
            return found
        token = unescape(following[1])


async def list_uploads(store: Store, bucket: str) -> list[str]:
    """Return the keys of the multipart uploads that are neither complete nor aborted."""
    status, body = await store.call("GET", bucket, query="uploads=")
    assert status == 200, body
    return [unescape(key) for key in re.findall("<Upload>.*?<Key>([^<]*)</Key>", body.decode(), re.DOTALL)]
