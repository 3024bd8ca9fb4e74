"""The operators' command `exhaustctl`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from admin.audit_log import audit
from admin.dead_letters import dead_letters
from admin.erase import erase
from admin.grants import grant, grants_app, who_has_access
from admin.keys import bind_subject, keys_app, rotate_pepper, unbind_subject
from admin.parked import parked_app
from admin.provisioning import buckets, migrate, topics
from admin.prune import prune
from admin.requests import requests_app
from admin.test_issuer import app as test_issuer_app
from exhaust.errors import ConfigurationError, ErrorCode, ExhaustError
from exhaust.violations import settings_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    help="License keys, grants, requests and the audit; preparing the servers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(keys_app, name="keys")
app.add_typer(grants_app, name="grants")
app.add_typer(parked_app, name="parked")
app.add_typer(requests_app, name="requests")
app.add_typer(test_issuer_app, name="test-issuer")
for command in (
    *(grant, who_has_access, audit),
    *(bind_subject, unbind_subject, rotate_pepper),
    *(migrate, topics, buckets, prune, erase, dead_letters),
):
    app.command()(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with this process's arguments, or with the given ones.

    Exit code 0: done. 1: not now (a server is away), or there was nothing to do it to. 2: refused as it was asked, in
    one plain sentence.
    """
    try:
        app(args=arguments)
    except ExhaustError as error:
        typer.echo(f"exhaustctl: {error.message}", err=True)
        raise SystemExit(1 if error.code is ErrorCode.SERVICE_UNAVAILABLE else 2) from None
    except ConfigurationError as error:
        typer.echo(f"exhaustctl: {error}", err=True)
        raise SystemExit(2) from None
    except (ValidationError, SettingsError) as error:
        for sentence in settings_errors(error):
            typer.echo(f"exhaustctl: {sentence}", err=True)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
