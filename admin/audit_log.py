"""The command that shows the audit."""

from datetime import datetime
from typing import Annotated

import typer

from admin.connection import run_on_database
from admin.options import as_utc
from admin.tables import print_documents
from exhaust.operations.listings import audit_row
from exhaust.postgres.audit import Action, AuditFilter, find_audit_entries


def audit(
    *,
    actor: Annotated[
        str | None, typer.Option(help="Such as user/7, operator/DATABASE USER/NAME, service/NAME or public.")
    ] = None,
    action: Annotated[Action | None, typer.Option(help="What was done.")] = None,
    subject: Annotated[str | None, typer.Option(help="To what, such as user/7 or request/<id>.")] = None,
    since: Annotated[datetime | None, typer.Option(help="From this UTC time on.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this UTC time.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Acts at most, the newest.")] = 100,
) -> None:
    """Show the actions in the audit, newest first."""
    wanted = AuditFilter(actor, action, subject, as_utc(since), as_utc(until), None, limit)
    acts = run_on_database(lambda database: find_audit_entries(database, wanted))
    print_documents(
        ("number", "at", "actor", "action", "subject", "detail", "database user"), [audit_row(act) for act in acts]
    )
