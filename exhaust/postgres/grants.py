"""The table of grants: the resources that each user may read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import Action, record_action
from exhaust.postgres.license_keys import find_holder, find_user
from exhaust.postgres.registrations import require_proven
from telemetry.resource_ids import resource_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from exhaust.postgres.database import Database, Row

# The condition under which a grant `g` lets its user read {resource} in {dataset} now; NULL asks for any dataset.
GRANT_IN_FORCE: Final = """
      g.resource = {resource}
  AND (g.dataset_id IS NULL OR {dataset}::text IS NULL OR g.dataset_id = {dataset})
  AND (g.expires_at IS NULL OR g.expires_at > now())
"""
# The condition that {user} holds such a grant.
USER_MAY_READ: Final = f"""EXISTS (
    SELECT FROM data_exhaust_users_resources g WHERE g.user_id = {{user}} AND {GRANT_IN_FORCE}
)"""
_MAY_READ: Final = f"SELECT {USER_MAY_READ.format(user='$1', resource='$2', dataset='$3')} AS may_read"
_OF_QUERIES: Final = """
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[]) WITH ORDINALITY
    AS q (user_id, partner, resource, dataset, place)
ORDER BY q.place
"""
RIGHTS: Final = f"""
SELECT {USER_MAY_READ.format(user="q.user_id", resource="q.partner", dataset="NULL")} AS acts_for_partner,
       {USER_MAY_READ.format(user="q.user_id", resource="q.resource", dataset="q.dataset")} AS may_read
{_OF_QUERIES}
"""
_GRANT: Final = """
INSERT INTO data_exhaust_users_resources AS g (user_id, resource_id, dataset_id, expires_at, owner, owner_kind)
    VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (user_id, resource, dataset_id)
    DO UPDATE SET expires_at = EXCLUDED.expires_at, owner = coalesce(EXCLUDED.owner, g.owner),
        owner_kind = coalesce(EXCLUDED.owner_kind, g.owner_kind)
"""
_UNGRANT: Final = """
DELETE FROM data_exhaust_users_resources
WHERE user_id = $1 AND resource = $2 AND ($3::text IS NULL OR dataset_id = $3)
"""
_GRANTS: Final = """
SELECT u.client_name, u.license_key_name, g.resource, g.dataset_id, g.expires_at, g.owner, g.owner_kind,
       u.proven_at IS NOT NULL AS proven, u.created_at AS registered_at
FROM data_exhaust_users_resources g JOIN data_exhaust_users u ON u.id = g.user_id
"""
_FIND_BY_CLIENT: Final = f"""{_GRANTS}
WHERE u.client_name = $1 AND ($2::text IS NULL OR u.license_key_name = $2)
ORDER BY u.license_key_name, g.resource, g.dataset_id NULLS FIRST
"""
_FIND_BY_RESOURCE: Final = f"""{_GRANTS}
WHERE {GRANT_IN_FORCE.format(resource="$1", dataset="$2")}
  AND EXISTS (SELECT FROM valid_license_keys k WHERE k.user_id = u.id)
ORDER BY u.client_name, u.license_key_name, g.dataset_id NULLS FIRST
"""
_FIND_HELD: Final = """
SELECT g.resource, g.dataset_id, readable_time(g.expires_at) AS expires_at, g.owner, g.owner_kind
FROM data_exhaust_users_resources g
WHERE g.user_id = $1 AND (g.expires_at IS NULL OR g.expires_at > now())
ORDER BY g.resource, g.dataset_id NULLS FIRST LIMIT $2
"""
MOST_HELD: Final = 1000  # grants of one user that are told


class OwnerKind(StrEnum):
    """The two kinds of owners of a resource."""

    PARTNER = "partner"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True)
class Grant:
    """A resource for the holder of one license key.

    Attributes:
        resource: in canonical form.
        dataset: the one dataset that it is for, by the dataset's own id; None for all.
        expires_at: when it ends; None for never.
        owner: the plain id of the partner or channel whose resource it is; None when nobody said it.
        owner_kind: which of the two the owner is; None when nobody said it.

    Raises:
        ExhaustError: INVALID_DATA_ERROR: the resource is not that owner's, or there is a kind and no owner.
    """

    client_name: str
    license_key_name: str
    resource: str
    dataset: str | None = None
    expires_at: datetime | None = None
    owner: str | None = None
    owner_kind: OwnerKind | None = None

    def __post_init__(self) -> None:
        if self.owner is None and self.owner_kind is not None:
            raise ExhaustError(ErrorCode.INVALID_DATA_ERROR, "the kind of an owner says nothing without its plain id")
        if self.owner is not None and resource_id(self.owner) != self.resource:
            raise ExhaustError(
                ErrorCode.INVALID_DATA_ERROR,
                "the owner is not the partner or channel whose resource this is: its id has another hash",
            )


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A stored grant, and what is known of the license key that holds it.

    Attributes:
        grant: the grant.
        proven: the key is known to belong to the client whose name it bears.
        registered_at: the time when the name of the key was registered.
    """

    grant: Grant
    proven: bool
    registered_at: datetime


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant as its holder knows it.

    Attributes:
        resource: in canonical form.
        dataset: the one dataset that it is for; None for all.
        expires_at: when it ends; None for never.
        owner: the plain id of the partner or channel whose resource it is, if somebody said it.
        owner_kind: which of the two the owner is, if somebody said it.
    """

    resource: str
    dataset: str | None
    expires_at: datetime | None
    owner: str | None
    owner_kind: OwnerKind | None


@dataclass(frozen=True, slots=True)
class AccessQuery:
    """A question about one user: may it act for a partner, and may it read a resource in a dataset?

    Attributes:
        user_id: the holder of a license key.
        partner_resource: the partner's resource id; a user acts for a partner by holding a grant on it.
        resource: in canonical form.
        dataset: the dataset's own id; None asks whether any dataset of the resource may be read.
    """

    user_id: int
    partner_resource: str
    resource: str
    dataset: str | None


@dataclass(frozen=True, slots=True)
class AccessRights:
    """The answer to an AccessQuery."""

    acts_for_partner: bool
    may_read: bool


class GrantStore:
    """The grants in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def may_read(self, user_id: int, resource: str, dataset: str | None) -> bool:
        """Return True when a user may read a resource now.

        Args:
            user_id: the holder of a license key.
            resource: in canonical form.
            dataset: the dataset's own id; None asks whether any dataset of it may be read.
        """
        row = await self._database.fetch_one(_MAY_READ, user_id, resource, dataset)
        return row is not None and bool(row["may_read"])

    async def access_rights(self, queries: Sequence[AccessQuery]) -> list[AccessRights]:
        """Return what is granted now, in the order of the queries."""
        if not queries:
            return []
        rows = await self._database.fetch(
            RIGHTS,
            [query.user_id for query in queries],
            [query.partner_resource for query in queries],
            [query.resource for query in queries],
            [query.dataset for query in queries],
        )
        return [AccessRights(**row) for row in rows]

    async def add(self, grant: Grant, *, actor: str, unproven: bool = False) -> None:
        """Add a grant; for an existing grant this only changes its end, and its owner if that is known.

        Args:
            grant: the grant.
            actor: as in an audit entry.
            unproven: also for a key that nobody has shown to belong to the client.

        Raises:
            UnknownClientError: there is no such user, or all its keys are revoked.
            UnprovenKeyError: the user's key is unproven.
        """
        async with self._database.transaction() as connection:
            user_id = await find_holder(connection, grant.client_name, grant.license_key_name)
            if not unproven:
                await require_proven(connection, user_id)
            granted = (grant.resource, grant.dataset, grant.expires_at, grant.owner, grant.owner_kind)
            await connection.execute(_GRANT, user_id, *granted)
            await record_action(
                connection,
                actor=actor,
                action=Action.GRANT,
                subject=f"user/{user_id}",
                detail=_detail(grant) | ({"unproven": True} if unproven else {}),
            )

    async def remove(self, grant: Grant, *, actor: str) -> int:
        """Withdraw a grant at once, and return the number of grants that there were.

        Args:
            grant: with a dataset, the grant for that dataset alone: one for all datasets stays. Without, every grant
                on the resource. Its end does not matter.
            actor: who withdraws it.

        Raises:
            UnknownClientError: there is no such user.
        """
        async with self._database.transaction() as connection:
            user_id = await find_user(connection, grant.client_name, grant.license_key_name)
            removed = await connection.execute(_UNGRANT, user_id, grant.resource, grant.dataset)
            if removed:
                await record_action(
                    connection,
                    actor=actor,
                    action=Action.UNGRANT,
                    subject=f"user/{user_id}",
                    detail={"resource": grant.resource, "dataset": grant.dataset, "grants": removed},
                )
        return removed

    async def find_by_client(self, client_name: str, license_key_name: str | None = None) -> list[ListedGrant]:
        """Return the grants of a client, ended ones too; only those of one key when it is named."""
        rows = await self._database.fetch(_FIND_BY_CLIENT, client_name, license_key_name)
        return [_listed(row) for row in rows]

    async def find_by_resource(self, resource: str, dataset: str | None = None) -> list[ListedGrant]:
        """Return the grants that let somebody read a resource now.

        Args:
            resource: in canonical form.
            dataset: the dataset's own id; None for any.
        """
        rows = await self._database.fetch(_FIND_BY_RESOURCE, resource, dataset)
        return [_listed(row) for row in rows]

    async def find_held(self, user_id: int) -> list[HeldGrant]:
        """Return the grants of a user that are in force, MOST_HELD of them at most."""
        return [_held(row) for row in await self._database.fetch(_FIND_HELD, user_id, MOST_HELD)]


def _listed(row: Row) -> ListedGrant:
    client, key_name, resource, dataset, expires_at, owner, kind, proven, registered_at = row.values()
    named = _true_owner(owner, resource)
    grant = Grant(client, key_name, resource, dataset, expires_at, named, _kind_of(named, kind))
    return ListedGrant(grant, proven, registered_at)


def _held(row: Row) -> HeldGrant:
    resource, dataset, expires_at, owner, kind = row.values()
    named = _true_owner(owner, resource)
    return HeldGrant(resource, dataset, expires_at, named, _kind_of(named, kind))


def _kind_of(owner: str | None, kind: str | None) -> OwnerKind | None:
    return OwnerKind(kind) if kind and owner else None


def _true_owner(owner: str | None, resource: str) -> str | None:
    """Return the owner, unless the resource is another's: a row that somebody wrote by hand may name anybody."""
    return owner if owner is not None and resource_id(owner) == resource else None


def _detail(grant: Grant) -> dict[str, object]:
    detail: dict[str, object] = {
        "resource": grant.resource,
        "dataset": grant.dataset,
        "expires": grant.expires_at.isoformat() if grant.expires_at else None,
    }
    return detail | ({"owner": grant.owner} if grant.owner else {})
