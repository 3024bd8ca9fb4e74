"""Grants: which user may read which resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from exhaust.audit import record_action

if TYPE_CHECKING:
    from datetime import datetime

    from exhaust.postgres import Database

_HOLDS: Final = """
SELECT 1 FROM data_exhaust_users_resources
WHERE user_id = $1 AND resource = $2
  AND (dataset_id IS NULL OR $3::text IS NULL OR dataset_id = $3)
  AND (expires_at IS NULL OR expires_at > now())
LIMIT 1
"""
_FIND_USER: Final = """
SELECT id FROM data_exhaust_users WHERE client_name = $1 AND license_key_name = $2 AND revoked_at IS NULL
"""
_GRANT: Final = """
INSERT INTO data_exhaust_users_resources (user_id, resource_id, dataset_id, expires_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, resource, dataset_id) DO UPDATE SET expires_at = EXCLUDED.expires_at
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """A resource for the holder of one license key.

    Attributes:
        dataset: the one dataset that it is for, by the dataset's own id; None for all.
        expires_at: when it ends; None for never.
    """

    client_name: str
    license_key_name: str
    resource: str
    dataset: str | None = None
    expires_at: datetime | None = None


class UnknownClientError(Exception):
    """No unrevoked license key has these names."""


class GrantStore:
    """The grants in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def holds(self, user_id: int, resource: str, dataset: str | None) -> bool:
        """Whether a user may read a resource now.

        Args:
            user_id: the holder of a license key.
            resource: in canonical form.
            dataset: the dataset's own id; None asks whether any dataset of it may be read.
        """
        return await self._database.fetch_one(_HOLDS, user_id, resource, dataset) is not None

    async def add(self, grant: Grant, *, actor: str) -> None:
        """Grant; repeating a grant only moves its end.

        Raises:
            UnknownClientError: there is no such key.
        """
        async with self._database.transaction() as connection:
            user = await connection.fetch_one(_FIND_USER, grant.client_name, grant.license_key_name)
            if user is None:
                raise UnknownClientError
            await connection.execute(_GRANT, user["id"], grant.resource, grant.dataset, grant.expires_at)
            await record_action(
                connection,
                actor=actor,
                action="grant",
                subject=f"user/{user['id']}",
                detail={
                    "resource": grant.resource,
                    "dataset": grant.dataset,
                    "expires": grant.expires_at.isoformat() if grant.expires_at else None,
                },
            )
