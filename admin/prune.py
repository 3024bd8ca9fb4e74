"""The command that removes old rows, and exports those of the audit before."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from admin.connection import bucket_settings, run_on_database
from admin.tables import print_table
from exhaust.domain.object_keys import audit_export_key
from exhaust.errors import ErrorCode, ExhaustError
from exhaust.postgres.audit import count_old_entries, delete_entries, oldest_entries
from exhaust.postgres.retention import BATCH, Prunable, count_prunable, prune_batch, retention_of
from exhaust.s3.errors import ObjectExistsError
from exhaust.s3.store import open_object_store
from exhaust.settings import AuditRetentionSettings, RetentionSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from exhaust.postgres.database import Database
    from exhaust.s3.store import ObjectStore

    Export = Callable[[str, bytes], Awaitable[bytes]]

AUDIT_BATCH: Final = 5000  # entries in a file
_AUDIT: Final = "audit"


class _What(StrEnum):
    REQUESTS = Prunable.REQUESTS
    PARKED = Prunable.PARKED
    INBOX = Prunable.INBOX
    IDEMPOTENCY_KEYS = Prunable.IDEMPOTENCY_KEYS
    AUDIT = _AUDIT


def prune(
    *,
    what: Annotated[list[_What] | None, typer.Option(help="Only this; may be repeated. [default: everything]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Remove nothing; show what is old.")] = False,
    audit_folder: Annotated[
        Path | None,
        typer.Option(help="Export the audit into this folder. [default: the exhaust bucket, under audit/]"),
    ] = None,
) -> None:
    """Remove rows that are older than the settings keep them. Entries of the audit are exported first."""
    kinds = [kind.value for kind in (what or list(_What))]
    keep = {kind.value: kept for kind, kept in retention_of(RetentionSettings()).items()}
    keep[_AUDIT] = AuditRetentionSettings().keep_audit

    async def work(database: Database) -> list[tuple[str, str, int, int]]:
        rows = []
        for kind in kinds:
            old, every = await _count(database, kind, keep[kind])
            removed = old if dry_run else await _remove(database, kind, keep[kind], audit_folder)
            rows.append((kind, str(keep[kind]).removesuffix(", 0:00:00"), removed, every - removed))
        return rows

    pruned = run_on_database(work)
    print_table(("what", "kept for", "would be removed" if dry_run else "removed", "stays"), pruned)


async def _count(database: Database, kind: str, keep: timedelta) -> tuple[int, int]:
    if kind == _AUDIT:
        return await count_old_entries(database, keep)
    return await count_prunable(database, Prunable(kind), keep)


async def _remove(database: Database, kind: str, keep: timedelta, audit_folder: Path | None) -> int:
    if kind == _AUDIT:
        return await _export_and_remove(database, keep, audit_folder)
    removed = 0
    while batch := await prune_batch(database, Prunable(kind), keep):
        removed += batch
        if batch < BATCH:
            break
    return removed


async def _export_and_remove(database: Database, keep: timedelta, folder: Path | None) -> int:
    if folder is not None:
        return await prune_audit(database, keep, _into_folder(folder))
    settings = bucket_settings()
    async with open_object_store(settings) as objects:
        return await prune_audit(database, keep, _into_bucket(objects, settings.s3_exhaust_bucket))


async def prune_audit(database: Database, keep: timedelta, export: Export, *, batch: int = AUDIT_BATCH) -> int:
    """Export and remove entries of the audit beyond an age, a file at a time; return how many were removed.

    A file is read back before its entries go. After a kill the same entries are exported again: under the same name,
    unless further ones have become old.

    Args:
        database: with the owner's role.
        keep: the age.
        export: writes a file, and returns what was read back.
        batch: entries in a file at most.

    Raises:
        ExhaustError: a file cannot be written, or holds something else than was written.
    """
    removed = 0
    while entries := await oldest_entries(database, older_than=keep, limit=batch):
        numbers = list(entries)
        data = "".join(f"{line}\n" for line in entries.values()).encode()
        await _export(export, numbers, data)
        async with database.transaction() as connection:
            removed += await delete_entries(connection, numbers)
    return removed


async def _export(export: Export, numbers: list[int], data: bytes) -> None:
    """Export entries; under a name of their own if the file of these numbers holds other words.

    A run that was killed wrote them, and an erasure has blanked some since.
    """
    digest = _digest(data)
    keys = [audit_export_key(numbers[0], numbers[-1], of) for of in ("", digest.hex())]
    for key in keys:
        if _digest(await export(key, data)) == digest:
            return
    raise ExhaustError(
        ErrorCode.INTERNAL_ERROR, f"{keys[-1]} does not hold what was exported; its entries stay in the database"
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _into_bucket(objects: ObjectStore, bucket: str) -> Export:
    async def export(key: str, data: bytes) -> bytes:
        with suppress(ObjectExistsError):  # of a run that was killed; it is compared all the same
            await objects.put(bucket, key, data, content_type="application/jsonl", if_absent=True)
        return await objects.get(bucket, key)

    return export


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: the entries of a file are deleted next."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _into_folder(folder: Path) -> Export:
    def write(key: str, data: bytes) -> bytes:
        path = folder / Path(key).name
        if not path.exists():
            unfinished = path.with_suffix(".unfinished")
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
            _sync_folder(folder)
        return path.read_bytes()

    async def export(key: str, data: bytes) -> bytes:
        try:
            return await asyncio.to_thread(write, key, data)
        except OSError as error:
            raise ExhaustError(
                ErrorCode.INTERNAL_ERROR, f"cannot export to {folder}: {error.strerror}; nothing was removed"
            ) from error

    return export
