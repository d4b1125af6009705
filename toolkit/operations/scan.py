"""Scan: what would builds of these files fetch, and does the manifest keep it home? Needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.codebuild.coverage import (
    Builder,
    Daemon,
    ImageUse,
    Kind,
    OnMiss,
    Outcome,
    Strategy,
    Trait,
    builder_of,
    outcome,
)
from toolkit.codebuild.findings import NamedImage
from toolkit.codebuild.matching import Match, Matcher
from toolkit.codebuild.scan_report import KEPT, ScannedUse, ScanReport, ScanTrouble
from toolkit.manifest.additions import NewImage, add_images
from toolkit.manifest.grammar import Platforms
from toolkit.manifest.loader import load
from toolkit.oci.reference import Reference
from toolkit.operations.scan_files import FoundImage, read_files
from toolkit.operations.whole_file import write_whole


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """`paths` are files and folders, `manifest` is None for a scan without one; `machine` is the platform that builds.

    File names are shown relative to `home`.
    """

    paths: tuple[Path, ...]
    home: Path
    manifest: Path | None = None
    strategy: Strategy = Strategy.AUTO
    on_miss: OnMiss = "fail"
    values: Mapping[str, str] = field(default_factory=dict)
    machine: str = "linux/amd64"
    daemon: Daemon = field(default_factory=Daemon)


@dataclass(frozen=True, slots=True)
class Scan:
    """The report, and the entries that the manifest lacks."""

    report: ScanReport
    additions: tuple[NewImage, ...]


def scan(options: ScanOptions) -> Scan:
    """Read and judge. Raises ManifestUnusable, and UsageError for a path that is not there."""
    manifest = load(options.manifest) if options.manifest else None
    platforms: Platforms = manifest.platforms if manifest else (options.machine,)
    findings = read_files(options.paths, options.values, options.machine)
    matcher = Matcher(manifest, options.machine, local_tags=findings.tags)
    pairs = [(found, matcher.match(found.image)) for found in findings.images]
    additions = _additions(pairs, options.machine, platforms)
    known: dict[ImageUse, Mapping[Strategy, Mapping[Builder, Outcome]]] = {}
    uses = [_judged(found, match, options, additions, known) for found, match in pairs]
    troubles = [
        ScanTrouble(_shown(one.file, options.home), one.trouble.line, one.trouble.message, one.trouble.is_fault)
        for one in findings.troubles
    ]
    report = ScanReport(
        manifest=str(options.manifest) if options.manifest else None,
        strategy=options.strategy,
        docker_version=options.daemon.version,
        files=dict(sorted((_shown(path, options.home), kind) for path, kind in findings.files.items())),
        uses=tuple(sorted(uses, key=lambda use: (use.file, use.line, use.kind, use.written, use.platform or ""))),
        troubles=tuple(sorted(troubles, key=lambda one: (one.file, one.line, one.message))),
        missing=tuple(entry.text for entry in additions.values()),
    )
    return Scan(report, tuple(additions.values()))


def write_additions(manifest: Path, additions: Sequence[NewImage]) -> None:
    """Add to the manifest's file, all or nothing; a link stays one. Raises Refused where the result would be none."""
    path = manifest.resolve()
    text = path.read_bytes().decode("utf-8")
    write_whole(path, add_images(text, additions, str(manifest)))


def _judged(
    found: FoundImage,
    match: Match,
    options: ScanOptions,
    additions: Mapping[Reference, NewImage],
    known: dict[ImageUse, Mapping[Strategy, Mapping[Builder, Outcome]]],
) -> ScannedUse:
    """The use with what comes of it; `known` are the outcomes of uses alike."""
    image, reference = found.image, match.reference
    builders = {
        one: image.builder or builder_of(one, options.daemon, asks_buildkit=image.asks_buildkit) for one in Strategy
    }
    if match.use not in known:
        known[match.use] = {
            strategy: {one: outcome(match.use, strategy, one, options.daemon, options.on_miss) for one in Builder}
            for strategy in Strategy
        }
    outcomes = known[match.use]
    own = outcomes[options.strategy][builders[options.strategy]]
    is_kept = own.verdict in KEPT
    return ScannedUse(
        file=_shown(found.file, options.home),
        line=image.line,
        kind=image.kind,
        written=image.written,
        reference=str(reference) if reference else None,
        registry=reference.registry if reference else None,
        platform=image.platform,
        is_pinned=bool(reference and reference.digest),
        pulls_always=image.pulls_always,
        unset=image.unset,
        mirror=match.mirror,
        builder=builders[options.strategy],
        is_builder_named=image.builder is not None,
        builders=builders,
        outcome=own,
        outcomes=outcomes,
        is_read=reference is not None or is_kept,
        can_be_added=_is_addable(match),
        remedy="" if is_kept else _remedy(match, image, additions),
    )


def _remedy(match: Match, image: NamedImage, additions: Mapping[Reference, NewImage]) -> str:
    traits, reference = match.use.traits, match.reference
    if image.unset:
        options = [f"`--build-arg {name}=...`" for name in image.unset if name.isidentifier()]
        return f"give values: {' '.join(options)}" if options else ""
    if match.remark or reference is None or Trait.NOT_MIRRORED not in traits or Trait.BUILT_HERE in traits:
        return match.remark
    if not reference.tag and reference.digest:
        return "the manifest needs its tag too: write `NAME:TAG@sha256:...` in the file"
    entry = additions.get(_tagged(reference))
    return f"add `- {entry.text}` to `images`" if entry else ""


def _tagged(reference: Reference) -> Reference:
    return reference.with_tag(reference.tag or "latest")


def _is_addable(match: Match) -> bool:
    traits = match.use.traits
    reference = match.reference
    if reference is None or match.remark or match.use.kind is Kind.CACHE_FROM:
        return False
    if reference.digest and not reference.tag:
        return False
    return Trait.NOT_MIRRORED in traits and not traits & {Trait.HOME, Trait.BUILT_HERE, Trait.STAGE_UNUSED}


def _additions(
    pairs: Iterable[tuple[FoundImage, Match]], machine: str, defaults: Platforms
) -> dict[Reference, NewImage]:
    """What would have to be mirrored besides, by tag and in order of name; an index that is pinned is kept whole."""
    wanted: dict[Reference, set[str]] = {}
    pinned: dict[Reference, Reference] = {}
    for found, match in pairs:
        reference = match.reference
        if reference is None or not _is_addable(match):
            continue
        tagged = _tagged(reference)
        wanted.setdefault(tagged, set()).add(found.image.platform or machine)
        if reference.digest:
            pinned.setdefault(tagged, reference)
    additions = {}
    for tagged, platforms in sorted(wanted.items(), key=lambda pair: str(pair[0])):
        if tagged in pinned:
            additions[tagged] = NewImage(pinned[tagged].familiar, "all")
        else:
            is_default = defaults == "all" or platforms <= set(defaults)
            additions[tagged] = NewImage(tagged.familiar, None if is_default else tuple(sorted(platforms)))
    return additions


def _shown(path: Path, home: Path) -> str:
    """The path as a person at `home` writes it, with `/` on every system."""
    absolute = path if path.is_absolute() else home / path
    return (absolute.relative_to(home) if absolute.is_relative_to(home) else path).as_posix()
