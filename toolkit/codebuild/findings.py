"""What reading a file for its images comes to, before anybody asks where they are mirrored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from toolkit.codebuild.coverage import Builder, Kind, Strategy
from toolkit.codebuild.variables import Values


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image that a line names: `written` as there, `name` with its variables' values.

    `platform` is for whom it is fetched, None for whatever is built. `unset` are variables without a known value, with
    which `name` is not what a build would fetch. `follows_syntax`: its Dockerfile is for a frontend that is fetched.
    `is_unused`: its stage is not needed by the one that is built, and stands before it. `is_unreached`: its stage is
    needed by no build that was found, so somebody else builds it, if anybody does. `builder` is the one that the
    command names, if any. `unused` are strategies whose variable its build does not use. `made` counts the `tags` of
    its file that are there when it is fetched; a Dockerfile gives none.
    """

    line: int
    kind: Kind
    written: str
    name: str
    platform: str | None = None
    unset: tuple[str, ...] = ()
    pulls_always: bool = False
    follows_syntax: bool = False
    is_unused: bool = False
    is_unreached: bool = False
    builder: Builder | None = None
    asks_buildkit: bool = False
    unused: frozenset[Strategy] = frozenset()
    made: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A line that was not understood; `is_fault` where a build would fail, or may fetch what cannot be seen."""

    line: int
    message: str
    is_fault: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """A build that a file asks for, in that file's folder.

    `dockerfile` is relative to `context` where `is_beside_context`, else to the folder; `inline` is its text instead.
    `is_partial`: another compose file may say the context. `contexts` are named contexts; `platforms` is empty for the
    machine's own; `tags` are the names it gives its result. `target` may be any where it is not known. `unused` are
    strategies whose variable it does not use: only a command can. `made` counts the `tags` of its file that are there
    when it begins.
    """

    line: int
    context: str = "."
    dockerfile: str | None = None
    is_beside_context: bool = False
    is_partial: bool = False
    inline: str | None = None
    args: Values = field(default_factory=dict)
    contexts: Mapping[str, str] = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    target: str | None = None
    is_target_known: bool = True
    pulls_always: bool = False
    builder: Builder | None = None
    asks_buildkit: bool = False
    tags: tuple[str, ...] = ()
    made: int = 0
    unused: frozenset[Strategy] = frozenset({Strategy.CONTEXTS, Strategy.DIRECT})


@dataclass(frozen=True, slots=True)
class Follow:
    """Another file that decides what is fetched, by its path from the folder; `kind` is `compose` or `bake`.

    A path that ends in `/` means the files that such a tool looks for there.
    `pulls_always`, `builder`, `args` and `platforms` are for all of its builds, `values` are the variables that it
    sees. Files of more variables, `env_files`, take the place of the `.env` beside it.
    """

    line: int
    path: str
    kind: str
    pulls_always: bool = False
    builder: Builder | None = None
    values: Values = field(default_factory=dict)
    args: Values = field(default_factory=dict)
    platforms: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that a file says about images.

    `tags` are the names that it gives to local images, in the order in which they come to be; a `Follow` among them
    stands for those that its file gives. `behind` are images of stages that no builder looks at for this target.
    """

    images: tuple[NamedImage, ...] = ()
    builds: tuple[Build, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    tags: tuple[str | Follow, ...] = ()
    behind: tuple[NamedImage, ...] = ()

    @property
    def follows(self) -> tuple[Follow, ...]:
        """The files that it leads to, but for the Dockerfiles of its builds."""
        return tuple(one for one in self.tags if isinstance(one, Follow))
