"""Whether the manifest mirrors an image that a file names, and what makes that use hard to serve."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from toolkit.codebuild.build_list import BuildList
from toolkit.codebuild.coverage import ImageUse, Kind, Trait
from toolkit.codebuild.findings import NamedImage
from toolkit.codebuild.testcontainers_reading import PINNED
from toolkit.manifest.destinations import Destination, default_repository, mirrors_of, prefixed
from toolkit.manifest.model import Manifest
from toolkit.manifest.strategy import Strategy
from toolkit.oci.descriptor import Platform
from toolkit.oci.errors import OciError
from toolkit.oci.reference import DOCKER_HUB, ECR_HOST_PART, HUB_HOSTS, Reference, parsed
from toolkit.plan.resolve import field_of, mirrored_images, subset_of

_ECR_HOST = re.compile(ECR_HOST_PART)
_HOST_OF_PROJECT = re.compile(r"\$(TOOLKIT_ECR_REGISTRY|\{TOOLKIT_ECR_REGISTRY\})/")
"""How a project's commands write the ECR host, which Terraform passes to them as a variable."""


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where the manifest keeps an image; `path` is the manifest's field for it."""

    path: str
    repository: str
    tag: str


@dataclass(frozen=True, slots=True)
class Match:
    """A use and what the manifest says about it; `remark` adds what the traits cannot say.

    `reference` is None if the text is not an image name or a variable in it has no value.
    """

    use: ImageUse
    reference: Reference | None
    mirror: Mirror | None = None
    remark: str = ""


class Matcher:
    """Compares uses with the images that a manifest mirrors in any account; without a manifest nothing matches.

    `listed` is the image list of the build that the scan is for, if it is for one.
    """

    def __init__(
        self,
        manifest: Manifest | None,
        machine: str,
        *,
        strategy: Strategy = Strategy.AUTO,
        listed: BuildList | None = None,
    ) -> None:
        self._manifest = manifest
        self._machine = Platform.parse(machine)
        self._prefix = manifest.repositories.prefix if manifest else ""
        self._images = mirrored_images(manifest) if manifest else {}
        self._mirrors = mirrors_of(self._images.items(), self._prefix)
        self._registries = {Reference.parse(image.source).registry for image in self._images.values()}
        self._strategy = strategy
        self._listed = listed

    def match(self, image: NamedImage, built_by: Path | None = None, *, is_looked_at: bool = True) -> Match:
        """What the manifest says about `image`. `is_looked_at`: the build's step reads the file that names it.

        `built_by` is the file that built a local image of this name before the image is fetched.
        """
        traits = set(_written_traits(image))
        if _ECR_HOST.search(image.name.partition("/")[0]) or _HOST_OF_PROJECT.match(image.written):
            return Match(ImageUse(image.kind, frozenset({*traits, Trait.HOME})), parsed(image.name))
        if image.is_implied and (helper := self._helper(image)):
            reference, mirror = helper
            return Match(ImageUse(image.kind, frozenset({*traits, Trait.NAMED_BY_STEP})), reference, mirror)
        if image.unset:
            return Match(ImageUse(image.kind, frozenset({*traits, Trait.NOT_MIRRORED})), None)
        try:
            reference = Reference.parse(image.name)
        except OciError as error:
            return Match(ImageUse(image.kind, frozenset({*traits, Trait.NOT_MIRRORED})), None, remark=error.message)
        if reference.digest is not None:
            traits.add(Trait.DIGEST)
        elif built_by:
            traits.add(Trait.BUILT_HERE)
        platform = platform_of(image.platform) or self._machine
        if not self._machine.matches(platform):
            traits.add(Trait.OTHER_PLATFORM)
        if image.is_triggered:
            traits.add(Trait.HUB_TRIGGERED if reference.registry == DOCKER_HUB else Trait.TRIGGERED)
        if self._strategy in image.unused:
            traits.add(Trait.STRATEGY_NOT_USED)
        if self._listed:
            traits.update(self._listed.traits(image, reference, is_looked_at=is_looked_at))
            if self._listed.has_spelling(image, reference):
                traits.discard(Trait.HUB_BY_HOST)
        found, remark = self._find(reference)
        if self._listed and (place := self._listed.place_of_test(image)) is not None:
            is_there = found is not None and place in (f"{found.repository}:{found.tag}", found.repository)
            traits.add(Trait.NAMED_BY_STEP if is_there else Trait.MISNAMED_BY_STEP)
        if found is None or self._manifest is None:
            traits.add(Trait.NOT_MIRRORED)
            if reference.registry not in self._registries:
                traits.add(Trait.REGISTRY_UNKNOWN)
            return Match(ImageUse(image.kind, frozenset(traits)), reference, remark=remark)
        mirror = Mirror(field_of(self._manifest, found), found.repository, found.tag)
        has_other_tag = found.is_renamed and reference.digest is None
        if has_other_tag or found.repository != prefixed(self._prefix, default_repository(reference)):
            traits.add(Trait.RENAMED)
        platforms = subset_of(self._manifest, self._images[found.number]).platforms
        remarks = []
        if platforms is not None and not any(platform.matches(own) for own in platforms):
            traits.add(Trait.PLATFORM_MISSING)
            remarks.append(f"add `{platform}` to the `platforms` of `{mirror.path}`")
        if self._listed and Trait.NOT_LISTED in traits:
            remarks.append(self._listed.remedy(image, reference))
        return Match(ImageUse(image.kind, frozenset(traits)), reference, mirror, "; ".join(filter(None, remarks)))

    def _helper(self, image: NamedImage) -> tuple[Reference, Mirror] | None:
        """The mirrored image that a step names to Testcontainers for a helper of its own, and where it is."""
        if self._manifest is None or not any(image.library in known for known in PINNED[image.name].values()):
            return None
        if self._listed:
            listed = self._listed.helper(image.name)
            reference = Reference.parse(listed.original) if listed else None
        else:
            sources = (Reference.parse(one.source) for one in self._images.values())
            fitting = [one for one in sources if one.name == Reference.parse(image.name).name and one.tag]
            reference = fitting[-1] if fitting else None
        found = self._mirrors.find_named(reference) if reference else None
        if reference is None or found is None:
            return None
        return reference, Mirror(field_of(self._manifest, found), found.repository, found.tag)

    def _find(self, reference: Reference) -> tuple[Destination | None, str]:
        """The mirror of the image, or a reason why what looks like its mirror does not serve it."""
        found = self._mirrors.find_named(reference)
        if reference.digest is None or self._manifest is None:
            return found, ""
        if found is not None:
            if subset_of(self._manifest, self._images[found.number]).platforms is None:
                return found, ""
            field = field_of(self._manifest, found)
            return None, f"a digest is kept with `platforms: all` only: say so in `{field}`"
        if tagged := self._mirrors.listed.get((reference.name, reference.tag or "")):
            field = field_of(self._manifest, tagged)
            return None, f"`{field}` has this tag without this digest: pin it there, with `platforms: all`"
        return None, ""


def _written_traits(image: NamedImage) -> Iterable[Trait]:
    if image.is_of_ci:
        yield Trait.OF_CI
    if image.pulls_always:
        yield Trait.PULL_ALWAYS
    if image.is_unused and not image.is_unreached:
        yield Trait.STAGE_UNUSED
    if image.name.partition("/")[0] in HUB_HOSTS:
        yield Trait.HUB_BY_HOST
    if image.has_pattern:
        yield Trait.PATTERN
    if image.follows_syntax and image.kind is not Kind.SYNTAX:
        yield Trait.CONTAINERD_SYNTAX


def platform_of(text: str | None) -> Platform | None:
    """The platform that a file names; None if it names none or the text is not a platform."""
    try:
        return Platform.parse(text) if text else None
    except OciError:
        return None
