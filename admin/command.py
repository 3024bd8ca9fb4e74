"""The operators' command `exhaustctl`, and the table of its commands."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Final

import typer

from admin.groups import Entry, command_group
from admin.tables import AS_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAILPOINTS: Final = "EXHAUST_FAILPOINTS"  # as exhaust/process/failpoints.py has it; for tests
# The sentences stand here once more, so that help need not import what it shows.
SECTIONS: Final[Mapping[str, Sequence[Entry]]] = {
    "What is the matter": (
        Entry("now", "admin.lag:now", "Say what is the matter, who suffers and what to do."),
        Entry("flow", "admin.lag:flow", "Show what waits in each stage, by partition, and who reads it."),
        Entry("workers", "admin.lag:workers", "Show what each aggregator has in hand, and since when."),
    ),
    "Requests": (
        Entry("requests", "admin.requests:requests", "Show requests, newest first."),
        Entry(
            "explain",
            "admin.explain:explain_request",
            "Say where a request is and why.",
        ),
        Entry("retry", "admin.requests:retry", "Try requests again that failed or were cancelled."),
        Entry("cancel", "admin.requests:cancel", "Cancel requests that have not ended."),
        Entry("days", "admin.days:days", "Show what was received and built, by dataset and day."),
        Entry("pause", "admin.pauses:pause", "Release no request of a partner or a dataset any more."),
        Entry("resume", "admin.pauses:resume", "Release requests of a partner or a dataset again."),
        Entry("pauses", "admin.pauses:pauses", "Show what is paused, by whom and why."),
        Entry("parked", "admin.parked:parked_app", "Requests that relay or reaper could not handle."),
    ),
    "Dead letters": (
        Entry("dead", "admin.dead:dead_app", "Records that could not be worked on: list, show, redrive."),
    ),
    "Keys and grants": (
        Entry("keys", "admin.keys:keys_app", "A client's license keys."),
        Entry("grants", "admin.grants:grants_app", "What a client may read."),
        Entry("grant", "admin.grants:grant", "Let the holder of a license key read a resource."),
        Entry("who-has-access", "admin.grants:who_has_access", "Show who may read a resource now, and by which grant."),
        Entry("bind-subject", "admin.keys:bind_subject", "Let tokens of this issuer and subject act as a client."),
        Entry("unbind-subject", "admin.keys:unbind_subject", "Let tokens of this issuer and subject act for nobody."),
        Entry("rotate-pepper", "admin.keys:rotate_pepper", "Show how many valid keys each pepper still hashes."),
        Entry("test-issuer", "admin.test_issuer:app", "Make tokens for local use."),
    ),
    "Audit and retention": (
        Entry("audit", "admin.audit_log:audit", "Show the actions in the audit, newest first."),
        Entry("prune", "admin.prune:prune", "Remove rows that are older than the settings keep them."),
        Entry("erase", "admin.erase:erase", "Erase a client or a user name, and write a receipt."),
    ),
    "Servers": (
        Entry("migrate", "admin.provisioning:migrate", "Bring the database's tables up to date."),
        Entry("topics", "admin.provisioning:topics", "Create the Kafka topics that are missing."),
        Entry("buckets", "admin.provisioning:buckets", "Create the S3 buckets that are missing."),
    ),
}
app = typer.Typer(
    cls=command_group(SECTIONS), no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None
)


def _print_version(value: object) -> None:
    if value:
        typer.echo(f"exhaustctl {version('telemetry-exhaust')}")
        raise typer.Exit


@app.callback()
def _exhaustctl(
    *,
    show_version: Annotated[
        bool, typer.Option("--version", help="Show the version, and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """See what is the matter, and mend it."""
    del show_version


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with this process's arguments, or with the given ones.

    Exit code 0: done. 1: not now (a server is away), there was nothing to do it to, or some of it was refused. 2:
    refused as it was asked, in one plain sentence. Those of now, flow and workers say how urgent it is: 0 healthy, 1
    attention, 2 page.
    """
    AS_JSON.set(False)
    try:
        if _FAILPOINTS in os.environ:
            from exhaust.process.failpoints import arm_failpoints

            arm_failpoints(os.environ[_FAILPOINTS])
        app(args=arguments)
    except Exception as error:
        from admin.refusals import exit_code, sentences_of

        sentences = sentences_of(error)
        if not sentences:
            raise
        for sentence in sentences:
            typer.echo(f"exhaustctl: {sentence}", err=True)
        raise SystemExit(exit_code(error)) from None


if __name__ == "__main__":
    main()
