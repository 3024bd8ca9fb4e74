"""The commands for license keys, peppers and token subjects."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from admin.connection import audit_actor, peppers, run_on_database
from admin.options import ClientName, KeyName
from admin.tables import print_table, printable, proven_word, tell
from exhaust.postgres.license_keys import OVERLAP, KeyStore
from exhaust.postgres.token_subjects import TokenSubject, TokenSubjects

DEFAULT_OVERLAP_HOURS = OVERLAP // timedelta(hours=1)
Issuer = Annotated[str, typer.Option(help="The token's iss.")]
Subject = Annotated[str, typer.Option(help="The token's sub.")]

keys_app = typer.Typer(help="A client's license keys.", no_args_is_help=True)


@keys_app.command("list")
def list_keys(client: ClientName) -> None:
    """Show all keys that a client ever had. The keys themselves are stored nowhere."""
    keys = run_on_database(lambda database: KeyStore(database, {}).find_by_client(client))
    now = datetime.now(UTC)
    print_table(
        ("number", "key name", "state", "created", "ends", "revoked", "pepper", "proven", "registered", "by"),
        [
            (
                key.number,
                key.license_key_name,
                key.state(now),
                key.created_at,
                key.expires_at,
                key.revoked_at,
                key.pepper_version,
                proven_word(proven=key.proven),
                key.registered_at,
                key.registered_by,
            )
            for key in keys
        ],
    )


@keys_app.command("confirm")
def confirm(client: ClientName, key_name: KeyName) -> None:
    """Take an unproven key for the client's, after asking the client whether it registered the key."""
    confirmed = run_on_database(lambda database: KeyStore(database, {}).confirm(client, key_name, actor=audit_actor()))
    if not confirmed:
        typer.echo(f"{printable(client)} / {printable(key_name)} is proven already.", err=True)
        raise typer.Exit(1)
    tell(f"{printable(client)} / {printable(key_name)} is proven now.")


@keys_app.command("rotate")
def rotate(
    client: ClientName,
    key_name: KeyName,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=8760, help="How long the key so far goes on working.")
    ] = DEFAULT_OVERLAP_HOURS,
) -> None:
    """Make a new key that may do what the old one may. It is printed this once, alone on standard output."""
    known, overlap = peppers(), timedelta(hours=overlap_hours)
    license_key = run_on_database(
        lambda database: KeyStore(database, known).rotate(client, key_name, actor=audit_actor(), overlap=overlap)
    )
    tell(license_key, {"licensekey": license_key})
    typer.echo(
        f"The new key of {printable(client)} / {printable(key_name)}. The one so far ends in {overlap_hours} h.",
        err=True,
    )


@keys_app.command("revoke")
def revoke(
    client: ClientName,
    key_name: KeyName,
    number: Annotated[
        int | None, typer.Option(min=1, max=2**63 - 1, help="Only the key of this number; see `keys list`.")
    ] = None,
) -> None:
    """Refuse keys from now on, for good; all of this key name unless one is numbered."""
    revoked = run_on_database(
        lambda database: KeyStore(database, {}).revoke(client, key_name, actor=audit_actor(), number=number)
    )
    if not revoked:
        typer.echo(
            f"{printable(client)} / {printable(key_name)} has no such key that was not revoked already.", err=True
        )
        raise typer.Exit(1)
    tell(f"Revoked {revoked} key(s) of {printable(client)} / {printable(key_name)}.", {"revoked": revoked})


def rotate_pepper() -> None:
    """Show how many valid keys each pepper still hashes.

    A key is stored again under the newest pepper when it is next used; without the key that cannot be done. Once an
    old pepper hashes no key, take it out of EXHAUST_LICENSE_KEY_PEPPERS.
    """
    known = peppers()
    counts = run_on_database(lambda database: KeyStore(database, {}).count_by_pepper())
    versions = sorted({*known, *counts}, reverse=True)
    print_table(
        ("pepper", "valid keys", "what to do"),
        [(version, counts.get(version, 0), _advice(version, counts, max(known), set(known))) for version in versions],
    )


def _advice(version: int, counts: dict[int, int], newest: int, known: set[int]) -> str:
    if version == newest:
        return "keep: it hashes new keys"
    waiting = counts.get(version, 0)
    if version not in known:
        return "its keys cannot be used: this pepper is not in EXHAUST_LICENSE_KEY_PEPPERS"
    return "keep until these keys were used, or rotate them" if waiting else "take it out"


def bind_subject(issuer: Issuer, subject: Subject, client: ClientName, key_name: KeyName) -> None:
    """Let tokens of this issuer and subject act as a client; what it may read is granted to that client."""
    token = TokenSubject(issuer, subject)
    run_on_database(lambda database: TokenSubjects(database).bind(token, client, key_name, actor=audit_actor()))
    tell(f"{printable(subject)} of {printable(issuer)} acts as {printable(client)} / {printable(key_name)}.")


def unbind_subject(issuer: Issuer, subject: Subject) -> None:
    """Let tokens of this issuer and subject act for nobody."""
    token = TokenSubject(issuer, subject)
    if not run_on_database(lambda database: TokenSubjects(database).unbind(token, actor=audit_actor())):
        typer.echo(f"{printable(subject)} of {printable(issuer)} was not bound.", err=True)
        raise typer.Exit(1)
    tell(f"{printable(subject)} of {printable(issuer)} acts for nobody now.")
