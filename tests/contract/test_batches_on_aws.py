"""The batches of a project: one suite on the fake, and on CodeBuild as the sandbox has it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.support.fake_refresh import FakeBatches
from tests.support.roles import Role
from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.aws.build_batches import BuildBatches
from toolkit.aws.session import AwsSession
from toolkit.codebuild.shard_batch import RUNNING, Batch, render_shard_batch
from toolkit.errors import Refused
from toolkit.terraform.iam_policy import Statement

REGION = "eu-west-1"
OWN = json.dumps(
    {"version": 0.2, "phases": {"build": {"commands": ['[ "$TOOLKIT_SHARD" != 2 ] || exit 6; [ "$ASKED" = yes ]']}}}
)
STARTS = Statement(("codebuild:StartBuild", "codebuild:StopBuild", "codebuild:RetryBuild"), ("*",))
_NUMBERS = count()

pytestmark = pytest.mark.xdist_group("batches_on_aws")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        role = Role(sandbox, REGION, "builds")
        role.may([STARTS])
        sandbox.client("codebuild", REGION).create_project(
            name="refresh",
            source={"type": "NO_SOURCE", "buildspec": OWN},
            artifacts={"type": "NO_ARTIFACTS"},
            serviceRole=role.arn,
            environment={"type": "ARM_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
            buildBatchConfig={"serviceRole": role.arn},
        )
        yield sandbox


@pytest.fixture
def real(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> BuildBatches:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return BuildBatches(AwsSession(REGION), "refresh")


@pytest.fixture(params=["fake", "sandbox"])
def batches(request: pytest.FixtureRequest) -> FakeBatches | BuildBatches:
    if request.param == "sandbox":
        made: BuildBatches = request.getfixturevalue("real")
        return made
    fake = FakeBatches()
    fake.own = OWN
    fake.ends = [("SUCCEEDED", {"shard_1": "SUCCEEDED", "shard_2": "FAILED", "report": "SUCCEEDED"})]
    return fake


def started(batches: FakeBatches | BuildBatches, token: str, asked: str = "yes") -> Batch:
    return batches.start(render_shard_batch(batches.buildspec(), 2), {"ASKED": asked}, token)


def ended(batches: FakeBatches | BuildBatches, batch: Batch) -> Batch:
    deadline = time.monotonic() + 60
    while batch.status == RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        batch = batches.look(batch.id)
    return batch


def test_a_batch_tells_what_became_of_each_build(batches: FakeBatches | BuildBatches) -> None:
    batch = started(batches, f"token-{next(_NUMBERS)}")
    assert batch.status == RUNNING
    end = ended(batches, batch)
    assert (end.id, end.status) == (batch.id, "SUCCEEDED")
    assert end.builds == {"shard_1": "SUCCEEDED", "shard_2": "FAILED", "report": "SUCCEEDED"}


def test_a_token_starts_one_batch(batches: FakeBatches | BuildBatches) -> None:
    token, other = (f"token-{next(_NUMBERS)}" for _ in range(2))
    batch = started(batches, token)
    assert started(batches, token).id == batch.id
    assert started(batches, other).id != batch.id


def test_the_quota_is_that_of_the_projects_machine(batches: FakeBatches | BuildBatches) -> None:
    quota = batches.quota()
    assert quota
    assert (quota.code, quota.value) == ("L-5ED1D25B", 60)


def test_a_token_is_for_the_same_call_alone(real: BuildBatches) -> None:
    token = f"token-{next(_NUMBERS)}"
    started(real, token)
    with pytest.raises(Refused, match="do not match"):
        started(real, token, "no")


def test_says_why_a_batch_did_not_begin(real: BuildBatches) -> None:
    end = ended(real, real.start(OWN, {}, f"token-{next(_NUMBERS)}"))
    assert end.status == "FAILED"
    assert "build-graph" in end.why


def test_a_batch_and_a_project_may_be_gone(real: BuildBatches) -> None:
    assert real.look("refresh:0e7a8a7c-9d1b-4f55-9c2e-0d6b1c3f6a11").status == "DELETED"
    assert BuildBatches(AwsSession(REGION), "other").buildspec() == ""
