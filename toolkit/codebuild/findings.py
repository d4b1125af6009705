"""The images and builds that a file asks for, before they are compared with the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.codebuild.coverage import Builder, Kind
from toolkit.codebuild.variables import Values
from toolkit.manifest.strategy import Strategy

UNUSED = frozenset(strategy for strategy in Strategy if strategy.variable)
"""The strategies that do not reach a build which names none of their variables."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image that a line names: `written` is the text, `name` has the values of its variables.

    `platform` is the platform that is fetched, None for the one that is built. `unset` are variables without a known
    value: `name` is then incomplete. `follows_syntax`: the Dockerfile asks for a frontend that is fetched.
    `is_triggered`: a later stage runs the `ONBUILD` that names it. `has_pattern`: its name needs an operator such as
    `${V%%-*}`.
    `is_unused`: the target does not need the image's stage, which comes before it. `is_unreached`: no build that was
    found needs the stage. `builder` is the builder that the command names, if any. `unused` are strategies whose
    variable the build does not use. `library` is the language of the Testcontainers library that runs it; `is_implied`:
    that library starts it by itself. `is_of_ci`: a CI system pulls it before any command. `doubt` says why the name is
    not known, if that is not a variable. `made` counts the `tags` of the file that exist when the image is fetched; a
    Dockerfile has none. `file` is the file that names it, if several were read as one.
    """

    line: int
    kind: Kind
    written: str
    name: str
    platform: str | None = None
    unset: tuple[str, ...] = ()
    pulls_always: bool = False
    follows_syntax: bool = False
    is_triggered: bool = False
    has_pattern: bool = False
    is_unused: bool = False
    is_unreached: bool = False
    builder: Builder | None = None
    asks_buildkit: bool = False
    unused: frozenset[Strategy] = frozenset()
    library: str = ""
    is_implied: bool = False
    is_of_ci: bool = False
    doubt: str = ""
    made: int = field(default=0, compare=False)
    file: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line that was not understood; `is_fault` if a build would fail or may fetch images that the scan cannot see.

    `hides`: it runs commands that the scan does not read, which is a fault if the scan is strict. `file` is the file
    with the line, if several were read as one.
    """

    line: int
    message: str
    is_fault: bool = False
    hides: bool = False
    file: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Build:
    """A build that a file asks for, in that file's folder.

    `dockerfile` is relative to `context` if `is_beside_context`, else to the folder; `inline` is its text instead.
    `is_partial`: another file or target may set the context. `contexts` are named contexts, None for an unknown one;
    `platforms` is empty for the machine's own; `tags` are the names of its result. If the target is not known, it may
    be any stage. `unused` are strategies whose variable the build does not use; only commands can use one. `made`
    counts the `tags` of the file that exist when the build begins. `file` is the file that asks for it, if several were
    read as one; `name` is that of the service or target.
    """

    line: int
    context: str = "."
    dockerfile: str | None = None
    is_beside_context: bool = False
    is_partial: bool = False
    inline: str | None = None
    args: Values = field(default_factory=dict)
    contexts: Values = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    target: str | None = None
    is_target_known: bool = True
    pulls_always: bool = False
    builder: Builder | None = None
    asks_buildkit: bool = False
    tags: tuple[str, ...] = ()
    made: int = 0
    unused: frozenset[Strategy] = UNUSED
    file: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Follow:
    """Another file that asks for images, by its path from the folder; `kind` is `compose`, `bake` or `buildspec`.

    A path that ends in `/` means the files that the tool looks for there; an empty path is the file itself. The files
    `above` are laid over it. `pulls_always`, `builder` and `args` apply to all builds of the file, `values` are its
    variables. `env_files` hold more variables and replace the `.env` of the `folder`, from which the file gives paths:
    its own, if that is empty. Of a bake file the command builds `targets`, and sets the fields in `changes`, None for
    an unknown value.
    """

    line: int
    path: str
    kind: str
    pulls_always: bool = False
    builder: Builder | None = None
    values: Values = field(default_factory=dict)
    args: Values = field(default_factory=dict)
    env_files: tuple[str, ...] = ()
    folder: str = ""
    above: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    changes: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Removal:
    """A command that takes local images away; without `names` perhaps all of them."""

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that a file says about images.

    `tags` are the names that it gives to local images, and takes away, in order. A `Follow` among them stands for the
    names that its file gives. `files` are those that were read as one, if several were, and `makers` those that give
    names. `behind` are images of the stages after the target, which no builder reads.
    """

    images: tuple[NamedImage, ...] = ()
    builds: tuple[Build, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    tags: tuple[str | Follow | Removal, ...] = ()
    behind: tuple[NamedImage, ...] = ()
    makers: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def follows(self) -> tuple[Follow, ...]:
        """The compose and bake files that it uses."""
        return tuple(one for one in self.tags if isinstance(one, Follow))
