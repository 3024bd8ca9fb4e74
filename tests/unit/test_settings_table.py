"""The operators' table of settings says what the code says: who reads each, its default and its bounds."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, get_args, get_origin
from zoneinfo import ZoneInfo

import pytest
from pydantic import ByteSize, SecretStr

import exhaust.settings
from exhaust.settings import SaslUsername
from tests.conftest import ROOT
from tests.support.setting_bounds import PROCESSES, bounds_of, variable, written

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

TABLE: Final = ROOT / "docs" / "operations" / "settings.md"
ROW: Final = re.compile(r"^\| `(EXHAUST_[A-Z0-9_]+)` \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
COMMAND: Final = "`exhaustctl`"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, without its words.

    Attributes:
        default: None where the table says it in words.
        bounds: likewise.
    """

    read_by: str
    default: str | None
    bounds: str | None


def read_by_command() -> set[str]:
    """The settings of the operators' command: of every group that its modules import."""
    groups = {
        name.name
        for path in sorted((ROOT / "admin").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == exhaust.settings.__name__
        for name in node.names
    }
    return {field for group in groups for field in getattr(exhaust.settings, group).model_fields}


@cache
def rows_wanted() -> dict[str, Row]:
    """By setting, what its row has to say."""
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for process, group in PROCESSES.items():
        for name, field in group.model_fields.items():
            readers.setdefault(name, []).append(process)
            fields[name] = field
    for group in vars(exhaust.settings).values():
        if isinstance(group, type) and issubclass(group, exhaust.settings.SettingsGroup):
            fields = dict(group.model_fields) | fields
    for name in read_by_command():
        readers.setdefault(name, []).append(COMMAND)
    return {name: Row(", ".join(readers[name]), default_of(field), range_of(field)) for name, field in fields.items()}


def default_of(field: FieldInfo) -> str | None:
    if field.default_factory is not None:
        return None
    if field.is_required():
        return "needed"
    match field.default:
        case None | frozenset():
            return "none"
        case int():
            return in_words(field.default)
        case timedelta():
            return f"`{written(field.default)}`"
        case str() | ZoneInfo():
            return f"`{field.default}`"
    raise AssertionError(field)


def range_of(field: FieldInfo) -> str | None:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    bounds = bounds_of(field)
    if bounds is None:
        return None
    if bounds.in_length:
        texts = {str, SecretStr, SecretStr | None, SaslUsername | None}
        unit = "characters" if field.annotation in texts or SecretStr in flat(field) else "entries"
        return f"{bounds.least} to {bounds.greatest} {unit}"
    if isinstance(bounds.least, timedelta):
        return f"`{written(bounds.least)}` to `{written(bounds.greatest)}`"
    size = ByteSize if field.annotation is ByteSize else int
    return f"{in_words(size(bounds.least))} to {in_words(size(bounds.greatest))}"


def flat(field: FieldInfo) -> set[object]:
    """What stands in an annotation of several types, such as a secret or None."""
    return {argument for choice in get_args(field.annotation) for argument in get_args(choice)}


def in_words(number: int) -> str:
    if not isinstance(number, ByteSize) or number == 0:
        return f"{number:,}" if number >= 100_000 else str(number)
    return number.human_readable(separator=" ").replace(".0 ", " ")


@cache
def table() -> dict[str, tuple[str, ...]]:
    return {found[0]: found[1:] for found in ROW.findall(TABLE.read_text())}


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    assert set(table()) == {variable(name) for name in rows_wanted()}


@pytest.mark.parametrize("name", sorted(rows_wanted()))
def test_a_row_says_what_the_code_says(name: str) -> None:
    wanted = rows_wanted()[name]
    read_by, default, bounds, meaning = table()[variable(name)]
    assert read_by == wanted.read_by
    assert default == wanted.default or (wanted.default is None and default)
    assert bounds == wanted.bounds or (wanted.bounds is None and bounds)
    assert meaning


@cache
def code_of(process: str) -> str:
    rooms = (ROOT / "services" / process, ROOT / "exhaust")
    return "\n".join(path.read_text() for room in rooms for path in sorted(room.rglob("*.py")))


@pytest.mark.parametrize(
    ("process", "name"), [(process, name) for process, group in PROCESSES.items() for name in group.model_fields]
)
def test_a_process_reads_the_settings_that_it_has(process: str, name: str) -> None:
    assert re.search(rf"\.{name}\b", code_of(process))
