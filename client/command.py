"""The `exhaust` command: what partners do by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from client.verify import verify

if TYPE_CHECKING:
    from collections.abc import Sequence

app = typer.Typer(
    help="Checking a download.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(verify)


@app.callback()
def commands() -> None:
    """Checking a download."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command, with this process's arguments unless others are given."""
    app(args=arguments)


if __name__ == "__main__":
    main()
