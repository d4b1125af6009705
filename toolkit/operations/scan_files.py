"""The files of a scan: found, read, and followed from builds to Dockerfiles.

A folder is walked without Git. A pipeline's checkout lacks ignored files, and the result has to be the same there and
on a laptop. Folders of third-party code are left out (`SKIPPED`), and linked folders are not walked.

A file of the tree may name a path anywhere on the machine, and a link may lead there. Only files below the roots of the
scan, with links resolved, are read. Of any other path the scan shows the name, not even whether it exists.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from toolkit.codebuild.bake_reading import read_bake
from toolkit.codebuild.build_list import tagged_name, tagged_names
from toolkit.codebuild.buildspec_reading import read_buildspec
from toolkit.codebuild.ci_reading import read_ci
from toolkit.codebuild.compose_model import CannotRead
from toolkit.codebuild.compose_reading import read_compose
from toolkit.codebuild.docker_commands import CommandReader
from toolkit.codebuild.dockerfile_reading import MAX_TEXT, Circumstances, read_dockerfile
from toolkit.codebuild.dotenv import read_dotenv
from toolkit.codebuild.findings import Build, Follow, NamedImage, Reading, Removal, Trouble
from toolkit.codebuild.shell_state import SOURCE
from toolkit.codebuild.testcontainers_reading import (
    LANGUAGES,
    NEEDS_NEW,
    RYUK,
    implied,
    prefixed,
    read_properties,
    read_settings,
    read_tests,
    ryuk_of_go,
    uses_testcontainers,
)
from toolkit.codebuild.variables import Values
from toolkit.errors import UsageError
from toolkit.oci.local_files import read_regular
from toolkit.oci.reference import parsed
from toolkit.operations.scan_names import begins_as_dockerfile, has_usual_name, kind_of, look_alike, may_be_test

SKIPPED = frozenset(
    {".git", ".hg", ".svn", "node_modules", "vendor", ".venv", "venv", ".tox", "__pycache__", ".terraform", ".toolkit"}
)

_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
_USUAL = {
    "compose": _COMPOSE,
    "bake": (
        "docker-bake.json",
        "docker-bake.hcl",
        "docker-bake.override.json",
        "docker-bake.override.hcl",
        *_COMPOSE,
    ),
}
"""The files that a tool looks for if none is named: compose the first that exists, bake all of them."""
_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
_SUFFIXES = (".yml", ".yaml")
_OUTSIDE = "lies outside of what is scanned and was not read; `--root` takes a folder that holds it"
_Find = Callable[[str], Path | None]
"""From a canonical name to the file that makes the local image of that name."""
_NOBODY = Follow(0, "", "")
"""For a file that no command uses."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image and the file that names it."""

    file: Path
    image: NamedImage


@dataclass(frozen=True, slots=True)
class FoundTrouble:
    """A line that was not understood, and its file."""

    file: Path
    trouble: Trouble


@dataclass(slots=True)
class Findings:
    """What all files say together; `files` are those that were read, with their kind.

    `images` maps each image to the file that builds a local image of its name before it is fetched, if the same file
    or the same commands do. `command_tags` are the names that commands give to images; a step knows no others.
    `used_by` are the files that the commands of each buildspec use, itself among them; `roots` is where they run.
    """

    files: dict[Path, str] = field(default_factory=dict)
    images: dict[FoundImage, Path | None] = field(default_factory=dict)
    troubles: dict[FoundTrouble, None] = field(default_factory=dict)
    command_tags: set[str] = field(default_factory=set)
    used_by: dict[Path, dict[Path, None]] = field(default_factory=dict)
    roots: dict[Path, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BuildCommands:
    """The commands of one build at the `root` of its source: `texts` in `file` with their lines, or `buildspec`."""

    file: Path
    root: Path
    texts: tuple[tuple[int, str], ...] = ()
    buildspec: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)


def roots_of(paths: Iterable[Path], more: Iterable[Path] = ()) -> tuple[Path, ...]:
    """The folders below which files may be read: the checkouts of `paths`, else their own folders, and `more`."""
    folders = [source_root(path / "_", path) if path.is_dir() else source_root(path, path.parent) for path in paths]
    return tuple(dict.fromkeys(folder.resolve() for folder in (*folders, *more)))


def is_below(path: Path, roots: Iterable[Path]) -> bool:
    """Whether `path`, with links resolved, is below one of `roots`, which are resolved already."""
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, a NUL
        return False
    return any(found.is_relative_to(root) for root in roots)


def read_files(
    paths: Iterable[Path],
    values: Mapping[str, str],
    machine: str,
    commands: BuildCommands | None = None,
    roots: Iterable[Path] = (),
    *,
    reached_only: bool = False,
) -> Findings:
    """Read everything below `paths`, and what `commands` build. Raises UsageError for a path that does not exist.

    `values` are build arguments in Dockerfiles and variables in other files. Files below `roots` may be read too.
    `reached_only` leaves out stages that no build needs, in Dockerfiles that some build reads.
    """
    paths = list(paths)
    missing = [path for path in (*paths, *roots) if not path.exists()]
    if missing:
        named = ", ".join(f"`{path}`" for path in missing)
        raise UsageError("usage.no_such_path", f"there is no {named}", hint="name files or folders to be scanned")
    scan = _Scan(values, machine, roots_of(paths, [*roots, commands.root] if commands else roots))
    for path in paths:
        if path.is_dir():
            for found in _walk(path, scan.refuse):
                if kind := kind_of(found):
                    scan.add(found, kind, path)
                elif look_alike(found):
                    scan.pass_by(found)
                else:
                    scan.look_for_tests(found)
        else:
            kind = kind_of(path) or scan.kind_by_content(path)
            if kind == "tests":
                scan.look_for_tests(path, is_named=True)
            else:
                scan.add(path, kind, path.parent, is_named=True)
    if commands:
        scan.run(commands)
    scan.finish(reached_only=reached_only, is_of_build=commands is not None)
    return scan.findings


def _walk(folder: Path, refuse: Callable[[OSError], None]) -> Iterator[Path]:
    """The files whose names are known or look like it, and what may be a test. Pipes are not among them."""
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if name not in SKIPPED)
        found = (Path(parent) / name for name in sorted(files))
        known = (path for path in found if kind_of(path) or look_alike(path) or may_be_test(path))
        yield from (path for path in known if path.is_file() or not path.exists())


@dataclass(frozen=True, slots=True)
class _Test:
    """What a file says about containers of tests; `properties` are those of a `testcontainers.properties`."""

    language: str
    reading: Reading
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """An image of a stage that one build does not need; `is_behind`: the stage comes after the target."""

    file: Path
    image: NamedImage
    find: _Find
    is_behind: bool = False


class _Scan:
    def __init__(self, values: Mapping[str, str], machine: str, roots: tuple[Path, ...]) -> None:
        self._values = values
        self._machine = machine
        self._roots = roots
        self._named: set[Path] = set()
        self._passed_by: list[Path] = []
        self._unasked: dict[Path, tuple[str, Path]] = {}
        self._built: set[Path] = set()
        self._seen: dict[Path, list[tuple[Follow, Mapping[str, Path]]]] = {}
        self._overlays: set[Path] = set()
        self._made: defaultdict[Path, dict[str, Path]] = defaultdict(dict)
        self._settled: frozenset[FoundImage] = frozenset()
        self._reached: set[tuple[Path, int, str, str]] = set()
        self._left_out: list[_LeftOut] = []
        self._tests: dict[Path, _Test] = {}
        self._runs: list[tuple[Path, Follow, Mapping[str, Path], Path | None]] = []
        self._spec: Path | None = None
        self.findings = Findings()

    def kind_by_content(self, path: Path) -> str:
        """The kind of a file that the user named and whose name says nothing."""
        if path.suffix.lower() in LANGUAGES or path.suffix == ".properties":
            return "tests"
        if path.suffix in (".hcl", ".json"):
            return "bake"
        if path.suffix not in (".yml", ".yaml"):
            return "dockerfile"
        return "buildspec" if "\nphases:" in f"\n{self._read(path) or ''}" else "compose"

    def add(self, path: Path, kind: str, root: Path, *, is_named: bool = False) -> None:
        """Add a file to the scan; the commands of a buildspec run at `root`."""
        self.findings.files[path] = kind
        if is_named:
            self._named.add(path)
        self._unasked[path] = kind, root

    def look_for_tests(self, path: Path, *, is_named: bool = False) -> None:
        """Read a source or settings file if it may start containers by Testcontainers."""
        text = None if path.is_symlink() and not is_named else _glance(path)
        language = LANGUAGES.get(path.suffix.lower(), "java")
        if text is None:
            return
        if path.name.lstrip(".") == "testcontainers.properties":
            self._tests[path] = _Test(language, *read_properties(text))
        elif path.suffix.lower() not in LANGUAGES:
            if "bc:tc:" in text:
                self._tests[path] = _Test(language, read_settings(text))
        elif uses_testcontainers(text, language):
            needs_new = path.suffix.lower() in NEEDS_NEW
            self._tests[path] = _Test(language, read_tests(text, language, self._values, needs_new=needs_new))

    def pass_by(self, path: Path) -> None:
        """Note a file that only looks like one that is read."""
        self._passed_by.append(path)

    def _read_whole(self, path: Path, kind: str, root: Path, follow: Follow, there: Mapping[str, Path]) -> None:
        """Read a file other than a Dockerfile, for the command `follow` that uses it; `there` are local images."""
        asked = replace(follow, line=0, path="", kind=kind)
        seen = self._seen.setdefault(path, [])
        if any(asked == known and before.keys() <= there.keys() for known, before in seen):
            return  # a local image counts only if it exists in every such use
        seen.append((asked, there))
        self.findings.files.setdefault(path, kind_of(path) or kind)
        outer = self._spec
        if kind == "buildspec":
            self._spec = path
        self._use(path)
        self._read_asked(path, kind, root, asked, there)
        self._spec = outer

    def _use(self, path: Path) -> None:
        """Note that the buildspec which is being read uses a file."""
        if self._spec:
            self.findings.used_by.setdefault(self._spec, {})[path] = None

    def _read_asked(self, path: Path, kind: str, root: Path, asked: Follow, there: Mapping[str, Path]) -> None:
        text = self._read(path)
        if text is None:
            return
        folder = Path(asked.folder) if asked.folder else path.parent
        given = {**asked.values, **self._values}
        above = list(map(Path, asked.above))
        files = [os.path.relpath(one, folder) for one in (path, *above)]
        self._overlays.update(above)
        match kind:
            case "compose" | "bake":
                own = self._environment([Path(one) for one in asked.env_files] or [folder / ".env"], given)
                around = {"PWD": ".", **own, **given}
                tree = _Tree(self, folder)
                reading = (
                    read_compose(files, tree, around, pulls_always=asked.pulls_always)
                    if kind == "compose"
                    else read_bake(files, tree, given, asked, compose_values=around)
                )
            case _:
                reading, folder = read_buildspec(text, self._values, asked.values), source_root(path, root)
                self.findings.roots[path] = folder
        self._take_whole(path, folder, reading, asked, there)
        if kind == "buildspec":
            self._note_commands(reading)

    def run(self, commands: BuildCommands) -> None:
        """Read the commands of a build."""
        if commands.buildspec:
            project = replace(_NOBODY, values=commands.values)
            self._read_whole(commands.root / commands.buildspec, "buildspec", commands.root, project, {})
        reader = CommandReader({**commands.values, **self._values}, self._values)
        for line, text in commands.texts:
            reader.read(text, line)
        self._take_whole(commands.file, commands.root, reader.reading, _NOBODY, {})
        self._note_commands(reader.reading)

    def _note_commands(self, reading: Reading) -> None:
        self.findings.command_tags.update(tag for tag in reading.tags if isinstance(tag, str))

    def _take_whole(self, path: Path, folder: Path, reading: Reading, asked: Follow, there: Mapping[str, Path]) -> None:
        """Note what a file says, and read its builds and the files that it uses.

        `asked` is the command that uses it; `there` are the local images that exist before.
        """
        made: dict[str, list[tuple[int, Path | None]]] = {name: [(-1, file)] for name, file in there.items()}

        def file_of(name: str) -> Path:
            return _joined(folder, name) if name else path

        def found_at(number: int) -> _Find:
            def find(name: str) -> Path | None:
                return next((file for position, file in reversed(made.get(name, ())) if position < number), None)

            return find

        def there_at(number: int) -> dict[str, Path]:
            find = found_at(number)
            return {name: file for name in made if (file := find(name))}

        for position, tag in enumerate(reading.tags):
            names: Mapping[str, Path | None] = {}
            if isinstance(tag, str):
                names = dict.fromkeys(tagged_names([tag]), file_of(reading.makers.get(tag, "")))
            elif isinstance(tag, Removal):
                names = dict.fromkeys(tagged_names(tag.names) if tag.names else made)
            elif tag.kind == "tests":
                self._runs.append((_joined(folder, tag.path), tag, there_at(position), self._spec))
            else:
                asked_file = replace(tag, builder=tag.builder or asked.builder, args={**tag.args, **asked.args})
                is_apart = tag.kind == "buildspec"  # each build of a batch has a machine of its own
                found = self._follow(path, folder, asked_file, {} if is_apart else there_at(position))
                names = {} if is_apart else found
            for name, file in names.items():
                made.setdefault(name, []).append((position, file))
        last = {name: history[-1] for name, history in made.items()}
        self._made[path].update((name, file) for name, (position, file) in last.items() if position >= 0 and file)
        for file in map(file_of, reading.files):
            self.findings.files.setdefault(file, kind_of(file) or "compose")
            self._seen.setdefault(file, [])
            self._use(file)
        for trouble in reading.troubles:
            self._trouble(file_of(trouble.file), trouble)
        for image in reading.images:
            self._note_image(file_of(image.file), image, found_at(image.made))
        for build in reading.builds:
            asked_build = replace(
                build,
                builder=build.builder or asked.builder,
                args={**build.args, **asked.args},
            )
            self._build(file_of(build.file), folder, asked_build, found_at(build.made))

    def refuse(self, error: OSError) -> None:
        """Note a folder that cannot be read."""
        self._trouble(Path(error.filename), Trouble(1, f"it cannot be read: {error.strerror}", is_fault=True))

    def finish(self, *, reached_only: bool, is_of_build: bool = False) -> None:
        """Read the remaining files on their own.

        A file that commands use keeps the local images that they made. Last come the Dockerfiles that no build uses:
        they are read as for `docker build` without options and with any target.
        """
        specs = [(path, root) for path, (kind, root) in self._unasked.items() if kind == "buildspec"]
        for path, root in sorted(specs, key=lambda spec: not _is_batch(spec[0])):
            if path.resolve() not in {one.resolve() for one in self._seen}:
                self._read_whole(path, "buildspec", root, _NOBODY, {})
        led_to, settled = frozenset(self._seen), frozenset(self.findings.images)
        for path, (kind, root) in self._unasked.items():
            if kind in ("dockerfile", "buildspec", "ci"):
                continue
            self._settled = settled if path in led_to else frozenset()
            below = path.with_name(path.name.replace(".override.", ".", 1))
            above = [path.with_name(f"{path.stem}.override{suffix}") for suffix in _SUFFIXES]
            above = [one for one in above if one in self._unasked][:1]
            if kind == "bake" and path.name in _USUAL["bake"]:
                below, *above = self._usual(path.parent, kind)
            if path in self._overlays or (below != path and self._unasked.get(below) == (kind, root)):
                continue  # it is read with the files below it
            self._read_whole(path, kind, root, replace(_NOBODY, above=tuple(map(str, above))), {})
        for path, (kind, _) in self._unasked.items():
            if kind == "dockerfile" and path.resolve() not in self._built:
                self._read_alone(path)
            elif kind == "ci" and is_of_build:
                del self.findings.files[path]
            elif kind == "ci" and (text := self._read(path)) is not None:
                self._take(path, read_ci(text, is_gitlab="gitlab" in path.name.lower()), lambda _: None)
        self._take_tests()
        for left_out in self._left_out:
            image = left_out.image
            is_reached = reached_only or _place(left_out.file, image) in self._reached
            if not is_reached:
                image = replace(image, is_unreached=True)
            if not (is_reached and left_out.is_behind):
                self._note_image(left_out.file, image, left_out.find)
        read = {path.resolve() for path in self.findings.files}
        for path in self._passed_by:
            if not self._is_there(path) or path.resolve() in read:
                continue
            if noun := look_alike(path, _glance(path)):
                message = f"it looks like {noun} and was not read: name it, if it is one"
                self._trouble(path, Trouble(1, message))

    def _take_tests(self) -> None:
        """Note the images of tests. A local image counts if it exists before every command that may run the test."""
        self._settled = frozenset()
        own = {_module_of(path): test.properties for path, test in self._tests.items() if test.properties}
        started: dict[str, tuple[Path, int]] = {}
        for path, test in self._tests.items():
            images = test.reading.images
            properties = [found for module, found in own.items() if test.language == "java" and module in path.parents]
            prefix = next((one["hub.image.name.prefix"] for one in properties if "hub.image.name.prefix" in one), "")
            runs = [run for run in self._runs if run[0] in (path, *path.parents)]
            is_off = runs and all(run.values.get("TESTCONTAINERS_RYUK_DISABLED") == "true" for _, run, _, _ in runs)
            if images and not is_off and not any("ryuk.container.image" in one for one in properties):
                started.setdefault(test.language, (path, images[0].line))
            there = dict(runs[0][2]) if runs else {}
            for _, _, other, self._spec in runs if images else ():
                there = {name: file for name, file in there.items() if name in other}
                self._use(path)
            if images:
                self.findings.files[path] = "tests"
            for image in images:
                self._note_image(path, prefixed(image, prefix) if prefix else image, there.get)
        for language, (path, line) in started.items():
            ryuk = implied(line, RYUK, language)
            if language == "go" and (name := self._ryuk_of_go(path)):
                ryuk = replace(ryuk, written=name, name=name, unset=(), is_implied=False, doubt="")
            self._note_image(path, ryuk, lambda _: None)

    def _ryuk_of_go(self, path: Path) -> str | None:
        modules = (folder / "go.mod" for folder in path.parents)
        module = next(filter(self._is_there, modules), None)
        return ryuk_of_go(_glance(module) or "") if module else None

    def _read_alone(self, path: Path) -> None:
        text = _glance(path) if self._is_there(path) else None
        is_source = path.suffix.lower() in LANGUAGES and path not in self._named
        if text is not None and is_source and not begins_as_dockerfile(text):
            self.look_for_tests(path)
            del self.findings.files[path]
        elif text is not None and not begins_as_dockerfile(text):
            message = "it is not a Dockerfile: its first instruction is neither `FROM` nor `ARG`"
            is_meant = path in self._named or has_usual_name(path)
            self._trouble(path, Trouble(1, message, is_fault=is_meant))
            if not is_meant:
                del self.findings.files[path]
        elif (text := self._read(path)) is not None:
            circumstances = Circumstances(self._values, is_target_known=False, machine=self._machine)
            self._take(path, read_dockerfile(text, circumstances), lambda _: None)

    def _follow(self, path: Path, folder: Path, follow: Follow, there: Mapping[str, Path]) -> dict[str, Path]:
        """Read the files that `follow` names, and return the images that they make."""
        env_files = [_joined(folder, one) for one in follow.env_files]
        seen = [file for file in env_files if is_below(file, self._roots)]
        named = _joined(folder, follow.path) if follow.path else path
        targets = self._usual(named, follow.kind) if follow.path.endswith("/") else [named]
        targets += [_joined(folder, one) for one in follow.above]
        for file in (*targets, *env_files):
            shown = os.path.relpath(file, folder)
            if not is_below(file, self._roots):
                self._trouble(path, Trouble(follow.line, f"`{shown}` {_OUTSIDE}", is_fault=True))
            elif not file.is_file():
                self._trouble(path, Trouble(follow.line, f"there is no `{shown}`, which it uses", is_fault=True))
        if not (there_now := list(filter(self._is_there, targets))):
            return {}
        first, *above = there_now
        # What a command gives for the root of the source, a file finds from its project's folder.
        project = _joined(folder, follow.folder) if follow.folder else first.parent
        root = os.path.relpath(folder, project)
        values = {name: value and value.replace(SOURCE, root) for name, value in follow.values.items()}
        asked = replace(
            follow,
            env_files=tuple(map(str, seen)),
            values=values,
            folder=str(project),
            above=tuple(map(str, above)),
        )
        self._read_whole(first, follow.kind, folder, asked, there)
        return self._made[first]

    def _usual(self, folder: Path, kind: str) -> list[Path]:
        """The files that a tool finds in a folder; `.env` may name others for compose."""
        named = self._environment([folder / ".env"], {}).get("COMPOSE_FILE") if kind == "compose" else None
        if named:
            return [_joined(folder, one) for one in named.split(":")]
        for place in (folder, *(folder.parents if kind == "compose" else ())):  # compose looks further up, too
            if there := [*filter(self._is_there, [place / name for name in _USUAL[kind]])]:
                if kind == "bake":  # it reads all of them
                    return there
                overrides = [*filter(self._is_there, [place / name for name in _OVERRIDES])]
                return [*there[:1], *overrides[:1]]
        return [folder / _USUAL[kind][0]]

    def _build(self, path: Path, folder: Path, build: Build, find: _Find) -> None:
        if build.inline is not None:
            for platform in build.platforms or (None,):
                reading = read_dockerfile(build.inline, self._circumstances(build, platform))
                self._take(path, _of_build(reading, build, line=build.line), find)
            return
        context = folder / build.context
        file = build.dockerfile or "Dockerfile"
        is_beside = build.is_beside_context or build.dockerfile is None
        target = _joined(context if is_beside else folder, file)
        named = os.path.normpath((Path(build.context) if is_beside else Path()) / file)
        if not is_below(target, self._roots):
            self._trouble(path, Trouble(build.line, f"`{named}` {_OUTSIDE}", is_fault=True))
            return
        if not target.is_file():
            message = f"there is no `{named}`, which it builds"
            if build.is_partial:
                message += ", unless another file says from where"
            self._trouble(path, Trouble(build.line, message, is_fault=not build.is_partial))
            return
        self.findings.files.setdefault(target, "dockerfile")
        self._built.add(target.resolve())
        self._use(target)
        if (text := self._read(target)) is not None:
            for platform in build.platforms or (None,):
                reading = read_dockerfile(text, self._circumstances(build, platform))
                of_build = _of_build(reading, build)
                used = tuple(image for image in of_build.images if not image.is_unused)
                self._reached.update(_place(target, image) for image in used)
                self._left_out += [_LeftOut(target, one, find) for one in of_build.images if one.is_unused]
                self._left_out += [_LeftOut(target, one, find, is_behind=True) for one in of_build.behind]
                self._take(target, replace(of_build, images=used), find)

    def _circumstances(self, build: Build, platform: str | None) -> Circumstances:
        return Circumstances(
            args={**build.args, **self._values},
            contexts=build.contexts,
            target=build.target,
            is_target_known=build.is_target_known,
            target_platform=None if platform == "local" else platform,
            machine=self._machine,
        )

    def _environment(self, files: Iterable[Path], given: Values) -> dict[str, str | None]:
        """The variables that `docker compose` finds in those of `files` that exist; `given` go before them."""
        found: dict[str, str | None] = {}
        for file in files:
            if self.has(file):
                found = read_dotenv(self._read(file) or "", given, found)
        return found

    def has(self, path: Path) -> bool:
        """Whether there is such a file; what leads out of the scan's folders counts, and is a fault when it is read."""
        return self._is_there(path) or self._leads_out(path)

    def read_used(self, path: Path, shown: str) -> str | None:
        """The text of a file that another one uses as `shown`; None if the reason is noted. Raises CannotRead."""
        if not is_below(path, self._roots):
            raise CannotRead(f"`{shown}` {_OUTSIDE}")
        if not path.is_file():
            raise CannotRead(f"there is no `{shown}`, which it uses")
        return self._read(path)

    def _take(self, path: Path, reading: Reading, find: _Find) -> None:
        for image in reading.images:
            self._note_image(path, image, find)
        self._note_troubles(path, reading)

    def _note_image(self, path: Path, image: NamedImage, find: _Find) -> None:
        found = FoundImage(path, image)
        if found not in self._settled:
            reference = parsed(image.name)
            file = find(tagged_name(reference)) if reference else None
            known = self.findings.images.get(found, file)
            self.findings.images[found] = known if file else None

    def _note_troubles(self, path: Path, reading: Reading) -> None:
        for trouble in reading.troubles:
            self._trouble(path, trouble)

    def _trouble(self, path: Path, trouble: Trouble) -> None:
        self.findings.troubles[FoundTrouble(path, trouble)] = None

    def _is_there(self, path: Path) -> bool:
        return is_below(path, self._roots) and path.is_file()

    def _leads_out(self, path: Path) -> bool:
        return is_below(path.parent, self._roots) and not is_below(path, self._roots)

    def _read(self, path: Path) -> str | None:
        """The text of a file. A file that cannot or must not be read is reported as a fault, and the scan goes on."""
        if not is_below(path, self._roots):
            self._trouble(path, Trouble(1, f"it {_OUTSIDE}", is_fault=True))
            return None
        try:
            content = read_regular(path, MAX_TEXT + 1)
            if len(content) > MAX_TEXT:
                message = f"it has more than {MAX_TEXT:,} bytes"
            else:
                return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            self._trouble(path, Trouble(line, f"the byte 0x{content[error.start]:02X} is not UTF-8", is_fault=True))
            return None
        except OSError as error:
            message = f"it cannot be read: {error.strerror}"
        self._trouble(path, Trouble(1, message, is_fault=True))
        return None


@dataclass(frozen=True, slots=True)
class _Tree:
    """The files around those of a tool that runs in `folder`."""

    scan: _Scan
    folder: Path

    def has(self, path: str) -> bool:
        return self.scan.has(_joined(self.folder, path))

    def read(self, path: str) -> str | None:
        return self.scan.read_used(_joined(self.folder, path), path)


def _glance(path: Path) -> str | None:
    """The beginning of a text; None if it cannot be read."""
    try:
        return read_regular(path, MAX_TEXT).decode(errors="replace")
    except OSError:
        return None


def _module_of(path: Path) -> Path:
    """The folder of the module that has `path` among its resources, else its own folder."""
    return path.parents[3] if path.parent.name == "resources" and len(path.parents) > 3 else path.parent


def _is_batch(path: Path) -> bool:
    return "\nbatch:" in f"\n{_glance(path) or ''}"


def _place(file: Path, image: NamedImage) -> tuple[Path, int, str, str]:
    """The place that names an image, the same for every build."""
    return file.resolve(), image.line, image.kind, image.written


def _of_build(reading: Reading, build: Build, *, line: int | None = None) -> Reading:
    """The images of a Dockerfile as `build` fetches them; `line` is set if it is part of another file."""

    def fetched(image: NamedImage) -> NamedImage:
        return replace(
            image,
            line=line or image.line,
            pulls_always=build.pulls_always,
            builder=build.builder,
            asks_buildkit=build.asks_buildkit,
            unused=build.unused,
        )

    troubles = tuple(replace(one, line=line or one.line) for one in reading.troubles)
    images, behind = (tuple(map(fetched, found)) for found in (reading.images, reading.behind))
    return replace(reading, images=images, behind=behind, troubles=troubles)


def source_root(path: Path, root: Path) -> Path:
    """Where CodeBuild runs the commands of a buildspec: the checkout around it, else the scanned folder."""
    parents = (parent for parent in path.resolve().parents if (parent / ".git").exists())
    checkout = next(parents, None)
    if checkout is None:
        return root
    return Path(os.path.relpath(checkout)) if checkout.is_relative_to(Path.cwd()) else checkout


def _joined(folder: Path, path: str) -> Path:
    return Path(os.path.normpath(folder / path))
