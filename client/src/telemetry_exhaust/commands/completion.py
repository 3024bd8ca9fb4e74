"""Prints a script with which a shell completes `exhaust`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.errors import OK
from telemetry_exhaust.parser import build_parser

if TYPE_CHECKING:
    from telemetry_exhaust.output import Output

_BASH: Final = """\
_exhaust() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" options=""
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    [ "$COMP_CWORD" = 1 ] && options="{commands}"
    COMPREPLY=($(compgen -W "$options" -- "$word"))
}}
complete -o default -F _exhaust exhaust
"""
_ZSH: Final = "autoload -U +X bashcompinit && bashcompinit\n"


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print the script."""
    options = _options()
    if arguments.shell == "fish":
        output.text("\n".join(_fish(options)))
        return OK
    cases = "\n".join(f'        {name}) options="{" ".join(found)}" ;;' for name, found in options.items())
    script = _BASH.format(cases=cases, commands=" ".join(options))
    output.text((_ZSH if arguments.shell == "zsh" else "") + script.rstrip("\n"))
    return OK


def _options() -> dict[str, list[str]]:
    """Return the options of each command."""
    [commands] = [action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return {
        name: [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
        for name, parser in commands.choices.items()
    }


def _fish(options: dict[str, list[str]]) -> list[str]:
    lines = [f"complete -c exhaust -n __fish_use_subcommand -a {name}" for name in options]
    for name, found in options.items():
        lines += [f"complete -c exhaust -n '__fish_seen_subcommand_from {name}' -l {option[2:]}" for option in found]
    return lines
