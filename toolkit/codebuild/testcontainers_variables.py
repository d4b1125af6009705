"""The variables by which the pre-build step has Testcontainers take images from ECR.

A library puts `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX` before names of Docker Hub, as they are written; Python's puts it
before all names. So the prefix is set only if it leads to every image of the build, `on_miss` is `fail`, and the build
lists Ryuk, as one that runs such tests does. With the usual names that is so if no image is an official one:
`postgres` is mirrored as `docker-hub/library/postgres`, and Testcontainers would ask for `docker-hub/postgres`. Without
a prefix, `auto` and `retag` serve tests by the names in the daemon.
"""

from __future__ import annotations

from collections.abc import Iterable

from toolkit.codebuild.testcontainers_reading import PINNED, RYUK, has_registry
from toolkit.oci.reference import DOCKER_HUB, Reference, Repository, parsed
from toolkit.plan.desired import BuildImage, DesiredBuild

PREFIX = "TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX"


def testcontainers_variables(build: DesiredBuild) -> list[tuple[str, str]]:
    """The variables and their values; a value that begins with `/` is a place in the registry."""
    prefix = hub_prefix(build)
    found = [] if prefix is None else [(PREFIX, f"/{prefix}")]
    for name, variables in PINNED.items():
        if image := helper_of(build.images, name):
            # Python would put a prefix before a place in the registry too.
            place = f"/{image.repository}:{image.tag}" if prefix is None else image.original
            found += [(variable, place) for variable in variables]
    return found


def hub_prefix(build: DesiredBuild) -> str | None:
    """What stands before the name of every image of `build` in ECR; None if no test is to use it."""
    if build.on_miss != "fail" or not build.strategy.serves or helper_of(build.images, RYUK) is None:
        return None
    found = {_prefix_of(image) for image in build.images}
    return found.pop() if len(found) == 1 else None


def helper_of(images: Iterable[BuildImage], name: str) -> BuildImage | None:
    """The image that a library takes for its helper `name`: the last that the build lists by a tag."""
    fitting = [one for one in images if _is_tag_of(one.original, name)]
    return fitting[-1] if fitting else None


def _is_tag_of(original: str, name: str) -> bool:
    reference = parsed(original)
    return reference is not None and reference.name == Repository(DOCKER_HUB, name) and reference.digest is None


def _prefix_of(image: BuildImage) -> str | None:
    """What stands in ECR before the name as it is written; None if no prefix makes the one out of the other."""
    name = image.original.partition("@")[0]
    tag = Reference.parse(image.original).tag
    name = name.removesuffix(f":{tag}") if tag else name
    fits = image.repository == name or image.repository.endswith(f"/{name}")
    if has_registry(image.original) or not fits or image.tag != (tag or "latest"):
        return None
    return image.repository.removesuffix(name)
