"""The simulation as a picture: hours over the number of shards, both in powers of two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM, _RIGHT = 720, 400, 70, 60, 50, 190
_HOURS = (1, 2, 4, 8, 16, 32, 64, 128)
_COLOURS = ("#2f9e5b", "#3b7dd8")
Line = Sequence[tuple[int, float, float]]
"""Shards, seconds at least, seconds simulated."""


def render(lines: Mapping[str, Line]) -> str:
    """The picture: a line for what each plan says, and a dot for what came out."""
    counts = [count for count, _, _ in next(iter(lines.values()))]
    parts = [*_axes(counts)]
    for (name, line), colour in zip(lines.items(), _COLOURS, strict=True):
        points = " ".join(f"{_x(count):.1f},{_y(least):.1f}" for count, least, _ in line)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{_x(n):.1f}" cy="{_y(took):.1f}" r="4" fill="{colour}"/>' for n, _, took in line]
        parts.append(_text(_x(counts[-1]) + 12, _y(line[-1][1]) + 4, name))
    head = "Hours of 10,000 images (40 TB) over the number of shards. Line: what the plan says. Dot: simulated."
    return _SVG.format(width=_WIDTH, height=_HEIGHT, head=escape(head), body="\n".join(parts))


def _axes(counts: Sequence[int]) -> Iterator[str]:
    for hours in _HOURS:
        y = _y(hours * 3600)
        yield f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#8b929c" stroke-opacity=".3"/>'
        yield _text(_LEFT - 10, y + 4, f"{hours} h", "end")
    for count in counts:
        yield _text(_x(count), _HEIGHT - _BOTTOM + 22, str(count), "middle")


def _x(count: int) -> float:
    return _LEFT + math.log2(count) / 6 * (_WIDTH - _LEFT - _RIGHT)


def _y(seconds: float) -> float:
    return _TOP + (7 - math.log2(seconds / 3600)) / 7 * (_HEIGHT - _TOP - _BOTTOM)


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Hours over the number of shards" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="12">
<style>text {{ fill: #24292f; }} @media (prefers-color-scheme: dark) {{ .page {{ fill: #22272e; }} text {{ fill: #dde3ea; }} }}</style>
<rect class="page" width="{width}" height="{height}" rx="8" fill="#f6f8fa"/>
<text x="16" y="30">{head}</text>
{body}
</svg>
"""
