"""How the base images of a build get from ECR into it."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

OnMiss = Literal["fail", "upstream"]
"""What becomes of an image that is not mirrored: the build ends, or the image comes from its upstream."""


class Strategy(StrEnum):
    """The ways to serve images; `toolkit.codebuild.coverage` has what each one serves.

    `NONE` is a build without a step of ours, to compare with. No manifest names it.
    """

    AUTO = "auto"
    RETAG = "retag"
    HOSTS = "hosts"
    BUILDER = "builder"
    CONTEXTS = "contexts"
    DIRECT = "direct"
    LOGIN = "login"
    NONE = "none"

    @property
    def serves(self) -> bool:
        """Whether images come from ECR."""
        return self not in (Strategy.LOGIN, Strategy.NONE)

    @property
    def variable(self) -> str:
        """The variable that the step exports and each `docker build` has to use; empty where builds stay unchanged."""
        return {Strategy.CONTEXTS: "TOOLKIT_BUILD_CONTEXTS", Strategy.DIRECT: "TOOLKIT_DOCKERFILE"}.get(self, "")

    @property
    def needs_upstream_path(self) -> bool:
        """Whether ECR is asked for an image under the path that it has upstream."""
        return self in (Strategy.HOSTS, Strategy.BUILDER)

    @property
    def closes_every_upstream(self) -> bool:
        """Whether every mirrored registry is closed to the build with `on_miss: fail`; else only Docker Hub is."""
        return self in (Strategy.AUTO, Strategy.HOSTS, Strategy.BUILDER)

    @property
    def takes_names_literally(self) -> bool:
        """Whether an image is served only under the very spelling that the build lists."""
        return self in (Strategy.RETAG, Strategy.CONTEXTS)
