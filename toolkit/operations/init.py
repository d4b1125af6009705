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
from toolkit.oci.local_files import read_regular
from toolkit.operations.scan import Scan, ScanOptions, scan
from toolkit.operations.whole_file import write_whole

DEFAULT_REGION = "us-east-1"

_LONGEST_CONFIG = 64 * 1024
_ORIGIN = re.compile(
    r'^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(?:https://(?:[^@/\s]*@)?|ssh://git@|git@)([\w.-]+)[/:]([\w./-]+?)(?:\.git)?/?\s*$',
    re.MULTILINE,
)
_HOSTS = {"github.com": "GITHUB", "gitlab.com": "GITLAB", "bitbucket.org": "BITBUCKET"}


@dataclass(frozen=True, slots=True)
class Start:
    """The inputs of a first manifest; with `name` None, the manifest is named after the folder `home`."""

    paths: tuple[Path, ...]
    home: Path
    manifest: Path
    name: str | None = None
    region: str = DEFAULT_REGION
    values: Mapping[str, str] = field(default_factory=dict)
    machine: str = "linux/amd64"
    roots: tuple[Path, ...] = ()
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Begun:
    """The number of images and builds written; `left_out` has a sentence for each use that could not be added."""

    images: int
    left_out: tuple[str, ...]
    builds: int = 0


def init(start: Start) -> Begun:
    """Write the manifest. Raises Refused if it exists or nothing is to be mirrored, UsageError for a bad value."""
    refuse_to_overwrite(start.manifest, overwrites=start.overwrites)
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
    return Begun(len(found.additions), left_out, len(_builds_of(start, found)))


def refuse_to_overwrite(manifest: Path, *, overwrites: bool) -> None:
    """Raise Refused if the file exists and is to stay, UsageError if it cannot be named so."""
    try:
        is_there = manifest.resolve().exists()
    except (OSError, RuntimeError) as error:  # too long, or a link that leads to itself
        raise UsageError("usage.not_writable", f"`{manifest}` is not a usable file name") from error
    if is_there and not overwrites:
        hint = "use --force to overwrite it, or `toolkit scan --write` to add to it"
        raise Refused("init.exists", f"`{manifest}` already exists", hint=hint)


def _is_lost(use: ScannedUse) -> bool:
    return bool(use.remedy) and not use.can_be_added and not (use.is_implied and "test_tools" in use.remedy)


def _text(start: Start, found: Scan) -> str:
    head: dict[str, object] = {
        "version": 1,
        "name": name_of(start.home) if start.name is None else start.name,
        "aws": {"region": start.region},
    }
    if start.machine != "linux/amd64":
        head["platforms"] = [start.machine]
    yaml = YAML()
    yaml.default_flow_style = None  # the innermost in one line
    yaml.width = 2**16
    yaml.indent(mapping=2, sequence=4, offset=2)
    stream = io.StringIO()
    stream.write("# Base images of the builds here, made by `toolkit init`; every field: `toolkit schema`.\n")
    yaml.dump(head, stream)
    stream.writelines(["\nimages:\n", *(f"  - {entry.text}\n" for entry in found.additions)])
    if found.has_tests:
        stream.write("\ntest_tools: true\n")
    if builds := _builds_of(start, found):
        stream.write("\n# Where the source is has to be right: each project fetches it from there.\n")
        yaml.dump({"builds": builds}, stream)
    return stream.getvalue()


def _builds_of(start: Start, found: Scan) -> list[dict[str, object]]:
    """A build for each buildspec that builds Dockerfiles from images of the manifest."""
    builds: dict[str, dict[str, object]] = {}
    for one in found.builds:
        if not one.images:
            continue
        path = Path(one.buildspec)
        words = re.sub(r"buildspec", "", path.stem, flags=re.IGNORECASE)
        name = own = _as_name(f"{path.parent.as_posix()}-{words}") or name_of(start.home)
        number = 2
        while name in builds:
            name, number = f"{own}-{number}", number + 1
        builds[name] = {
            "name": name,
            "source": _source(start.home),
            "images": list(one.images),
            "dockerfiles": list(one.dockerfiles),
            "buildspec": one.buildspec,
        }
    return list(builds.values())


def _source(home: Path) -> dict[str, str]:
    """The source of a build: the `origin` of the checkout that has `home`, without a credential."""
    configs = (folder / ".git" / "config" for folder in (home, *home.parents))
    config = next((path for path in configs if path.is_file()), None)
    text = read_regular(config, _LONGEST_CONFIG).decode(errors="replace") if config else ""
    if origin := _ORIGIN.search(text):
        host, path = origin.groups()
        if host in _HOSTS:
            return {"type": _HOSTS[host], "location": f"https://{host}/{path}.git"}
    return {"type": "GITHUB", "location": "https://github.com/OWNER/REPOSITORY.git"}


def name_of(folder: Path) -> str:
    """The folder's name, reduced to what the manifest accepts."""
    return _as_name(folder.name) or "base-images"


def _as_name(text: str) -> str:
    """A text, reduced to what the manifest accepts as a name; empty if nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")[:40].strip("-")
    return name if len(name) > 1 else ""
