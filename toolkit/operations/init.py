"""Init: writes a first manifest from a scan."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML

from toolkit.codebuild.scan_report import ScannedUse
from toolkit.errors import ManifestUnusable, Refused, UsageError
from toolkit.manifest.loader import loads
from toolkit.operations.scan import Scan, ScanOptions, scan
from toolkit.operations.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class Start:
    """The inputs of a first manifest; with `name` None, the manifest is named after the folder `home`."""

    paths: tuple[Path, ...]
    home: Path
    manifest: Path
    name: str | None = None
    region: str = "us-east-1"
    values: Mapping[str, str] = field(default_factory=dict)
    machine: str = "linux/amd64"
    roots: tuple[Path, ...] = ()
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The number of images written; `left_out` has a sentence for each use that could not be added."""

    images: int
    left_out: tuple[str, ...]


def init(start: Start) -> Begun:
    """Write the manifest. Raises Refused if it exists or nothing is to be mirrored, UsageError for a bad value."""
    try:
        is_there = start.manifest.resolve().exists()
    except (OSError, RuntimeError) as error:  # too long, or a link that leads to itself
        raise UsageError("usage.not_writable", f"`{start.manifest}` is not a usable file name") from error
    if is_there and not start.overwrites:
        hint = "use --force to overwrite it, or `toolkit scan --write` to add to it"
        raise Refused("init.exists", f"`{start.manifest}` already exists", hint=hint)
    found = scan(ScanOptions(start.paths, start.home, values=start.values, machine=start.machine, roots=start.roots))
    reasons = (
        *(f"{use.file}:{use.line}: `{use.written}`: {use.remedy}" for use in found.report.uses if _is_lost(use)),
        *(f"{trouble.file}:{trouble.line}: {trouble.message}" for trouble in found.report.troubles),
    )
    left_out = tuple(dict.fromkeys(reasons))
    if not found.additions:
        shown = ", ".join(f"`{path}`" for path in start.paths)
        more = f"; {'; '.join(left_out)}" if left_out else ""
        hint = "name the files that your builds read"
        raise Refused("init.nothing", f"no image to mirror was found in {shown}{more}", hint=hint)
    text = _text(start, found)
    try:
        loads(text, str(start.manifest))
    except ManifestUnusable as error:
        why = "; ".join(f"{issue.path} {issue.message}" for issue in error.issues)
        is_asked_for = all(issue.path in ("name", "aws.region") for issue in error.issues)
        hint = (
            "give `--name` and `--region` other values" if is_asked_for else "correct that in the files of your builds"
        )
        raise UsageError("usage.value", f"the manifest would not be valid: {why}", hint=hint) from error
    write_whole(start.manifest, text)
    return Begun(len(found.additions), left_out)


def _is_lost(use: ScannedUse) -> bool:
    return bool(use.remedy) and not use.can_be_added


def _text(start: Start, found: Scan) -> str:
    head: dict[str, object] = {
        "version": 1,
        "name": _name_of(start.home) if start.name is None else start.name,
        "aws": {"region": start.region},
    }
    if start.machine != "linux/amd64":
        head["platforms"] = [start.machine]
    yaml = YAML()
    yaml.default_flow_style = None  # the innermost in one line
    yaml.width = 2**16
    stream = io.StringIO()
    stream.write("# Base images of the builds here, made by `toolkit init`; every field: `toolkit schema`.\n")
    yaml.dump(head, stream)
    stream.writelines(["\nimages:\n", *(f"  - {entry.text}\n" for entry in found.additions)])
    return stream.getvalue()


def _name_of(folder: Path) -> str:
    """The folder's name, reduced to what the manifest accepts."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).lstrip("-0123456789")[:40].strip("-")
    return name if len(name) > 1 else "base-images"
