"""Draw charts as SVG that takes its colours from the page: numbers in, text out.

Every chart says in its title what it shows, and every mark has its figures as a tooltip. Colour is never the only difference:
lines are dashed differently and named where they end, bars stand on different sides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from msgspec import Struct

__all__ = ["Bar", "Line", "Step", "bars", "calibration", "curves", "levels", "mirror", "number", "waterfall"]

_WIDE, _HIGH = 880, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 84, 14, 40
_ROW = 20


class Bar(Struct, frozen=True):
    """A bar of stacked parts, each a count with its class of colour."""

    label: str
    parts: tuple[tuple[str, float], ...]
    tip: str


class Line(Struct, frozen=True):
    """A named line through points, y from 0 to 1."""

    name: str
    style: str
    points: tuple[tuple[float, float], ...]


class Step(Struct, frozen=True):
    """One step of a waterfall, in bits."""

    label: str
    bits: float
    tip: str


def number(value: float) -> str:
    """Write a count with separators, and a fraction shortly."""
    if value == 0 or abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"


def bars(title: str, data: Sequence[Bar], x_name: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Stand bars side by side on a logarithmic scale of counts; `marks` are lines at a place between bars, with a name.

    Parts of a bar are drawn from its foot, each in its share of the bar's height.
    """
    top = max((sum(value for _, value in bar.parts) for bar in data), default=1.0)
    decades = max(1, math.ceil(math.log10(max(top, 1.0) + 1)))
    right = _WIDE - 16
    width = (right - _LEFT) / max(len(data), 1)
    floor = float(_HIGH - _BOTTOM)

    def height(value: float) -> float:
        return math.log10(1 + value) / decades * (floor - _TOP)

    out = [_grid_line(floor - d / decades * (floor - _TOP), f"{10**d:,}", right) for d in range(1, decades + 1)]
    out.append(_grid_line(floor, "0", right))
    shown = max(1, math.ceil(len(data) / 14))
    for i, bar in enumerate(data):
        total = sum(value for _, value in bar.parts)
        x, foot = _LEFT + i * width, floor
        marked = []
        for style, value in bar.parts:
            if value:
                part = height(total) * value / total
                foot -= part
                marked.append(_box(style, x + 1, foot, max(width - 2, 1), part))
        out.append(f"<g>{_tip(bar.tip)}{''.join(marked)}</g>")
        if i % shown == 0:
            out.append(_text(x + width / 2, floor + 15, bar.label, "middle"))
    for place, name in marks:
        x = _LEFT + place * width
        out.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{floor}"/>')
        out.append(_text(x + 4, _TOP + 8, name, "start", "strong"))
    out.append(_text((_LEFT + right) / 2, _HIGH - 6, x_name, "middle", "dim"))
    return _svg(title, _WIDE, _HIGH, out)


def curves(title: str, lines: Sequence[Line], x_name: str, marks: Sequence[tuple[float, str]] = ()) -> str:
    """Draw lines over a common x, y from 0 to 1; each is named where it ends."""
    xs = [x for line in lines for x, _ in line.points]
    low, high = min(xs, default=0.0), max(xs, default=1.0)
    high = high if high > low else low + 1
    floor, right = float(_HIGH - _BOTTOM), float(_WIDE - _RIGHT)

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + (x - low) / (high - low) * (right - _LEFT), floor - y * (floor - _TOP)

    out = [_grid_line(place(low, y / 4)[1], f"{y / 4:.2f}", right) for y in range(5)]
    step = _nice((high - low) / 8)
    tick = math.ceil(low / step) * step
    while tick <= high:
        out.append(_text(place(tick, 0)[0], floor + 15, f"{tick:g}", "middle"))
        tick += step
    for at, name in marks:
        if low <= at <= high:
            x = place(at, 0)[0]
            out.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{floor}"/>')
            out.append(_text(x + 4, floor - 6, name, "start", "strong"))
    ends = []
    for line in lines:
        if line.points:
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
            out.append(f'<polyline class="line {line.style}" points="{path}"/>')
            ends.append((place(*line.points[-1])[1], line))
    at = -100.0
    for y, line in sorted(ends, key=lambda end: (end[0], end[1].name)):
        at = max(y + 4, at + 14)
        out.append(_text(right + 6, at, line.name, "start", line.style))
    for x, _ in lines[0].points if lines else ():
        said = ", ".join(f"{line.name} {y:.3f}" for line in lines for px, y in line.points if px == x)
        wide = (right - _LEFT) / max(len(lines[0].points), 1)
        spot = _box("hover", place(x, 0)[0] - wide / 2, _TOP, wide, floor - _TOP)
        out.append(f"<g>{_tip(f'{x:g}: {said}')}{spot}</g>")
    out.append(_text((_LEFT + right) / 2, _HIGH - 6, x_name, "middle", "dim"))
    return _svg(title, _WIDE, _HIGH, out)


def calibration(title: str, bins: Sequence[tuple[float, float, float]]) -> str:
    """Set the share that is true against the probability that was said, a circle for each bin (said, true, pairs)."""
    size, edge = 300, 46
    span = size - edge - 14

    def place(x: float, y: float) -> tuple[float, float]:
        return edge + x * span, 10 + (1 - y) * span

    out = []
    for i in range(5):
        x, y = place(i / 4, i / 4)
        out.append(_grid_line(y, f"{i / 4:.2f}", size - 14, edge))
        out.append(_text(x, size - 22, f"{i / 4:.2f}", "middle"))
    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    out.append(f'<line class="mark" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>')
    most = max((pairs for _, _, pairs in bins), default=1.0)
    for said, true, pairs in bins:
        x, y = place(said, true)
        radius = 3 + 6 * math.log1p(pairs) / math.log1p(most)
        tip = _tip(f"said {said:.3f}, true {true:.3f}, {number(pairs)} pairs")
        out.append(f'<circle class="a see" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{tip}</circle>')
    out.append(_text(edge + span / 2, size - 6, "probability the model gives", "middle", "dim"))
    return _svg(title, size, size, out)


def levels(title: str, groups: Sequence[tuple[str, Sequence[Step]]]) -> str:
    """Lay bars to the left and right of zero, a row for each level, in groups by comparison."""
    reach = max((abs(step.bits) for _, steps in groups for step in steps), default=1.0) or 1.0
    name, wide = 190, _WIDE
    middle, span = name + (wide - name - 60) / 2, (wide - name - 100) / 2
    out, y = [], 6.0
    for group, steps in groups:
        out.append(_text(0, y + 14, group, "start", "strong"))
        y += _ROW
        for step in steps:
            length = abs(step.bits) / reach * span
            x = middle if step.bits >= 0 else middle - length
            style = "a" if step.bits >= 0 else "b"
            bar = _box(style, x, y + 3, length, _ROW - 6)
            out.append(f"<g>{_tip(step.tip)}{bar}</g>")
            out.append(_text(name - 8, y + 14, step.label, "end"))
            at, anchor = (x + length + 5, "start") if step.bits >= 0 else (x - 5, "end")
            out.append(_text(at, y + 14, f"{step.bits:+.1f}", anchor, "dim"))
            y += _ROW
        y += 6
    axis = f'<line class="axis" x1="{middle:.1f}" x2="{middle:.1f}" y1="0" y2="{y:.1f}"/>'
    return _svg(title, wide, y, [*out, axis])


def mirror(title: str, rows: Sequence[tuple[str, float, float]]) -> str:
    """Set two probabilities of each level back to back: to the left among matches, to the right among strangers."""
    name, wide = 96, 420
    middle = name + (wide - name) / 2
    span = (wide - name) / 2 - 40
    out, y = (
        [
            _text(middle - 6, 12, "one person", "end", "strong a-ink"),
            _text(middle + 6, 12, "strangers", "start", "strong b-ink"),
        ],
        18.0,
    )
    for label, m, u in rows:
        tip = _tip(f"{label}: one person {m:.4g}, strangers {u:.4g}")
        left = _box("a", middle - 1 - m * span, y + 3, m * span, _ROW - 6)
        right = _box("b", middle + 1, y + 3, u * span, _ROW - 6)
        out.append(f"<g>{tip}{left}{right}</g>")
        out.append(_text(name - 6, y + 14, label, "end"))
        out.append(_text(middle - 6 - m * span, y + 14, _share(m), "end", "dim"))
        out.append(_text(middle + 6 + u * span, y + 14, _share(u), "start", "dim"))
        y += _ROW
    return _svg(title, wide, y + 4, out)


def waterfall(title: str, steps: Sequence[Step], total: float, mark: tuple[float, str]) -> str:
    """Add steps up from zero to a total, a row for each; `mark` is a line with a name."""
    ends, at = [0.0], 0.0
    for step in steps:
        at += step.bits
        ends.append(at)
    low, high = min([*ends, total, mark[0]]), max([*ends, total, mark[0]])
    name, wide = 210, 660
    span = (wide - name - 60) / max(high - low, 1e-9)

    def place(bits: float) -> float:
        return name + (bits - low) * span

    out, y = [], 16.0
    bottom = y + (len(steps) + 1) * _ROW
    x = place(mark[0])
    out.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y:.1f}" y2="{bottom:.1f}"/>')
    out.append(_text(x, 11, mark[1], "middle", "dim"))
    for step, begin, end in zip(steps, ends[:-1], ends[1:], strict=True):
        left, right = place(min(begin, end)), place(max(begin, end))
        style = "a" if step.bits >= 0 else "b"
        bar = _box(style, left, y + 3, right - left, _ROW - 6)
        out.append(f"<g>{_tip(step.tip)}{bar}</g>")
        out.append(_text(name - 8, y + 14, step.label, "end"))
        out.append(_text(right + 5, y + 14, f"{step.bits:+.1f}", "start", "dim"))
        y += _ROW
    left, right = place(min(0.0, total)), place(max(0.0, total))
    out.append(_box("c", left, y + 3, right - left, _ROW - 6))
    out.append(_text(name - 8, y + 14, "weight", "end", "strong"))
    out.append(_text(right + 5, y + 14, f"{total:+.1f}", "start", "strong"))
    return _svg(title, wide, bottom + 6, out)


def _box(style: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"/>'


def _share(value: float) -> str:
    return f"{value:.0%}" if value >= 0.095 else f"{value:.1%}" if value >= 0.001 else "<0.1%"


def _nice(step: float) -> float:
    """Round a step up to 1, 2 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(max(step, 1e-9)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= step)


def _grid_line(y: float, label: str, right: float, left: float = _LEFT) -> str:
    line = f'<line class="grid" x1="{left}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(left - 6, y + 4, label, "end", "dim")


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _text(x: float, y: float, text: str, anchor: str, style: str = "") -> str:
    said = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{said}>{escape(text)}</text>'


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    body = "".join(parts)
    name = escape(title, quote=True)
    return f'<svg role="img" aria-label="{name}" viewBox="0 0 {width:.0f} {height:.0f}" style="--w:{width:.0f}px">{body}</svg>'
