"""Pictures as SVG: how long parts lasted, and one tree along its time."""

from __future__ import annotations

from bisect import bisect_right
from html import escape
from typing import TYPE_CHECKING, Final

from telemetry_exhaust.safe_text import safe_text
from telemetry_exhaust.sessions.parts import FINISHED, WITHOUT_END, workflow_of
from telemetry_exhaust.sessions.rows import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from telemetry_exhaust.sessions.parts import Part

_WIDTH: Final = 960
_LEFT: Final = 300
_ROW: Final = 22
_TOP: Final = 50
_MOST_BARS: Final = 300
_MOST_PANELS: Final = 6
# Where a bucket of the histogram begins, in seconds, and what is shorter than that.
_EDGES: Final = (10, 30, 60, 180, 600, 1800, 3600, 10_800, 86_400)
_NAMES: Final = ("< 10 s", "< 30 s", "< 1 min", "< 3 min", "< 10 min", "< 30 min", "< 1 h", "< 3 h", "< 1 day")
_BLUE: Final = "#2166ac"
_GREY: Final = "#9aa5b1"


def histogram(seconds: Mapping[str, Sequence[float]]) -> str:
    """Return a histogram of durations for each type of part."""
    panels = sorted(seconds.items(), key=lambda item: -len(item[1]))[:_MOST_PANELS]
    names = (*_NAMES, "longer")
    drawn, top = [], _TOP
    for kind, lasted in panels:
        drawn.append(_text(16, top, f"{kind}: {len(lasted)}", bold=True))
        buckets = [0] * len(names)
        for value in lasted:
            buckets[bisect_right(_EDGES, value)] += 1
        most = max(buckets) or 1
        for number, (name, count) in enumerate(zip(names, buckets), start=1):
            y = top + number * _ROW
            drawn.append(_text(_LEFT - 12, y + 12, name, end=True))
            width = (_WIDTH - _LEFT - 120) * count / most
            if count:
                drawn.append(_bar(_LEFT, y, width, _BLUE, f"{kind} {name}: {count}"))
            drawn.append(_text(_LEFT + width + 8, y + 12, str(count)))
        top += (len(names) + 2) * _ROW
    return _svg("How long parts lasted", drawn, top)


def timeline(tree: Part) -> str:
    """Return a tree along its time: a bar for each part, grey where it has no END."""
    first = tree.start.time if tree.start else 0
    span = max(1, tree.last_ms - first)
    scale = (_WIDTH - _LEFT - 24) / span
    drawn = [_text(_LEFT, _TOP, "0 s"), _text(_WIDTH - 24, _TOP, f"{span / 1000:.1f} s", end=True)]
    row = 0
    for row, part in enumerate(tree.walk()):
        if row >= _MOST_BARS:
            drawn.append(_text(16, _TOP + (row + 1) * _ROW, "and more"))
            break
        y = _TOP + _ROW // 2 + row * _ROW
        begins = (part.start.time if part.start else first) - first
        label = f"{'· ' * part.depth}{part.type} {part.about}"
        drawn.append(_text(16, y + 12, label[:40]))
        ended = part.state in {FINISHED, WITHOUT_END}
        told = f"{part.type}, {part.state}, {part.ms / 1000:.1f} s, {part.events} events"
        drawn.append(_bar(_LEFT + begins * scale, y, part.ms * scale, _BLUE if ended else _GREY, told))
    title = f"{workflow_of(tree) or tree.type}, {tree.session}, {moment(first)}"
    return _svg(title, drawn, _TOP + (row + 2) * _ROW)


def _svg(title: str, drawn: Iterable[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        f' font-family="sans-serif" font-size="13" role="img">\n<title>{escape(safe_text(title))}</title>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{_text(16, 24, title, bold=True)}\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, *, bold: bool = False, end: bool = False) -> str:
    style = (' font-weight="bold"' if bold else "") + (' text-anchor="end"' if end else "")
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="#1f2933"{style}>{escape(safe_text(text))}</text>'


def _bar(x: float, y: float, width: float, colour: str, told: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(1.0, width):.1f}" height="{_ROW - 6}" fill="{colour}">'
        f"<title>{escape(safe_text(told))}</title></rect>"
    )
