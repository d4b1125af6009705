"""`python -m tests.bench.plot RESULTS.json SPEED.svg`: wall times of toolkit and its peers as a picture.

A group of bars for each case, each bar a tool's time divided by ours: what is longer than the line of toolkit took
longer. Bars bring colours that show on a light and on a dark page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from tests.bench.tools import OURS

_CAPTIONS = {
    "cold": "20 images, 1.13 GB, into an empty registry",
    "cold-tls": "the same, with TLS on both sides",
    "shared": "20 images over three big base layers",
    "round-trips": "20 tiny images, each request takes 40 ms",
    "incremental": "1 of 20 images was rebuilt",
    "incremental-40ms": "the same, each request takes 40 ms",
    "nothing": "all 20 images are there already",
    "nothing-40ms": "the same, each request takes 40 ms",
}
_COLOURS = {"toolkit": "#2f9e5b", "skopeo": "#c58a00", "crane": "#3b7dd8", "regctl": "#8a63d2", "regsync": "#8b929c"}
_COLUMN, _LEFT, _BAR, _CASE = 450, 146, 14, 132
_TOP = 54
# A longer bar would make all others unreadable; it ends here and says its number.
_LONGEST = 9.0


def render(results: Mapping[str, Any]) -> str:
    """The picture of a document of `python -m tests.bench --json`."""
    cases = {case["name"]: case for case in results["cases"]}
    shown = [cases[name] for name in _CAPTIONS if name in cases and _ours(cases[name])]
    parts = [line for number, case in enumerate(shown) for line in _case(case, number)]
    about = results["machine"]
    head = (
        f"Seconds, and how many times as long as toolkit. Shorter is faster. {about['date'][:10]}, "
        f"{about['cores']} cores ({about['cpu']}), registries on loopback."
    )
    height = _TOP + (len(shown) + 1) // 2 * _CASE + 8
    return _SVG.format(width=2 * _COLUMN, height=height, head=escape(head), body="\n".join(parts))


def _case(case: Mapping[str, Any], number: int) -> Iterator[str]:
    x, y = number % 2 * _COLUMN, _TOP + number // 2 * _CASE + 8
    ours = _ours(case)
    yield _text(x + 16, y + 12, case["name"], "name")
    yield _text(x + 16, y + 28, _CAPTIONS[case["name"]], "say")
    y += 36
    for tool in case["tools"]:
        if tool["name"].startswith("toolkit, "):  # ours, with a warm cache
            continue
        ratio = tool["median_wall"] / ours
        length = min(ratio, _LONGEST) / _LONGEST * (_COLUMN - _LEFT - 125)
        told = f"{tool['median_wall']:.2f} s" + ("" if ratio == 1 else f", {ratio:.1f} ×")
        yield _text(x + _LEFT - 6, y + 10, tool["name"].replace("`", ""), "tool")
        yield f'<rect x="{x + _LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 3}" fill="{_colour(tool["name"])}"/>'
        yield _text(x + _LEFT + length + 5, y + 10, told + (" …" if ratio > _LONGEST else ""), "number")
        y += _BAR


def _ours(case: Mapping[str, Any]) -> float:
    return next((float(tool["median_wall"]) for tool in case["tools"] if tool["name"] == OURS), 0.0)


def _colour(tool: str) -> str:
    return next(colour for name, colour in _COLOURS.items() if tool.startswith(name))


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{style}">{escape(text)}</text>'


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="Speed beside other tools" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="11.5">
<style>text {{ fill: #24292f; }} .name {{ font-weight: 600; font-size: 14px; }} .tool {{ text-anchor: end; }} @media (prefers-color-scheme: dark) {{ .page {{ fill: #22272e; }} text {{ fill: #dde3ea; }} }}</style>
<rect class="page" width="{width}" height="{height}" rx="8" fill="#f6f8fa"/>
<text x="16" y="30">{head}</text>
{body}
</svg>
"""


def main(arguments: Sequence[str]) -> int:
    """Read results, write the picture."""
    results, picture = map(Path, arguments)
    picture.write_text(render(json.loads(results.read_text(encoding="utf-8"))), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
