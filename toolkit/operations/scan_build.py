"""One build of the manifest that a scan is for: its commands, and the Dockerfiles that its step looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.codebuild.buildspec import commands_of_project
from toolkit.codebuild.buildspec_reading import first_line
from toolkit.codebuild.coverage import Kind
from toolkit.codebuild.dockerfile_reading import MAX_TEXT, Circumstances, read_dockerfile
from toolkit.codebuild.findings import Trouble
from toolkit.manifest.document import read_document
from toolkit.manifest.model import Manifest
from toolkit.oci.local_files import read_regular
from toolkit.operations.buildspec import find_build
from toolkit.operations.scan_files import BuildCommands, FoundImage, FoundTrouble, is_below, roots_of, source_root
from toolkit.plan.desired import DesiredBuild
from toolkit.plan.resolve import resolve


@dataclass(frozen=True, slots=True)
class ScannedBuild:
    """The build, what it runs, the `dockerfiles` that its step reads, where it reads any, and those that it misses.

    Only what lies below `roots` is read here.
    """

    build: DesiredBuild
    commands: BuildCommands
    dockerfiles: tuple[Path, ...]
    absent: tuple[FoundTrouble, ...]
    roots: tuple[Path, ...]

    @property
    def looked_at(self) -> frozenset[Path]:
        """Its Dockerfiles with links followed."""
        return frozenset(path.resolve() for path in self.dockerfiles)

    def images(self, machine: str) -> Iterator[FoundImage]:
        """What the step finds in them: it knows no arguments, and takes the last stage for the target."""
        for path in self.dockerfiles:
            if not (is_below(path, self.roots) and path.is_file()):
                continue
            text = read_regular(path, MAX_TEXT + 1).decode(errors="replace")
            for image in read_dockerfile(text, Circumstances(machine=machine)).images:
                yield FoundImage(path, image)

    def unknown(self, machine: str) -> Iterator[FoundTrouble]:
        """The bases that `direct` cannot write down, for their variables have no default."""
        for found in self.images(machine):
            if found.image.unset and found.image.kind is Kind.FROM:
                message = f"`{found.image.written}` has no default, so the step of `{self.build.name}` ends the build"
                yield FoundTrouble(found.file, Trouble(found.image.line, message, is_fault=True))

    def passes_by(self, files: Iterable[tuple[Path, str]]) -> Iterator[FoundTrouble]:
        """The Dockerfiles among `files`, each with its kind, that the step does not look at."""
        message = f"the step of `{self.build.name}` does not look at it: add it to `dockerfiles`"
        looked_at = self.looked_at
        for path, kind in files:
            if kind == "dockerfile" and path.resolve() not in looked_at:
                yield FoundTrouble(path, Trouble(1, message))


def find_scanned_build(
    manifest: Manifest, file: Path, name: str, paths: Sequence[Path], roots: Iterable[Path] = ()
) -> ScannedBuild:
    """The build called `name` of the manifest in `file`, whose source is among `paths`. UsageError if there is none.

    `roots` are folders of which files may be read besides.
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
    return ScannedBuild(build, commands, dockerfiles, tuple(absent), roots_of(paths, [*roots, root]))


def _dockerfiles(build: DesiredBuild) -> tuple[str, ...]:
    return build.dockerfiles or ("Dockerfile",)


def _root_of(build: DesiredBuild, manifest: Path, paths: Iterable[Path]) -> Path:
    """Where its source begins: in the checkout that is scanned, or beside the manifest if its Dockerfiles are there."""
    roots = [source_root(path / "_", path) if path.is_dir() else source_root(path, path.parent) for path in paths]
    fitting = (root for root in (*roots, manifest.parent) if all((root / one).is_file() for one in _dockerfiles(build)))
    return next(fitting, roots[0])
