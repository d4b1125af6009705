"""Reads a manifest: a valid `Manifest`, or everything that is wrong with it at once, each fault with its line.

There are three passes: YAML, the shape of each part, and what the parts mean together. Each pass goes on with the parts
that the pass before it could read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from toolkit.errors import Issue, ManifestUnusable
from toolkit.manifest.build_checks import check_builds
from toolkit.manifest.checks import check
from toolkit.manifest.document import Document, Finding, NotYaml, issues_of, read_document
from toolkit.manifest.explain import findings_of
from toolkit.manifest.model import Manifest
from toolkit.manifest.readable import read_parts
from toolkit.oci.local_files import read_regular

MAX_BYTES = 1024 * 1024
"""About ten thousand images; a larger file was named by mistake."""

_HINT = "correct these lines; `toolkit schema` prints every field, for editors too"


def load(path: Path) -> Manifest:
    """The manifest in the file at `path`. Raises ManifestUnusable."""
    return loads(read(path), str(path))


def loads(text: str, file: str) -> Manifest:
    """The manifest in `text`; `file` is what messages call it. Raises ManifestUnusable."""
    if len(text) > MAX_BYTES:
        raise _too_large(file)
    try:
        document = read_document(text)
    except NotYaml as error:
        issue = Issue(file, error.line, "", error.message)
        raise ManifestUnusable("manifest.not_yaml", f"`{file}` is not YAML", [issue]) from error
    if document is None:
        hint = "write one with `toolkit init --force`"
        raise ManifestUnusable("manifest.empty", f"`{file}` is empty", hint=hint)
    findings = list(document.findings)
    manifest: Manifest | None = None
    try:
        manifest = Manifest.model_validate(document.data)
    except ValidationError as error:
        findings += findings_of(error, document)
    readable = read_parts(document)
    found = (*check(readable), *check_builds(readable))
    findings += [replace(finding, path=readable.field_of(finding.path)) for finding in found]
    if manifest is None or findings:
        raise _unusable(file, findings, document)
    return manifest


def _unusable(file: str, findings: Iterable[Finding], document: Document) -> ManifestUnusable:
    issues = issues_of(document, findings, file)
    count = "1 problem" if len(issues) == 1 else f"{len(issues)} problems"
    return ManifestUnusable("manifest.invalid", f"`{file}` has {count}", issues, hint=_HINT)


def read(path: Path) -> str:
    """The text of the file at `path`. Raises ManifestUnusable."""
    try:
        content = read_regular(path, MAX_BYTES + 1)
    except FileNotFoundError as error:
        hint = "write one with `toolkit init`, or name it with `--file`"
        raise ManifestUnusable("manifest.not_found", f"there is no file `{path}`", hint=hint) from error
    except IsADirectoryError as error:
        hint = "name the file in it with `--file`"
        raise ManifestUnusable("manifest.unreadable", f"`{path}` is a directory", hint=hint) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ManifestUnusable("manifest.unreadable", f"`{path}` cannot be read: {reason}") from error
    if len(content) > MAX_BYTES:
        raise _too_large(str(path))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        issue = Issue(str(path), line, "", f"the byte 0x{content[error.start]:02X} is not UTF-8")
        raise ManifestUnusable(
            "manifest.not_utf8", f"`{path}` is not UTF-8 text", [issue], hint="save the file as UTF-8"
        ) from error


def _too_large(file: str) -> ManifestUnusable:
    return ManifestUnusable(
        "manifest.too_large", f"`{file}` has more than {MAX_BYTES:,} bytes, which is too much for a manifest"
    )
