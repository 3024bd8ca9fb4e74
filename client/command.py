"""The partners' command `exhaust`."""

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
    """Check downloads."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with this process's arguments, or with the given ones."""
    app(args=arguments)


if __name__ == "__main__":
    main()
