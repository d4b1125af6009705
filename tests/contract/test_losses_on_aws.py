"""What would be lost, and how a repository is emptied, against the sandbox's AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.sandbox import RunningSandbox
from toolkit.aws.losses import LossService
from toolkit.aws.session import AwsSession
from toolkit.errors import Refused
from toolkit.plan.desired import ownership_tags
from toolkit.plan.model import Loss

pytestmark = pytest.mark.xdist_group("aws")
REGION = "eu-north-1"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def session(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in sandbox.environment().items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return AwsSession(REGION)


def fill(session: AwsSession, repository: str, count: int) -> None:
    """As many images, each of 7 bytes."""
    ecr = session.client("ecr")
    ecr.create_repository(repositoryName=repository)
    for number in range(count):
        put(session, repository, f"{number}")


def put(session: AwsSession, repository: str, tag: str) -> None:
    digest = "sha256:" + "a" * 64
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "x/y", "digest": digest, "size": 3},
        "layers": [{"mediaType": "x/y", "digest": digest, "size": 4}],
        "annotations": {"tag": tag},
    }
    session.client("ecr").put_image(
        repositoryName=repository,
        imageManifest=json.dumps(document),
        imageTag=tag,
        imageManifestMediaType=MANIFEST_TYPE,
    )


def test_a_repository_is_counted_and_emptied_whole(session: AwsSession) -> None:
    fill(session, "full", 205)  # more than two calls can name
    losses = LossService(session)
    loss = losses.repository("full")
    assert (len(loss.digests), loss.size) == (205, 205 * 7)
    losses.empty([loss])
    assert losses.repository("full") == Loss("repository", "full")
    losses.empty([loss])  # again, as after a run that broke off


def test_nothing_is_deleted_where_there_is_more_than_was_planned(session: AwsSession) -> None:
    fill(session, "growing", 2)
    fill(session, "as-planned", 1)
    losses = LossService(session)
    planned = [losses.repository("as-planned"), losses.repository("growing")]
    put(session, "growing", "new")
    with pytest.raises(Refused) as refused:
        losses.empty(planned)
    assert refused.value.code == "plan.stale"
    assert len(losses.repository("as-planned").digests) == 1
    assert len(losses.repository("growing").digests) == 3


def test_what_is_not_there_loses_nothing(session: AwsSession) -> None:
    losses = LossService(session)
    assert losses.repository("none") == Loss("repository", "none")
    assert losses.log_group("none") == Loss("log group", "none")
    losses.empty([losses.repository("none")])


def test_a_log_group_is_counted_by_its_own_name(session: AwsSession) -> None:
    logs = session.client("logs")
    for name in ("/aws/codebuild/web", "/aws/codebuild/web-2"):
        logs.create_log_group(logGroupName=name)
    logs.create_log_stream(logGroupName="/aws/codebuild/web-2", logStreamName="one")
    logs.put_log_events(
        logGroupName="/aws/codebuild/web-2",
        logStreamName="one",
        logEvents=[{"timestamp": 1_795_000_000_000, "message": "built"}],
    )
    losses = LossService(session)
    assert losses.log_group("/aws/codebuild/web").size == 0
    assert losses.log_group("/aws/codebuild/web-2").size > 0


def test_only_builds_of_other_manifests_use_a_repository(session: AwsSession) -> None:
    for project, manifest in (("mine-web", "mine"), ("other-web", "other")):
        session.client("codebuild").create_project(
            name=project,
            source={"type": "NO_SOURCE", "buildspec": 'docker pull $HOST/hub/nginx:1.16\n"$@" redis:7 hub/redis:7'},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "1.dkr.example/hub/tools:1",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole="arn:aws:iam::123456789012:role/any",
            tags=[{"key": key, "value": value} for key, value in ownership_tags(manifest).items()],
        )
    users = LossService(session).users(["hub/nginx", "hub/tools", "hub/redis", "hub/ngin", "nginx", "redis"], "mine")
    assert {name: list(projects) for name, projects in users.items()} == {
        "hub/nginx": ["other-web"],
        "hub/tools": ["other-web"],
        "hub/redis": ["other-web"],
    }
