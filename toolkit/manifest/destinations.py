"""Where the images of a manifest go: repository names, tags and the settings of each repository.

Repositories are named as ECR's pull-through cache names them, an alias of the upstream and the canonical path, because
Docker's `hosts.toml` and BuildKit's mirrors can then be pointed at the registry without a table of names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.manifest.document import Path
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
"""What builders fetch without a Dockerfile that names it, `# syntax=` apart."""

BUILDKIT = Repository("docker.io", "moby/buildkit")
"""What a docker-container builder runs."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One tag to be filled, asked for by `images[number]`; `path` is the very field."""

    number: int
    source: Reference
    repository: str
    tag: str
    path: Path


@dataclass(frozen=True, slots=True)
class Selection:
    """Tags to be filled that only the upstream can name, asked for by `images[number]`."""

    number: int
    source: Repository
    repository: str
    tags: TagSelectionSpec
    path: Path

    def destination(self, tag: str) -> Destination:
        """What it comes to for one of them."""
        return Destination(self.number, self.source.with_tag(tag), self.repository, tag, self.path)


UpstreamTag = tuple[Repository, str]


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where upstream tags are mirrored."""

    listed: Mapping[UpstreamTag, Destination]
    selections: Sequence[Selection]

    def find(self, wanted: UpstreamTag) -> Destination | None:
        """The place of a tag: where it is listed, the first of several, else what may select it when it is planned."""
        source, tag = wanted
        fitting = (one for one in self.selections if one.source == source and one.tags.matches(tag))
        return self.listed.get(wanted) or next((one.destination(tag) for one in fitting), None)

    def find_named(self, wanted: Reference) -> Destination | None:
        """The place of what a Dockerfile names. Of a digest only a tag that is pinned to it is sure to be there."""
        if wanted.digest is None:
            return self.find((wanted.name, wanted.tag or "latest"))
        listed = (one for one in self.listed.values() if one.source.name == wanted.name)
        return next((one for one in listed if one.source.digest == wanted.digest), None)


def default_repository(source: Reference) -> str:
    """The name without a prefix: `docker-hub/library/nginx`. A port is joined by `-`, for ECR takes no colon."""
    return f"{alias_of(source.registry)}/{source.repository}"


def alias_of(registry: str) -> str:
    """What the repositories of an upstream begin with, after the prefix."""
    return ALIASES.get(registry) or registry.replace(":", "-")


def prefixed(prefix: str, name: str) -> str:
    """The whole name of the repository `name` of a manifest."""
    return f"{prefix}/{name}" if prefix else name


def repository_name(image: ImageSpec, prefix: str) -> str:
    """The whole name of the image's repository."""
    return prefixed(prefix, image.repository or default_repository(Reference.parse(image.source)))


def destinations_of(image: ImageSpec, number: int, prefix: str) -> list[Destination]:
    """Every tag that `images[number]` lists; none where it names no tag, or names them twice over."""
    source = Reference.parse(image.source)
    repository = repository_name(image, prefix)
    if not image.tags:
        return [Destination(number, source, repository, source.tag, ("images", number))] if source.tag else []
    if source.tag is not None or isinstance(image.tags, TagSelectionSpec):
        return []
    paths: list[Path] = [("images", number, "tags", position) for position in range(len(image.tags))]
    return [
        Destination(number, Reference(source.registry, source.repository, tag, source.digest), repository, tag, path)
        for tag, path in zip(image.tags, paths, strict=True)
    ]


def selection_of(image: ImageSpec, number: int, prefix: str) -> Selection | None:
    """The tags that `images[number]` describes instead of listing them."""
    source = Reference.parse(image.source)
    if source.tag is not None or not isinstance(image.tags, TagSelectionSpec):
        return None
    return Selection(number, source.name, repository_name(image, prefix), image.tags, ("images", number, "tags"))


def upstream_tag(original: str) -> UpstreamTag:
    """What a Dockerfile's `original` means; without a tag that is `latest`."""
    reference = Reference.parse(original)
    return reference.name, reference.tag or "latest"


def mirrors_of(images: Iterable[tuple[int, ImageSpec]], prefix: str) -> Mirrors:
    """Where upstream tags are mirrored by `images`, each with its number."""
    listed: dict[UpstreamTag, Destination] = {}
    selections = []
    for number, image in images:
        for destination in destinations_of(image, number, prefix):
            listed.setdefault((destination.source.name, destination.tag), destination)
        if selection := selection_of(image, number, prefix):
            selections.append(selection)
    return Mirrors(listed, selections)


def with_build_tools(images: Mapping[int, ImageSpec], next_number: int, prefix: str) -> dict[int, ImageSpec]:
    """`images` and those of the build tools that are not among them, numbered from `next_number`.

    In a repository that an image has too, a tool is as that image says.
    """
    mirrors = mirrors_of(images.items(), prefix)
    settings = {repository_name(image, prefix): image.repository_settings for image in images.values()}
    tools = [ImageSpec(source=name) for name in BUILD_TOOLS if not mirrors.find(upstream_tag(name))]
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
