"""The well-formed parts of a document, so that a fault in one part does not hide faults in the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from toolkit.manifest.build_model import BuildProjectSpec
from toolkit.manifest.destinations import preset_of, tools_of, with_tools
from toolkit.manifest.document import Document, Path, format_path
from toolkit.manifest.grammar import (
    AlternativeText,
    Platforms,
    Region,
    RegistryHost,
    ResourceTagKey,
    canonical_host,
)
from toolkit.manifest.model import ImageSpec, Manifest, RepositorySpec
from toolkit.manifest.refresh_model import RefreshSpec
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference, Repository

T = TypeVar("T")

_DECISIVE_OF_BUILDS = frozenset(
    {
        *("name", "source", "images", "strategy", "on_miss", "dockerfiles", "commands", "buildspec", "batch"),
        "environment_type",
    }
)
"""If one of these fields of a build is faulty, the others cannot be judged."""


@dataclass(frozen=True, slots=True)
class Readable:
    """The well-formed parts of a document, with defaults for the rest; images and builds by their number.

    `doubtful` are the upstream repositories of faulty images, which a build may need. `secrets` are the registries
    whose credential is in Secrets Manager, `identities` those with a role or a profile. `of_a_machine` are the fields
    of a registry's credential which only the machine of a run can have. The images from number `listed_images` on are
    the tools of the presets.
    """

    document: Document
    region: str | None
    replicas: Mapping[int, str]
    repositories: RepositorySpec
    platforms: Platforms
    images: Mapping[int, ImageSpec]
    listed_images: int
    build_tools: bool
    doubtful: frozenset[Repository]
    registry_hosts: tuple[str, ...]
    alternatives: Mapping[str, Mapping[int, str]]
    secrets: frozenset[str]
    identities: frozenset[str]
    of_a_machine: Mapping[str, frozenset[str]]
    resource_tag_keys: tuple[str, ...]
    builds: Mapping[int, BuildProjectSpec]
    refresh: RefreshSpec | None

    def where(self, path: Path) -> str:
        """`path` for a sentence: `images[0]` on line 9."""
        path = self.field_of(path)
        return f"`{format_path(self.document.trimmed(path))}` on line {self.document.place(path).line}"

    def field_of(self, path: Path) -> Path:
        """`path`; for a tool, which is in no list, the field that asks for it."""
        match path:
            case ("images", int(number), *_) if number >= self.listed_images:
                return (preset_of(self.images[number].source),)
        return path


def read_parts(document: Document) -> Readable:
    """Every part of `document` that is well-formed by itself."""
    data = _mapping(document.data)
    aws = _mapping(data.get("aws"))
    entries = _entries(data.get("images"))
    repositories = _one(TypeAdapter(RepositorySpec), data.get("repositories"), RepositorySpec())
    images = _well_formed(TypeAdapter(ImageSpec), entries)
    broken = {number: entry for number, entry in entries.items() if number not in images}
    build_tools = data.get("build_tools") is True
    tools = tools_of(build_tools=build_tools, test_tools=data.get("test_tools") is True)
    images = with_tools(images, len(entries), repositories.prefix, tools)
    credentials = _credentials(data.get("registries"))
    vague = [image.source for image in images.values() if _names_no_tag(image)]
    return Readable(
        document=document,
        region=_well_formed(TypeAdapter(Region), {0: aws.get("region")}).get(0),
        replicas=_well_formed(TypeAdapter(Region), _entries(aws.get("replicate_to"))),
        repositories=repositories,
        platforms=_one(TypeAdapter(Platforms), data.get("platforms"), Manifest.model_fields["platforms"].default),
        images=images,
        listed_images=len(entries),
        build_tools=build_tools,
        doubtful=_repositories([*vague, *map(_source_of, broken.values())]),
        registry_hosts=tuple(_well_formed(TypeAdapter(RegistryHost), _keys(data.get("registries"))).values()),
        alternatives=_alternatives(data.get("registries")),
        secrets=frozenset(host for host, fields in credentials.items() if fields.get("secretsmanager")),
        identities=frozenset(host for host, fields in credentials.items() if {"role_arn", "profile"} & fields.keys()),
        of_a_machine={host: frozenset({"env", "profile"} & fields.keys()) for host, fields in credentials.items()},
        resource_tag_keys=tuple(_well_formed(TypeAdapter(ResourceTagKey), _keys(aws.get("resource_tags"))).values()),
        builds=_builds(data.get("builds")),
        refresh=_well_formed(TypeAdapter(RefreshSpec), {0: data.get("refresh")}).get(0),
    )


def _names_no_tag(image: ImageSpec) -> bool:
    return (Reference.parse(image.source).tag is None) is not bool(image.tags)


def _source_of(entry: object) -> object:
    return entry.get("source") if isinstance(entry, dict) else entry


def _repositories(sources: list[Any]) -> frozenset[Repository]:
    found = set()
    for source in sources:
        try:
            found.add(Reference.parse(str(source)).name)
        except OciError:
            continue
    return frozenset(found)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _entries(value: object) -> Mapping[int, object]:
    return dict(enumerate(value)) if isinstance(value, list) else {}


def _alternatives(value: object) -> Mapping[str, Mapping[int, str]]:
    """The alternatives of each registry, by its host."""
    lists = {host: _entries(_mapping(entry).get("alternatives")) for host, entry in _mapping(value).items()}
    adapter = TypeAdapter(AlternativeText)
    return {host: _well_formed(adapter, entries) for host, entries in lists.items() if entries}


def _credentials(value: object) -> Mapping[str, Mapping[str, object]]:
    """What is said of the credential of each registry, by its canonical name."""
    registries = _mapping(value)
    hosts = _well_formed(TypeAdapter(RegistryHost), _keys(registries)).values()
    return {canonical_host(host): _mapping(_mapping(registries[host]).get("credential")) for host in hosts}


def _builds(value: object) -> dict[int, BuildProjectSpec]:
    """The builds, each without its faulty fields."""
    adapter = TypeAdapter(BuildProjectSpec)
    found: dict[int, BuildProjectSpec] = {}
    for number, entry in _entries(value).items():
        fields = dict(_mapping(entry))
        try:
            found[number] = adapter.validate_python(fields)
        except ValidationError as error:
            faulty = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
            if not faulty & _DECISIVE_OF_BUILDS:
                rest = {key: field for key, field in fields.items() if key not in faulty}
                found |= _well_formed(adapter, {number: rest})
    return found


def _keys(value: object) -> Mapping[int, object]:
    return dict(enumerate(_mapping(value)))


def _well_formed(adapter: TypeAdapter[T], entries: Mapping[int, object]) -> dict[int, T]:
    found: dict[int, T] = {}
    for number, entry in entries.items():
        try:
            found[number] = adapter.validate_python(entry)
        except ValidationError:
            continue
    return found


def _one(adapter: TypeAdapter[T], value: object, default: T) -> T:
    return _well_formed(adapter, {0: value}).get(0, default)
