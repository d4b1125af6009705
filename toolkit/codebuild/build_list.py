"""How the pre-build step of a build treats an image, given the `images` that the build lists.

`shell/dockerfile.awk` decides the same in the build container. A test runs both on the same Dockerfiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from toolkit.codebuild.coverage import CODEBUILD, Daemon, Kind, Trait
from toolkit.codebuild.findings import NamedImage
from toolkit.codebuild.testcontainers_reading import has_registry
from toolkit.codebuild.testcontainers_variables import helper_of, hub_prefix
from toolkit.manifest.destinations import ALIASES
from toolkit.manifest.document import NewImage
from toolkit.manifest.strategy import Strategy
from toolkit.oci.reference import DOCKER_HUB, HUB_HOSTS, Reference, Repository, parsed
from toolkit.plan.desired import BuildImage, DesiredBuild


class BuildList:
    """The images of one build under `strategy`. `built` are the names that its commands give to images they build."""

    def __init__(
        self, build: DesiredBuild, strategy: Strategy, daemon: Daemon = CODEBUILD, built: Iterable[str] = ()
    ) -> None:
        self._name = build.name
        self._strategy = strategy
        self._closed = {*ALIASES, *(upstream.host for upstream in build.upstreams)}
        self._closes_all = strategy.closes_every_upstream and (strategy is not Strategy.AUTO or daemon.reads_hosts)
        # A name in the daemon's store and a named context serve one spelling only.
        self._is_literal = not (self._closes_all or strategy is Strategy.DIRECT)
        self._hosts: dict[tuple[Repository, object], set[str]] = {}
        for image in build.images:
            self._hosts.setdefault(_key(Reference.parse(image.original)), set()).add(_hub_host(image.original))
        self._built = tagged_names(built)
        self._images = build.images
        self._prefix = hub_prefix(build)

    def helper(self, name: str) -> BuildImage | None:
        """The image that the step names to Testcontainers as its helper `name`."""
        return helper_of(self._images, name)

    def place_of_test(self, image: NamedImage) -> str | None:
        """The name in ECR that the step has a test ask for instead; None if it asks for the name as it is."""
        is_renamed = self._prefix is not None and image.library and not has_registry(image.name)
        return f"{self._prefix}{image.name}" if is_renamed else None

    def traits(self, image: NamedImage, reference: Reference, *, is_looked_at: bool) -> Iterator[Trait]:
        """How the step sees `image`, named `reference`. `is_looked_at`: the step reads the file that names it."""
        is_listed = self.has_spelling(image, reference) if self._is_literal else _key(reference) in self._hosts
        if not is_listed:
            yield Trait.NOT_LISTED
        if not is_looked_at or not (is_listed or self._ends_step(image, reference)):
            yield Trait.UNCHECKED

    def has_spelling(self, image: NamedImage, reference: Reference) -> bool:
        """Whether the list has the image with exactly the host that is written."""
        return _hub_host(image.name) in self._hosts.get(_key(reference), set())

    def remedy(self, image: NamedImage, reference: Reference) -> str:
        """What to do about an image that is mirrored but not listed; empty if listing it would not help."""
        if reference.digest and self._strategy is Strategy.RETAG:
            return ""
        entry = NewImage(image.name if self._is_literal and _hub_host(image.name) else reference.familiar).text
        return f"add `- {entry}` to `images` of the build `{self._name}`"

    def _ends_step(self, image: NamedImage, reference: Reference) -> bool:
        """Whether a step with `on_miss: fail` ends the build when it finds this unlisted image."""
        is_literal_hub = self._is_literal and _hub_host(image.name) != ""
        if reference.digest is None and not is_literal_hub and tagged_name(reference) in self._built:
            return False
        if reference.registry not in self._closed:
            return False
        if reference.digest and reference.name in {name for name, _ in self._hosts} and not self._is_literal:
            return False  # the request goes to ECR
        is_closed = self._closes_all or (reference.registry == DOCKER_HUB and not is_literal_hub)
        is_harmless = "$" in image.written or (image.is_unused and image.kind is not Kind.SYNTAX)
        return not (is_closed and is_harmless)


def tagged_name(reference: Reference) -> str:
    """The canonical name, with `latest` where no tag is written."""
    return str(reference.with_tag(reference.tag or "latest"))


def tagged_names(texts: Iterable[str]) -> frozenset[str]:
    """Canonical names; text that is not an image name is left out."""
    return frozenset(tagged_name(reference) for reference in map(parsed, texts) if reference)


def _key(reference: Reference) -> tuple[Repository, object]:
    """The key of an image in a step: its digest, else its tag."""
    return reference.name, reference.digest or reference.tag or "latest"


def _hub_host(name: str) -> str:
    """The host in `name` if it is a host of Docker Hub that Docker treats as a different registry."""
    host = name.partition("/")[0]
    return host if host in HUB_HOSTS else ""
