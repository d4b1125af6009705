"""The annotations of a result: what is wrong with which line of the manifest, or of a file that was scanned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.ci import Annotation
from toolkit.cli.render.result import Result
from toolkit.cli.render.scan_view import reason_of, word_of
from toolkit.errors import Issue, ToolkitError
from toolkit.report import LEFT

if TYPE_CHECKING:
    from toolkit.codebuild.scan_report import ScanReport
    from toolkit.manifest.document import Document

# How a message says which field of the manifest it is about: `images[3]: …`.
_FIELD = re.compile(r"([a-z_]+(?:\[\d+\]|\.[a-z_]+)*): ")
_PART = re.compile(r"\[(\d+)\]|([a-z_]+)")


def annotations_of(result: Result, manifest: Path | None) -> Iterator[Annotation]:
    """Of `result`. Fields and images are looked up in `manifest`, as it is now."""
    places = _Places(manifest)
    details = []
    for kind, value in result.values.items():
        match kind:
            case "plan":
                details += [places.note(one.code, one.message, one.hint, one.image) for one in value.refusals]
                for notice in value.notices:
                    yield places.note(notice.code, notice.message, notice.hint, is_error=False)
            case "report":
                details += [
                    places.note(one.error_code, f"{one.key}: {one.error_message}", one.hint, one.key)
                    for one in value.failed
                    if one.error_code and one.error_message and one.error_code != LEFT
                ]
            case "scan":
                details += _scan(value, is_error=result.error is not None)
            case "manifest":
                for risk in value.document.get("notices", ()):
                    yield places.note(risk["code"], risk["message"], risk["hint"], is_error=False)
    yield from details
    if result.error and result.error.get("issues"):
        for issue in (Issue(**fields) for fields in result.error["issues"]):
            text = f"{issue.path}: {issue.message}" if issue.path else issue.message
            yield Annotation(True, result.error["code"], text, issue.file, issue.line)
    elif result.error and not details:
        yield Annotation(True, result.error["code"], _with_hint(result.error["message"], result.error["hint"]))


def _scan(report: ScanReport, *, is_error: bool) -> Iterator[Annotation]:
    for use in report.lost:
        remedy = f"\n{use.remedy}" if use.remedy else ""
        text = f"{use.written}: {reason_of(use) or word_of(use)}{remedy}"
        yield Annotation(is_error, f"scan: {word_of(use)}", text, use.file, use.line)
    for trouble in report.troubles:
        yield Annotation(
            is_error and trouble.is_fault, "scan: not understood", trouble.message, trouble.file, trouble.line
        )


def _with_hint(message: str, hint: str | None) -> str:
    return f"{message}\nhint: {hint}" if hint else message


class _Places:
    """Where fields and images of the manifest stand; nowhere if it cannot be read (any more)."""

    def __init__(self, manifest: Path | None) -> None:
        self._manifest = manifest

    def note(
        self, code: str, message: str, hint: str | None, image: str | None = None, *, is_error: bool = True
    ) -> Annotation:
        """An annotation at the field that `message` names, or that asks for `image`."""
        field = _FIELD.match(message)
        path = field[1] if field else self._fields.get(image or "", "")
        line = self._line(path) if path else 0
        file = str(self._manifest) if self._manifest and self._document else ""
        return Annotation(is_error, code, _with_hint(message, hint), file, line)

    def _line(self, path: str) -> int:
        parts = tuple(int(number) if number else name for number, name in _PART.findall(path))
        return self._document.place(parts).line if self._document else 0

    @cached_property
    def _document(self) -> Document | None:
        from toolkit.manifest.document import NotYaml, read_document
        from toolkit.manifest.loader import read

        try:
            return read_document(read(self._manifest)) if self._manifest else None
        except (ToolkitError, NotYaml):
            return None

    @cached_property
    def _fields(self) -> dict[str, str]:
        """The field of each image, by its key."""
        from toolkit.operations.load import load_desired

        try:
            return {image.key: image.path for image in load_desired(self._manifest).images} if self._manifest else {}
        except ToolkitError:
            return {}
