"""The batches of one CodeBuild project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from toolkit.aws.explain import explained
from toolkit.aws.inspection import Inspection, Quota
from toolkit.aws.session import AwsSession
from toolkit.codebuild.shard_batch import Batch

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import BuildBatchTypeDef

_QUOTA = "L-5ED1D25B"
"""Concurrently running builds for ARM/Small environment: the machine of the module `image-refresh`."""
_BUILD_MINUTES = 480
"""For one shard; the project's own limit is that of a refresh, which is short."""
_QUEUED_MINUTES = 480
"""The longest that CodeBuild takes: where few builds run at a time, the others wait for them. Its queue has room for
five times as many as run: https://docs.aws.amazon.com/codebuild/latest/userguide/builds-working.html"""


class BuildBatches:
    """The batches of `project`. Its methods raise AccessDenied and Refused."""

    def __init__(self, session: AwsSession, project: str) -> None:
        self._session = session
        self._project = project

    def quota(self) -> Quota | None:
        """How many builds run at a time in this account and region; None if Service Quotas does not list it."""
        quotas = Inspection(self._session).quotas("codebuild").values()
        return next((quota for quota in quotas if quota.code == _QUOTA), None)

    def buildspec(self) -> str:
        """The project's own buildspec; "" if the project does not exist."""
        client = self._session.client("codebuild")
        with explained():
            found = client.batch_get_projects(names=[self._project])["projects"]
        return found[0]["source"].get("buildspec", "") if found else ""

    def start(self, buildspec: str, variables: Mapping[str, str], token: str) -> Batch:
        """Start a batch. With the same arguments, CodeBuild starts no other one for five minutes."""
        client = self._session.client("codebuild")
        with explained():
            answer = client.start_build_batch(
                projectName=self._project,
                buildspecOverride=buildspec,
                environmentVariablesOverride=[{"name": name, "value": value} for name, value in variables.items()],
                buildTimeoutInMinutesOverride=_BUILD_MINUTES,
                queuedTimeoutInMinutesOverride=_QUEUED_MINUTES,
                idempotencyToken=token,
            )
        return _batch(answer["buildBatch"])

    def look(self, batch: str) -> Batch:
        """What became of the batch by now; somebody may have deleted it."""
        client = self._session.client("codebuild")
        with explained():
            found = client.batch_get_build_batches(ids=[batch])["buildBatches"]
        return _batch(found[0]) if found else Batch(batch, "DELETED", {})


def _batch(found: BuildBatchTypeDef) -> Batch:
    builds = {
        group["identifier"]: group["currentBuildSummary"]["buildStatus"]
        for group in found.get("buildGroups", [])
        if "buildStatus" in group.get("currentBuildSummary", {})
    }
    contexts = [context for phase in found.get("phases", []) for context in phase.get("contexts", [])]
    why = "; ".join(message for context in contexts if (message := context.get("message", "").strip()))
    return Batch(found["id"], found["buildBatchStatus"], builds, why)
