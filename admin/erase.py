"""The command that erases a client, or what a user name submitted."""

import hashlib
import json
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from admin.connection import audit_actor, bucket_settings, run_on_database
from exhaust.domain.object_keys import cancelled_key, request_prefix
from exhaust.errors import ExhaustError
from exhaust.postgres.database import Database
from exhaust.postgres.erasure import (
    EndedRequest,
    ErasedSubject,
    blank_users,
    complete_erasure,
    count_of_subject,
    delete_requests,
    ended_requests,
    find_subject,
    is_unfinished,
    pseudonymise_audit,
    requests_worked_on,
    revoke_keys,
)
from exhaust.postgres.request_commands import cancel_request
from exhaust.s3.store import ObjectStore, open_object_store

BATCH: Final = 100  # requests of a transaction
AUDIT_BATCH: Final = 10_000
KEPT: Final = {
    "marks of cancelled attempts": "empty objects under the numbers of requests; they stop late work, and expire",
    "audit entries": "who did what must stay accountable; names in them are blanked, numbers of users stay",
    "exported audit files": "the same; an operator removes them from audit/ when the law lets them go",
    "day archives": "they are shared, named by their content, tell nothing of who asked, and expire",
    "records on Kafka": "they name requests and partners, no users, and expire with their topics",
    "revoked license keys": "keyed hashes of random keys, so that a key never works again",
}


def erase(
    *,
    client: Annotated[str | None, typer.Option(help="clientName, with all its license keys and requests.")] = None,
    username: Annotated[str | None, typer.Option(help="The username of requests, whoever submitted them.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Erase nothing; show what would be erased.")] = False,
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt here. [default: standard output]")] = None,
) -> None:
    """Erase a client or a user name, and write a receipt. It may be killed, and run again."""
    if (client is None) == (username is None):
        raise typer.BadParameter("give exactly one of --client and --username")

    async def work(database: Database) -> dict[str, Any] | None:
        subject = await find_subject(database, client=client, username=username)
        counts = await count_of_subject(database, subject)
        if not any(counts.values()) and not await is_unfinished(database, subject):
            return None
        if dry_run:
            return {"would be erased": counts, "kept": KEPT}
        settings = bucket_settings()
        async with open_object_store(settings) as objects:
            return await erase_subject(database, objects, settings.s3_exhaust_bucket, subject, actor=audit_actor())

    result = run_on_database(work)
    if result is None:
        typer.echo("exhaustctl: there is nothing of that name", err=True)
        raise typer.Exit(1)
    text = json.dumps(result, ensure_ascii=False, indent=2)
    if receipt is None:
        typer.echo(text)
    else:
        receipt.write_text(f"{text}\n")
    if result.get("left"):
        typer.echo("exhaustctl: requests were cancelled just now; run this again in some minutes", err=True)
        raise typer.Exit(1)


async def erase_subject(
    database: Database, objects: ObjectStore, bucket: str, subject: ErasedSubject, *, actor: str, batch: int = BATCH
) -> dict[str, Any]:
    """Erase a subject, and return the receipt. Requests in progress are cancelled; another run erases them.

    Raises:
        ExhaustError: SERVICE_UNAVAILABLE; another run goes on from there.
    """
    began = datetime.now(UTC)
    await revoke_keys(database, subject, actor=actor)
    for request_id in await requests_worked_on(database, subject):
        await _cancel(database, request_id, actor)
    while requests := await ended_requests(database, subject, limit=batch):
        deleted = 0
        for request in requests:
            deleted += await _delete_objects(objects, bucket, request)
        ended = [request.request_id for request in requests]
        await delete_requests(database, subject, ended, objects=deleted, actor=actor)
    await pseudonymise_audit(database, subject, batch=AUDIT_BATCH, actor=actor)
    left = (await count_of_subject(database, subject))["requests"]
    erased = {}
    if not left:
        await blank_users(database, subject, actor=actor)
        erased = await complete_erasure(database, subject, actor=actor)
    return _signed(
        {
            "erasure": subject.mark,
            "client": subject.client,
            "username": subject.username,
            "began": began.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "erased": erased,
            "left": {"requests": left} if left else {},
            "kept": KEPT,
        }
    )


async def _cancel(database: Database, request_id: UUID, actor: str) -> None:
    try:
        await cancel_request(database, request_id, actor=actor, even_failed=True)
    except ExhaustError as error:
        if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:  # it has just become complete, or is gone
            raise


async def _delete_objects(objects: ObjectStore, bucket: str, request: EndedRequest) -> int:
    """Delete what lies under a request, and return how many objects there were.

    Marks stay that stop work on it: messages of the request may be read once more, and whoever reads one would write.
    """
    marks = [cancelled_key(request.request_id, attempt) for attempt in request.attempts]
    for mark in marks:
        await objects.put(bucket, mark, b"")
    return await objects.delete_prefix(bucket, request_prefix(request.request_id), keep=marks)


def _signed(receipt: dict[str, Any]) -> dict[str, Any]:
    """Add a digest of all that the receipt says, over its canonical JSON."""
    canonical = json.dumps(receipt, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return receipt | {"sha256": hashlib.sha256(canonical.encode()).hexdigest()}
