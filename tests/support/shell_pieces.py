"""The generated shell as a list of its pieces, for golden files that show what a step is made of and not every line."""

from __future__ import annotations

from importlib.resources import files

from toolkit.codebuild.fragment import piece_text


def with_named_pieces(script: str) -> str:
    """`script` with a line `<name>` for each piece of shell or awk; the longest first, as one may hold another."""
    pieces = {entry.name: piece_text(entry.name) for entry in files("toolkit.codebuild").joinpath("shell").iterdir()}
    for name, text in sorted(pieces.items(), key=lambda item: -len(item[1])):
        script = script.replace(text, f"<{name}>\n")
    return script
