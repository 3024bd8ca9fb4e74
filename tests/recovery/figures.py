"""What a run measured, and its place in the page of the failure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bench.machine import machine
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PAGES: Final = ROOT / "docs" / "operations" / "failures"
HEADING: Final = "## Checked against a run"
SUBHEADING: Final = "### "


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        what: is measured.
        value: seconds, or words.
        bar: seconds at most.
    """

    what: str
    value: float | str
    bar: float | None = None

    @property
    def holds(self) -> bool:
        return self.bar is None or float(self.value) <= self.bar

    def row(self) -> str:
        value = f"{self.value:.1f} s" if isinstance(self.value, float) else self.value
        return f"| {self.what} | {value} | {'' if self.bar is None else f'≤ {self.bar:.0f} s'} |"


def by_number(counts: Mapping[str, int]) -> str:
    """Counts as text."""
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def section(run: str, about: str, figures: Sequence[Figure]) -> str:
    """The part of a page that says what a run measured."""
    told = machine()
    head = (
        f"{about} `make failures ONLY={run}` does it again. Measured on {datetime.now(UTC):%Y-%m-%d} with "
        f"{told['cores']} cores ({told['processor']}, {told['memory']}), at a load of {told['load at the start']}."
    )
    rows = "\n".join(figure.row() for figure in figures)
    return f"{SUBHEADING}{run}\n\n{head}\n\n| what | measured | bar |\n| --- | --- | --- |\n{rows}\n"


def write(page: str, run: str, about: str, figures: Sequence[Figure]) -> None:
    """Put the figures at the end of a page, in place of those of before of the same run."""
    path = PAGES / f"{page}.md"
    text, _, measured = path.read_text().partition(HEADING)
    sections = {part.partition("\n")[0]: SUBHEADING + part.strip() + "\n" for part in measured.split(SUBHEADING)[1:]}
    sections[run] = section(run, about, figures)
    path.write_text(f"{text.rstrip()}\n\n{HEADING}\n\n" + "\n".join(sections[name] for name in sorted(sections)))
