"""Bars: measured figures with the limits that they must keep."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Unit = Literal["x", "%", "MiB", "ms", "events/s"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A measured figure and its limit.

    Attributes:
        name: what is measured, for people.
        measured: in the unit.
        limit: what it must reach, or must not exceed.
        at_least: whether more is better.
        unit: x for a ratio, % for a share.
    """

    name: str
    measured: float
    limit: float
    at_least: bool
    unit: Unit

    @property
    def holds(self) -> bool:
        """True when the figure keeps the limit."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    @property
    def row(self) -> tuple[str, str, str, str]:
        """The bar as a row of a table: name, measured, limit, and "holds" or "falls short"."""
        limit = f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"
        return (
            self.name,
            f"{self.measured:.{_DIGITS[self.unit]}f} {self.unit}",
            limit,
            "holds" if self.holds else "falls short",
        )


def at_least(name: str, measured: float, limit: float, unit: Unit) -> Bar:
    """Return a bar whose figure must reach the limit."""
    return Bar(name, measured, limit, at_least=True, unit=unit)


def at_most(name: str, measured: float, limit: float, unit: Unit) -> Bar:
    """Return a bar whose figure must not exceed the limit."""
    return Bar(name, measured, limit, at_least=False, unit=unit)


_DIGITS: dict[Unit, int] = {"x": 2, "%": 0, "MiB": 0, "ms": 0, "events/s": 0}


@dataclass(frozen=True, slots=True)
class Pairs:
    """The seconds of two contenders that alternated: one of each in every round."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    @property
    def times_faster(self) -> float:
        """The ratio of their time to ours: the median over the rounds, so that noise hits both alike."""
        return median(theirs / ours for ours, theirs in zip(self.ours, self.theirs, strict=True))


def verdict(bars: Sequence[Bar]) -> str:
    """Return a line that counts the bars that hold and that fall short."""
    holding = sum(bar.holds for bar in bars)
    return f"{holding} bars hold, {len(bars) - holding} fall short"
