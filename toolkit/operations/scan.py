"""Scan: the images that builds of these files would fetch, and whether the manifest keeps each build home.

Needs no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.codebuild.build_list import BuildList
from toolkit.codebuild.buildspec import commands_of_project
from toolkit.codebuild.buildspec_reading import first_line
from toolkit.codebuild.coverage import Builder, Daemon, ImageUse, Kind, Outcome, Trait, Verdict, builder_of, outcome
from toolkit.codebuild.dockerfile_reading import MAX_TEXT, Circumstances, read_dockerfile
from toolkit.codebuild.findings import NamedImage, Trouble
from toolkit.codebuild.matching import Match, Matcher, platform_of
from toolkit.codebuild.scan_report import KEPT, ScannedUse, ScanReport, ScanTrouble
from toolkit.codebuild.testcontainers_reading import PINNED, RYUK
from toolkit.errors import UsageError
from toolkit.manifest.additions import add_images
from toolkit.manifest.document import NewImage, read_document
from toolkit.manifest.grammar import Platforms
from toolkit.manifest.loader import load
from toolkit.manifest.model import Manifest
from toolkit.manifest.strategy import OnMiss, Strategy
from toolkit.oci.local_files import read_regular
from toolkit.oci.reference import Reference
from toolkit.operations.buildspec import find_build
from toolkit.operations.scan_files import (
    BuildCommands,
    Findings,
    FoundImage,
    FoundTrouble,
    is_below,
    read_files,
    roots_of,
    source_root,
)
from toolkit.operations.whole_file import write_whole
from toolkit.plan.desired import DesiredBuild
from toolkit.plan.resolve import resolve


@dataclass(frozen=True, slots=True)
class ScanOptions:
    """`paths` are files and folders, `manifest` is None for a scan without one; `machine` is the platform that builds.

    `build` names one build of the manifest. Its strategy, `on_miss` and machine apply where they are None here;
    without a build the defaults are `auto`, `fail` and `linux/amd64`. `values` are build arguments in Dockerfiles and
    variables in other files. File names are shown relative to `home`. Files may refer to other files below the
    checkouts of `paths` and below `roots`. `reached_only` leaves out stages that no build needs, in Dockerfiles that
    some build reads; a scan for one `build` does the same. `is_strict`: commands that run what is not read are faults.
    """

    paths: tuple[Path, ...]
    home: Path
    manifest: Path | None = None
    build: str | None = None
    strategy: Strategy | None = None
    on_miss: OnMiss | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    machine: str | None = None
    daemon: Daemon = field(default_factory=Daemon)
    roots: tuple[Path, ...] = ()
    reached_only: bool = False
    is_strict: bool = False


@dataclass(frozen=True, slots=True)
class FoundBuild:
    """What a buildspec builds: paths from the root of its source, and the images of its files as they are spelled."""

    buildspec: str
    dockerfiles: tuple[str, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """The report, the entries that the manifest lacks, and the builds of the buildspecs that were read.

    `has_tests`: a library of Testcontainers takes its helpers from variables.
    """

    report: ScanReport
    additions: tuple[NewImage, ...]
    builds: tuple[FoundBuild, ...] = ()
    has_tests: bool = False


@dataclass(frozen=True, slots=True)
class _ScannedBuild:
    """One build of the manifest: its commands, the `dockerfiles` that its step reads, and faults for absent ones.

    Only files below `roots` are read.
    """

    build: DesiredBuild
    commands: BuildCommands
    dockerfiles: tuple[Path, ...]
    absent: tuple[FoundTrouble, ...]
    roots: tuple[Path, ...]

    @property
    def looked_at(self) -> frozenset[Path]:
        """Its Dockerfiles, with links resolved."""
        return frozenset(path.resolve() for path in self.dockerfiles)

    def images(self, machine: str) -> Iterator[FoundImage]:
        """The images that the step finds: it knows no build arguments and takes the last stage as the target."""
        for path in self.dockerfiles:
            if not (is_below(path, self.roots) and path.is_file()):
                continue
            text = read_regular(path, MAX_TEXT + 1).decode(errors="replace")
            for image in read_dockerfile(text, Circumstances(machine=machine)).images:
                yield FoundImage(path, image)

    def unknown(self, machine: str) -> Iterator[FoundTrouble]:
        """The base images that `direct` cannot rewrite, because a variable has no default."""
        for found in self.images(machine):
            if found.image.unset and found.image.kind is Kind.FROM:
                message = f"`{found.image.written}` has no default, so the step of `{self.build.name}` ends the build"
                yield FoundTrouble(found.file, Trouble(found.image.line, message, is_fault=True))

    def passes_by(self, files: Iterable[tuple[Path, str]]) -> Iterator[FoundTrouble]:
        """The Dockerfiles among `files` that the step does not read."""
        message = f"the step of `{self.build.name}` does not read it: add it to `dockerfiles`"
        looked_at = self.looked_at
        for path, kind in files:
            if kind == "dockerfile" and path.resolve() not in looked_at:
                yield FoundTrouble(path, Trouble(1, message))


@dataclass(frozen=True, slots=True)
class _Way:
    """The settings of a scan: those of the options, else of the build `scanned`, else the defaults."""

    options: ScanOptions
    scanned: _ScannedBuild | None
    strategy: Strategy
    on_miss: OnMiss
    machine: str

    @property
    def build(self) -> DesiredBuild | None:
        """The build that the scan is for, if it is for one."""
        return self.scanned.build if self.scanned else None

    def troubles(self, findings: Findings) -> Iterator[FoundTrouble]:
        """The lines that were not understood, and the Dockerfiles that the build's step does not find or read."""
        yield from findings.troubles
        said = {(one.file, one.trouble.line) for one in findings.troubles}
        for found in findings.images:
            if _has_no_platform(found) and (found.file, found.image.line) not in said:
                message = f"`{found.image.platform}` is not a platform"
                yield FoundTrouble(found.file, Trouble(found.image.line, message, is_fault=True))
        has_to_read = self.on_miss == "fail" or bool(self.strategy.variable)
        if self.scanned and has_to_read and self.strategy is not Strategy.LOGIN:
            yield from self.scanned.absent
            yield from self.scanned.passes_by(findings.files.items())
        if self.scanned and self.strategy is Strategy.DIRECT:
            yield from self.scanned.unknown(self.machine)


def scan(options: ScanOptions) -> Scan:
    """Read the files and judge each use. Raises ManifestUnusable, and UsageError for an unknown path or build."""
    manifest = load(options.manifest) if options.manifest else None
    way = _way(options, manifest)
    platforms: Platforms = manifest.platforms if manifest else (way.machine,)
    commands = way.scanned.commands if way.scanned else None
    reached_only = options.reached_only or way.build is not None
    findings = read_files(
        options.paths, options.values, way.machine, commands, options.roots, reached_only=reached_only
    )
    listed = None
    if way.build and way.strategy is not Strategy.LOGIN:  # a login lists nothing
        listed = BuildList(way.build, way.strategy, options.daemon, findings.command_tags)
    matcher = Matcher(manifest, way.machine, strategy=way.strategy, listed=listed)
    looked_at = way.scanned.looked_at if way.scanned else ()
    pairs = [
        (found, matcher.match(found.image, built_by, is_looked_at=found.file.resolve() in looked_at))
        for found, built_by in findings.images.items()
    ]
    pairs += _only_for_step(way, matcher, [found for found, match in pairs if _ends_step(match, way)])
    additions = _additions(pairs, way.machine, platforms)
    known: dict[ImageUse, Mapping[Strategy, Mapping[Builder, Outcome]]] = {}
    uses = [_judged(found, match, way, additions, known, findings.images.get(found)) for found, match in pairs]
    troubles = [
        ScanTrouble(
            _shown(one.file, options.home),
            one.trouble.line,
            one.trouble.message,
            one.trouble.is_fault or (options.is_strict and one.trouble.hides),
        )
        for one in way.troubles(findings)
    ]
    report = ScanReport(
        manifest=str(options.manifest) if options.manifest else None,
        build=way.build.name if way.build else None,
        strategy=way.strategy,
        docker_version=options.daemon.version,
        files=dict(sorted((_shown(path, options.home), kind) for path, kind in findings.files.items())),
        uses=tuple(sorted(uses, key=lambda use: (use.file, use.line, use.kind, use.written, use.platform or ""))),
        troubles=tuple(sorted(set(troubles), key=lambda one: (one.file, one.line, one.message))),
        missing=tuple(entry.text for entry in additions.values()),
    )
    has_tests = any(found.image.is_implied and _remedy_of_helper(found.image, None) for found in findings.images)
    return Scan(report, tuple(additions.values()), tuple(_builds(findings, pairs)), has_tests)


def _builds(findings: Findings, pairs: Sequence[tuple[FoundImage, Match]]) -> Iterator[FoundBuild]:
    """The buildspecs that build Dockerfiles, with the images that those fetch and a manifest can mirror."""
    for spec, used in sorted(findings.used_by.items()):
        root = findings.roots[spec].resolve()
        dockerfiles = [path for path in used if findings.files.get(path) == "dockerfile"]
        if not dockerfiles or not all(path.resolve().is_relative_to(root) for path in (spec, *dockerfiles)):
            continue
        images = [found.image.name for found, match in pairs if found.file in used and _is_addable(match)]
        yield FoundBuild(
            spec.resolve().relative_to(root).as_posix(),
            tuple(sorted(path.resolve().relative_to(root).as_posix() for path in dockerfiles)),
            tuple(sorted(set(images))),
        )


def _way(options: ScanOptions, manifest: Manifest | None) -> _Way:
    """The settings of the build that the options name, overridden by the options."""
    scanned = build = None
    if options.build is not None:
        if manifest is None or options.manifest is None:
            hint = "name its manifest by `--manifest`"
            raise UsageError("scan.no_manifest", f"there is no manifest that has a build `{options.build}`", hint=hint)
        scanned = _find_scanned_build(manifest, options.manifest, options.build, options.paths, options.roots)
        build = scanned.build
    machine = "linux/arm64" if build and build.environment_type.startswith("ARM_") else "linux/amd64"
    return _Way(
        options,
        scanned,
        strategy=options.strategy or (build.strategy if build else Strategy.AUTO),
        on_miss=options.on_miss or (build.on_miss if build else "fail"),
        machine=options.machine or machine,
    )


def _find_scanned_build(
    manifest: Manifest, file: Path, name: str, paths: Sequence[Path], roots: Iterable[Path] = ()
) -> _ScannedBuild:
    """The build `name` of the manifest in `file`, whose source is among `paths`. Raises UsageError if there is none.

    Files below `roots` may be read too.
    """
    build = find_build(resolve(manifest), name)
    number = next(number for number, one in enumerate(manifest.builds) if one.name == build.name)
    text = file.read_text(encoding="utf-8")
    document = read_document(text)
    root = _root_of(build, file, paths)

    def line_of(field: str, position: int) -> int:
        return first_line(document, ("builds", number, field, position), text.split("\n")) if document else 1

    absent = []
    for position, path in enumerate(build.dockerfiles):
        if not (root / path).is_file():
            message = f"there is no `{path}` in the source, so the step of `{build.name}` ends the build"
            absent.append(FoundTrouble(file, Trouble(line_of("dockerfiles", position), message, is_fault=True)))
    spec = build.settings.buildspec_path
    texts = [(line_of("commands", at), text) for at, text in enumerate(commands_of_project(build)) if not spec]
    commands = BuildCommands(file, root, tuple(texts), spec, build.environment_variables)
    dockerfiles = tuple(root / path for path in _dockerfiles(build))
    return _ScannedBuild(build, commands, dockerfiles, tuple(absent), roots_of(paths, [*roots, root]))


def _dockerfiles(build: DesiredBuild) -> tuple[str, ...]:
    return build.dockerfiles or ("Dockerfile",)


def _root_of(build: DesiredBuild, manifest: Path, paths: Iterable[Path]) -> Path:
    """The root of its source: a scanned checkout, or the manifest's folder if the Dockerfiles are there."""
    roots = [source_root(path / "_", path) if path.is_dir() else source_root(path, path.parent) for path in paths]
    fitting = (root for root in (*roots, manifest.parent) if all((root / one).is_file() for one in _dockerfiles(build)))
    return next(fitting, roots[0])


def _ends_step(match: Match, way: _Way) -> bool:
    found = outcome(match.use, way.strategy, Builder.BUILDKIT, way.options.daemon, way.on_miss)
    return found.by is Trait.NOT_LISTED and found.verdict is Verdict.REFUSED


def _only_for_step(way: _Way, matcher: Matcher, known: Iterable[FoundImage]) -> Iterator[tuple[FoundImage, Match]]:
    """Images that end the build's step although no build fetches them, except those in `known`."""
    places = {(one.file.resolve(), one.image.line, one.image.written) for one in known}
    for found in way.scanned.images(way.machine) if way.scanned else ():
        match = matcher.match(found.image)
        if _ends_step(match, way) and (found.file.resolve(), found.image.line, found.image.written) not in places:
            yield found, match


def write_additions(manifest: Path, additions: Sequence[NewImage]) -> None:
    """Add to the manifest's file, all or nothing; a link stays a link. Raises Refused for an unusable result."""
    text = manifest.read_bytes().decode("utf-8")
    write_whole(manifest, add_images(text, additions, str(manifest)))


def _judged(
    found: FoundImage,
    match: Match,
    way: _Way,
    additions: Mapping[Reference, NewImage],
    known: dict[ImageUse, Mapping[Strategy, Mapping[Builder, Outcome]]],
    built_by: Path | None,
) -> ScannedUse:
    """The use with its outcomes; `known` caches outcomes of equal uses."""
    image, reference = found.image, match.reference
    daemon = way.options.daemon
    builders = {one: image.builder or builder_of(one, daemon, asks_buildkit=image.asks_buildkit) for one in Strategy}
    if match.use not in known:
        known[match.use] = {
            strategy: {one: outcome(match.use, strategy, one, daemon, way.on_miss) for one in Builder}
            for strategy in Strategy
        }
    outcomes = known[match.use]
    own = outcomes[way.strategy][builders[way.strategy]]
    is_kept = own.verdict in KEPT
    return ScannedUse(
        file=_shown(found.file, way.options.home),
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
        built_by=_shown(built_by, way.options.home) if built_by and own.by is Trait.BUILT_HERE else None,
        is_unreached=image.is_unreached and not (image.is_unused and builders[way.strategy] is Builder.LEGACY),
        builder=builders[way.strategy],
        is_builder_named=image.builder is not None,
        builders=builders,
        outcome=own,
        outcomes=outcomes,
        is_read=reference is not None or is_kept,
        can_be_added=_is_addable(match),
        doubt=image.doubt,
        is_implied=image.is_implied,
        remedy="" if is_kept else _remedy(match, image, way.build, additions),
    )


def _remedy(
    match: Match, image: NamedImage, build: DesiredBuild | None, additions: Mapping[Reference, NewImage]
) -> str:
    traits, reference = match.use.traits, match.reference
    if image.is_implied:
        return _remedy_of_helper(image, build)
    if image.doubt:
        return "name the image in the source"
    if image.unset:
        options = [f"`--build-arg {name}=...`" for name in image.unset if name.isidentifier()]
        return f"give values: {' '.join(options)}" if options else ""
    if Trait.OF_CI in traits and match.mirror:
        return "name ECR's copy there"
    if match.remark or reference is None or Trait.NOT_MIRRORED not in traits or Trait.BUILT_HERE in traits:
        return match.remark
    if not reference.tag and reference.digest:
        return "the manifest needs its tag too: write `NAME:TAG@sha256:...` in the file"
    entry = additions.get(_tagged(reference))
    if entry is None:
        return ""
    remedy = f"add `- {entry.text}` to `images`"
    if Trait.OF_CI in traits:
        return f"{remedy}, and name ECR's copy there"
    if build and build.strategy.serves:
        remedy += f", and `- {NewImage(reference.familiar).text}` to those of the build `{build.name}`"
    return remedy


def _remedy_of_helper(image: NamedImage, build: DesiredBuild | None) -> str:
    """What has ECR serve a container that Testcontainers starts by itself."""
    variables = [name for name, libraries in PINNED[image.name].items() if image.library in libraries]
    if not variables:
        return "" if image.name != RYUK else "set `TESTCONTAINERS_RYUK_DISABLED=true` for the tests"
    remedy = f"say `test_tools: true`, and the step of a build sets `{variables[0]}`"
    return remedy if build is None or build.strategy.serves else ""


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


def _has_no_platform(found: FoundImage) -> bool:
    return bool(found.image.platform) and platform_of(found.image.platform) is None


def _additions(
    pairs: Iterable[tuple[FoundImage, Match]], machine: str, defaults: Platforms
) -> dict[Reference, NewImage]:
    """The images that the manifest lacks, by tag and in order of name; a pinned index is kept whole."""
    wanted: dict[Reference, set[str]] = {}
    pinned: dict[Reference, Reference] = {}
    for found, match in pairs:
        reference = match.reference
        if reference is None or not _is_addable(match):
            continue
        tagged = _tagged(reference)
        is_platform = platform_of(found.image.platform) is not None
        wanted.setdefault(tagged, set()).add((is_platform and found.image.platform) or machine)
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
    """The path relative to `home`, with `/` on every system."""
    absolute = path if path.is_absolute() else home / path
    return (absolute.relative_to(home) if absolute.is_relative_to(home) else path).as_posix()
