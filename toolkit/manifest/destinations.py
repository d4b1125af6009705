"""Where the images of a manifest go: repository names, tags and the settings of each repository.

Repositories are named as ECR's pull-through cache names them, an alias of the upstream and the canonical path, because
Docker's `hosts.toml` and BuildKit's mirrors can then be pointed at the registry without a table of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.manifest.document import Path
from toolkit.manifest.grammar import TAG_PLACE
from toolkit.manifest.model import ImageSpec, RepositorySettingsSpec, RepositorySpec
from toolkit.manifest.tag_selection import TagSelectionSpec
from toolkit.oci.reference import Reference, Repository

ALIASES = {
    "docker.io": "docker-hub",
    "quay.io": "quay",
    "ghcr.io": "github",
    "registry.k8s.io": "kubernetes",
    "public.ecr.aws": "ecr-public",
}

BUILD_TOOLS = (
    "docker/dockerfile:1",
    "moby/buildkit:buildx-stable-1",
    "docker/buildkit-syft-scanner:stable-1",
    "tonistiigi/binfmt:latest",
)
"""Images that builders fetch although no `FROM` names them."""

TEST_TOOLS = ("testcontainers/ryuk:0.14.0", "testcontainers/sshd:1.4.0", "alpine/socat:1.7.4.3-r0")
"""Images that Testcontainers starts by itself, as Java's release 2.0 has them; a step names them to other releases."""

BUILDKIT = Repository("docker.io", "moby/buildkit")
"""The image that a docker-container builder runs."""


@dataclass(frozen=True, slots=True)
class TagNaming:
    """How tags are called at the destination: `template`, with the upstream's tag in the place of `{tag}`."""

    template: str = TAG_PLACE

    def renamed(self, tag: str) -> str:
        """The name at the destination of the upstream's `tag`."""
        return self.template.replace(TAG_PLACE, tag)

    def original(self, tag: str) -> str | None:
        """The upstream's tag that is called `tag` at the destination; None where none can be."""
        before, _, after = self.template.partition(TAG_PLACE)
        is_one = len(tag) > len(before) + len(after) and tag.startswith(before) and tag.endswith(after)
        return tag[len(before) : len(tag) - len(after)] if is_one else None


AS_UPSTREAM = TagNaming()


@dataclass(frozen=True, slots=True)
class Destination:
    """One tag to be filled. `images[number]` asks for it, in the field at `path`."""

    number: int
    source: Reference
    repository: str
    tag: str
    path: Path

    @property
    def is_renamed(self) -> bool:
        """Whether the tag has another name than upstream."""
        return self.tag != self.source.tag


@dataclass(frozen=True, slots=True)
class Selection:
    """Tags that `images[number]` describes; only the upstream's list can name them."""

    number: int
    source: Repository
    repository: str
    tags: TagSelectionSpec
    naming: TagNaming
    path: Path

    def destination(self, tag: str) -> Destination:
        """The destination of one of the upstream's tags."""
        return Destination(self.number, self.source.with_tag(tag), self.repository, self.naming.renamed(tag), self.path)


UpstreamTag = tuple[Repository, str]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where upstream tags are mirrored."""

    listed: Mapping[UpstreamTag, Destination]
    selections: Sequence[Selection]

    def find(self, wanted: UpstreamTag) -> Destination | None:
        """Where a tag is mirrored: the first image that lists it, else the first selection that matches it."""
        source, tag = wanted
        fitting = (one for one in self.selections if one.source == source and one.tags.matches(tag))
        return self.listed.get(wanted) or next((one.destination(tag) for one in fitting), None)

    def find_named(self, wanted: Reference) -> Destination | None:
        """Where an image that a Dockerfile names is mirrored. A digest is found only if an image is pinned to it."""
        if wanted.digest is None:
            return self.find((wanted.name, wanted.tag or "latest"))
        listed = (one for one in self.listed.values() if one.source.name == wanted.name)
        return next((one for one in listed if one.source.digest == wanted.digest), None)


def default_repository(source: Reference) -> str:
    """The name without a prefix: `docker-hub/library/nginx`. A port is joined by `-`, because ECR takes no colon."""
    return f"{alias_of(source.registry)}/{source.repository}"


def alias_of(registry: str) -> str:
    """The first part of the names of an upstream's repositories, after the prefix."""
    return ALIASES.get(registry) or registry.replace(":", "-")


def prefixed(prefix: str, name: str) -> str:
    """The whole name of the repository that the manifest calls `name`."""
    return f"{prefix}/{name}" if prefix else name


def repository_name(image: ImageSpec, prefix: str) -> str:
    """The whole name of the image's repository."""
    return prefixed(prefix, image.repository or default_repository(Reference.parse(image.source)))


def destinations_of(image: ImageSpec, number: int, prefix: str) -> list[Destination]:
    """Every tag that `images[number]` lists; none if it has no tag, or both a tag and `tags`."""
    source = Reference.parse(image.source)
    repository = repository_name(image, prefix)
    if not image.tags:
        tag = naming_of(image).renamed(source.tag or "")
        return [Destination(number, source, repository, tag, ("images", number))] if source.tag else []
    if source.tag is not None or isinstance(image.tags, TagSelectionSpec):
        return []
    paths: list[Path] = [("images", number, "tags", position) for position in range(len(image.tags))]
    return [
        Destination(
            number,
            Reference(source.registry, source.repository, tag, source.digest),
            repository,
            naming_of(image).renamed(tag),
            path,
        )
        for tag, path in zip(image.tags, paths, strict=True)
    ]


def selection_of(image: ImageSpec, number: int, prefix: str) -> Selection | None:
    """The tags that `images[number]` describes instead of listing them."""
    source = Reference.parse(image.source)
    if source.tag is not None or not isinstance(image.tags, TagSelectionSpec):
        return None
    path = ("images", number, "tags")
    return Selection(number, source.name, repository_name(image, prefix), image.tags, naming_of(image), path)


def naming_of(image: ImageSpec) -> TagNaming:
    """How the image's tags are called at the destination."""
    return TagNaming(image.tag_as) if image.tag_as else AS_UPSTREAM


def upstream_tag(original: str) -> UpstreamTag:
    """The upstream tag that `original` in a Dockerfile means; without a tag, `latest`."""
    reference = Reference.parse(original)
    return reference.name, reference.tag or "latest"


def mirrors_of(images: Iterable[tuple[int, ImageSpec]], prefix: str) -> Mirrors:
    """Where upstream tags are mirrored by `images`, each with its number; under their own name where they have it."""
    listed: dict[UpstreamTag, Destination] = {}
    selections = []
    for number, image in images:
        for destination in destinations_of(image, number, prefix):
            key = (destination.source.name, destination.source.tag or "")
            known = listed.setdefault(key, destination)
            if known.is_renamed and not destination.is_renamed:
                listed[key] = destination
        if selection := selection_of(image, number, prefix):
            selections.append(selection)
    return Mirrors(listed, selections)


def tools_of(*, build_tools: bool, test_tools: bool) -> tuple[str, ...]:
    """The images of the presets that a manifest asks for."""
    return (*(BUILD_TOOLS if build_tools else ()), *(TEST_TOOLS if test_tools else ()))


def preset_of(source: str) -> str:
    """The field that asks for a tool."""
    return "test_tools" if source in TEST_TOOLS else "build_tools"


def with_tools(
    images: Mapping[int, ImageSpec], next_number: int, prefix: str, names: Iterable[str]
) -> dict[int, ImageSpec]:
    """`images`, and those of the tools `names` that they lack, numbered from `next_number`.

    A tool that shares its repository with an image takes that image's settings.
    """
    mirrors = mirrors_of(images.items(), prefix)
    settings = {repository_name(image, prefix): image.repository_settings for image in images.values()}
    tools = [ImageSpec(source=name) for name in names if not mirrors.find(upstream_tag(name))]
    found = dict(images)
    for number, tool in enumerate(tools, next_number):
        known = settings.get(repository_name(tool, prefix))
        found[number] = tool.model_copy(update={"repository_settings": known}) if known else tool
    return found


def settings_of(image: ImageSpec, defaults: RepositorySpec) -> RepositorySettingsSpec:
    """The settings of the image's repository: its own where it has any, else `defaults`."""
    own = image.repository_settings
    values = {
        name: getattr(own if name in own.model_fields_set else defaults, name)
        for name in RepositorySettingsSpec.model_fields
    }
    return RepositorySettingsSpec.model_validate(values)
