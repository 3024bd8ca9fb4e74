"""The group of all commands: it imports the module of a command when the command is called, not before."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command, get_group

from admin.tables import AS_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typer._click import Command, Context, HelpFormatter
    from typer._click.shell_completion import CompletionItem

JSON_OPTION: Final = "--json"


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a group of commands, that is not imported yet.

    Attributes:
        name: as it is typed.
        place: the module and the attribute, which is a function or a typer.Typer.
        help: one sentence; the first one of the function's docstring, or the help of the Typer.
    """

    name: str
    place: str
    help: str

    def load(self) -> Command:
        """Import it."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            command: Command = get_group(found)
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode=None)
            alone.command(self.name)(found)
            command = get_command(alone)
        command.name = self.name
        _add_json_option(command)
        return command


def command_group(sections: Mapping[str, Sequence[Entry]]) -> type[TyperGroup]:
    """Return the class of a group with these commands, by the titles of their sections."""
    entries = {entry.name: entry for section in sections.values() for entry in section}

    class CommandGroup(TyperGroup):
        """A group of commands that are imported when they are called."""

        shows_names = False

        def list_commands(self, ctx: Context) -> list[str]:
            del ctx
            return list(entries)

        def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
            del ctx
            entry = entries.get(cmd_name)
            if entry is None:
                self.commands.update((name, TyperCommand(name)) for name in entries)  # of which one is suggested
                return None
            return TyperCommand(entry.name, help=entry.help) if self.shows_names else entry.load()

        def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
            del ctx
            width = max(map(len, entries))
            for title, section in sections.items():
                with formatter.section(title):
                    formatter.write_dl([(entry.name.ljust(width), entry.help) for entry in section])

        def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
            self.shows_names = True
            try:
                return super().shell_complete(ctx, incomplete)
            finally:
                self.shows_names = False

    return CommandGroup


def _add_json_option(command: Command) -> None:
    """Give --json to each command that has none of its own."""
    if isinstance(command, TyperGroup):
        for inner in command.commands.values():
            _add_json_option(inner)
    elif not any(JSON_OPTION in parameter.opts for parameter in command.params):
        [option] = get_command(_json).params[:1]
        option.expose_value = False
        command.params.append(option)


def _note_json(value: object) -> bool:
    AS_JSON.set(bool(value))
    return bool(value)


_json = typer.Typer(add_completion=False)


@_json.command()
def _with_json(
    *, json: Annotated[bool, typer.Option(JSON_OPTION, help="Print JSON.", callback=_note_json, is_eager=True)] = False
) -> None:
    """Has the option, for others to have."""
    del json
