"""Registrations: whose a client name is, and which keys under it are proven to be the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exhaust.domain.client_names import name_keys
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, record_action

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.postgres.database import Connection

PUBLIC: Final = "public"

# Of several at once under one name, or under names that look alike, the unique columns let one through; the others wait
# for it here.
_INSERT_FIRST: Final = """
INSERT INTO data_exhaust_users
    (client_name, license_key_name, registered_by, proven_at, proven_by, name_look_alike, name_case)
SELECT $1::text, $2::text, $3::text, now(), 'first', $4::bytea, $5::bytea
WHERE NOT EXISTS (SELECT FROM data_exhaust_users WHERE client_name = $1)
ON CONFLICT DO NOTHING
RETURNING id, true AS proven
"""
_INSERT_FURTHER: Final = """
INSERT INTO data_exhaust_users (client_name, license_key_name, registered_by, proven_at, proven_by)
SELECT $1::text, $2::text, $3::text, CASE WHEN shown.proven THEN now() END, CASE WHEN shown.proven THEN 'key' END
FROM (
    SELECT EXISTS (
        SELECT FROM valid_license_keys k JOIN data_exhaust_users u ON u.id = k.user_id
        WHERE u.id = $4::bigint AND u.client_name = $1 AND u.proven_at IS NOT NULL
    ) AS proven
) shown
WHERE EXISTS (SELECT FROM data_exhaust_users WHERE client_name = $1) AND (shown.proven OR NOT $5::boolean)
ON CONFLICT DO NOTHING
RETURNING id, proven_at IS NOT NULL AS proven
"""
_FIND_TAKEN: Final = """
SELECT bool_or(license_key_name = $2) AS key_name_taken FROM data_exhaust_users WHERE client_name = $1
"""
_FIND_REGISTRATION: Final = """
SELECT u.client_name, u.license_key_name, u.registered_by, u.created_at, u.proven_at,
       f.license_key_name AS first_key_name, f.created_at AS first_at
FROM data_exhaust_users u, LATERAL (
    SELECT license_key_name, created_at FROM data_exhaust_users WHERE client_name = u.client_name ORDER BY id LIMIT 1
) f
WHERE u.id = $1
"""
_CONFIRM: Final = """
UPDATE data_exhaust_users SET proven_at = now(), proven_by = 'operator' WHERE id = $1 AND proven_at IS NULL
"""
_LOCK_NAMES: Final = "LOCK TABLE data_exhaust_users IN SHARE ROW EXCLUSIVE MODE"
_FIRST_OF_NAMES: Final = """
SELECT id, client_name, name_look_alike, name_case FROM (
    SELECT DISTINCT ON (client_name) * FROM data_exhaust_users ORDER BY client_name, id
) first ORDER BY id
"""
_RELEASE_KEYS: Final = """
UPDATE data_exhaust_users SET name_look_alike = NULL, name_case = NULL WHERE id = ANY($1::bigint[])
"""
_HOLD_KEYS: Final = """
UPDATE data_exhaust_users u SET name_look_alike = k.look_alike, name_case = k.name_case
FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS k (id, look_alike, name_case) WHERE u.id = k.id
"""


class NameTakenError(ExhaustError):
    """A registration under names that are taken, or look like a name that is."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.INVALID_DATA_ERROR, message)


class UnprovenKeyError(ExhaustError):
    """A grant for a key that nobody has shown to belong to the client whose name it bears."""


async def insert_user(
    connection: Connection, client_name: str, license_key_name: str, *, vouched_by: int | None, only_proven: bool
) -> int:
    """Insert a user, record that in the audit, and return the user's id.

    The user is proven when it is the first of its client name, or when a proven key of the client came with the call.

    Args:
        connection: a transaction.
        client_name: checked by check_name.
        license_key_name: checked by check_name.
        vouched_by: the user whose license key came with the call, of this client or not.
        only_proven: refuse a user that would be unproven.

    Raises:
        NameTakenError: the client has a key of that name, or another client has a name that looks like this one.
        ExhaustError: AUTHORIZATION_FAILED when the user would be unproven and must not be.
    """
    who = PUBLIC if vouched_by is None else f"user/{vouched_by}"
    keys = name_keys(client_name)
    row = None
    if not only_proven:
        row = await connection.fetch_one(_INSERT_FIRST, client_name, license_key_name, who, keys.look_alike, keys.case)
    if row is None:
        row = await connection.fetch_one(_INSERT_FURTHER, client_name, license_key_name, who, vouched_by, only_proven)
    if row is None:
        raise await _refusal(connection, client_name, license_key_name, only_proven=only_proven)
    await record_action(
        connection,
        actor=who,
        action=Action.REGISTER,
        subject=f"user/{row['id']}",
        detail={"client": client_name, "key": license_key_name, "proven": row["proven"]},
    )
    return int(row["id"])


async def _refusal(
    connection: Connection, client_name: str, license_key_name: str, *, only_proven: bool
) -> ExhaustError:
    row = await connection.fetch_one(_FIND_TAKEN, client_name, license_key_name)
    if row is not None and row["key_name_taken"]:
        return NameTakenError(
            f"client {client_name!r} already has a license key named {license_key_name!r}; choose another"
            " licenseKeyName"
        )
    if only_proven:
        return ExhaustError(
            ErrorCode.AUTHORIZATION_FAILED,
            "registration needs a valid license key of the same client, one that is proven to be the client's",
        )
    return NameTakenError(
        "request/clientName differs from another client's name only by case or by letters that look alike; choose"
        " another, or spell it as that client does if you are that client"
    )


async def require_proven(connection: Connection, user_id: int) -> None:
    """Refuse a user whose key is unproven.

    Raises:
        UnprovenKeyError: says who registered which key, and when.
    """
    row = await connection.fetch_one(_FIND_REGISTRATION, user_id)
    if row is None or row["proven_at"] is not None:
        return
    raise UnprovenKeyError(
        ErrorCode.INVALID_DATA_ERROR,
        f"license key {row['license_key_name']!r} of client {row['client_name']!r} is unproven:"
        f" {_registrant(row['registered_by'])} registered it at {_written(row['created_at'])}, without a proven license"
        f" key of the client, whose name belongs to whoever registered {row['first_key_name']!r} at"
        f" {_written(row['first_at'])}. Ask the client; then confirm the key (exhaustctl keys confirm), or grant it"
        " as it is (--unproven, request/unproven)",
    )


async def confirm_user(connection: Connection, user_id: int, *, actor: str) -> bool:
    """Take a user's key for the client's from now on; return False when it is proven already."""
    confirmed = bool(await connection.execute(_CONFIRM, user_id))
    if confirmed:
        await record_action(connection, actor=actor, action=Action.CONFIRM, subject=f"user/{user_id}", detail={})
    return confirmed


async def hold_name_keys(connection: Connection) -> None:
    """Let the first user of each client name hold the keys of that name; of names that look alike, the oldest.

    Names registered before there were keys get theirs, and all get new ones when their rule has changed.

    Args:
        connection: a transaction of the tables' owner.
    """
    await connection.execute(_LOCK_NAMES)
    rows = await connection.fetch(_FIRST_OF_NAMES)
    taken: set[tuple[str, bytes]] = set()
    changed: list[tuple[int, bytes | None, bytes | None]] = []
    for row in rows:
        keys = name_keys(row["client_name"])
        look_alike = _take(taken, "look-alike", keys.look_alike)
        case = _take(taken, "case", keys.case)
        if (look_alike, case) != (row["name_look_alike"], row["name_case"]):
            changed.append((row["id"], look_alike, case))
    if changed:
        ids, look_alikes, cases = zip(*changed, strict=True)
        await connection.execute(_RELEASE_KEYS, ids)
        await connection.execute(_HOLD_KEYS, ids, look_alikes, cases)


def _take(taken: set[tuple[str, bytes]], kind: str, key: bytes) -> bytes | None:
    if (kind, key) in taken:
        return None
    taken.add((kind, key))
    return key


def _registrant(registered_by: str) -> str:
    return "somebody without a key" if registered_by == PUBLIC else registered_by


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
