"""Who did what, and when: one row for each act that matters."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exhaust.postgres import Connection


async def record_action(
    connection: Connection, *, actor: str, action: str, subject: str, detail: Mapping[str, object]
) -> None:
    """Append to the audit table, in the transaction of the act itself.

    Args:
        connection: the act's transaction.
        actor: who acted, such as user/7 or operator/NAME.
        action: register, grant, submit, …
        subject: what it was done to, such as request/<id>.
        detail: anything else worth knowing; never a secret.
    """
    await connection.execute(
        "INSERT INTO audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4)", actor, action, subject, detail
    )
