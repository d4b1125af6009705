"""Adds entries to `images` in the text of a manifest; everything else stays byte for byte."""

from __future__ import annotations

from collections.abc import Sequence

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from toolkit.errors import ManifestUnusable, Refused
from toolkit.manifest.document import NewImage, compose, lines_of
from toolkit.manifest.loader import loads


def add_images(text: str, entries: Sequence[NewImage], file: str) -> str:
    """`text`, a manifest that the loader takes, with `entries` at the end of its `images`.

    Raises `Refused` if entries cannot be added to the list, or the result would not be a manifest.
    """
    if not entries:
        return text
    images = _images(text)
    if not isinstance(images, SequenceNode) or images.anchor or not images.value:
        raise _refused(file, "its `images` are not a plain list", entries)
    lines = lines_of(text)
    added = _added_inline(lines, images, entries) if images.flow_style else _added_below(lines, images, entries)
    try:
        loads(added, file)
    except ManifestUnusable as error:
        why = "; ".join(str(issue) for issue in error.issues) or error.message
        raise _refused(file, f"the result would be no manifest: {why}", entries) from error
    return added


def _refused(file: str, why: str, entries: Sequence[NewImage]) -> Refused:
    listed = ", ".join(f"`{entry.text}`" for entry in entries)
    message = f"nothing was added to `{file}`: {why}"
    return Refused("manifest.cannot_add", message, hint=f"add {listed} by hand")


def _images(text: str) -> Node | None:
    root = compose(text)
    pairs = root.value if isinstance(root, MappingNode) else []
    return next((value for key, value in pairs if isinstance(key, ScalarNode) and key.value == "images"), None)


def _added_below(lines: list[str], images: SequenceNode, entries: Sequence[NewImage]) -> str:
    last = _end_line(images.value[-1])
    while not lines[last].strip():  # a block of text includes the empty lines after it
        last -= 1
    indent = lines[images.start_mark.line][: images.start_mark.column]
    newline = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if not lines[last].endswith("\n"):
        lines[last] += newline
    new = [f"{indent}- {entry.text}{newline}" for entry in entries]
    return "".join([*lines[: last + 1], *new, *lines[last + 1 :]])


def _end_line(node: Node) -> int:
    """The last line of `node`; a block ends with its last entry, not with the comments that follow it."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        final = node.value[-1]
        return _end_line(final[1] if isinstance(final, tuple) else final)
    mark = node.end_mark
    return int(mark.line - 1 if mark.column == 0 and mark.line > node.start_mark.line else mark.line)


def _added_inline(lines: list[str], images: SequenceNode, entries: Sequence[NewImage]) -> str:
    """Right after the last entry, before the comment, comma or bracket that follows it."""
    text = "".join(lines)
    at = images.value[-1].end_mark.index
    return f"{text[:at]}, {', '.join(entry.text for entry in entries)}{text[at:]}"
