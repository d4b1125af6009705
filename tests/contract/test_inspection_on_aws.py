"""What doctor asks AWS, as boto3 reads it from the sandbox."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from tests.support.sandbox import RunningSandbox
from toolkit.aws.inspection import Bucket, Identity, Inspection, Quota
from toolkit.aws.session import AwsSession
from toolkit.errors import AccessDenied, Refused

pytestmark = pytest.mark.xdist_group("aws")

REGION = "eu-central-1"
KMS = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]}


@pytest.fixture
def inspection(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Inspection:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return Inspection(AwsSession(REGION))


def test_tells_who_is_signed_in_and_by_what(inspection: Inspection) -> None:
    identity = inspection.identity()
    assert identity == Identity("123456789012", identity.arn, "env")
    assert inspection.time().year >= 2026


def test_reads_buckets_where_they_are(sandbox: RunningSandbox, inspection: Inspection) -> None:
    here, there = sandbox.client("s3", REGION), sandbox.client("s3", "us-west-2")
    here.create_bucket(Bucket="full", CreateBucketConfiguration={"LocationConstraint": REGION})
    here.put_bucket_versioning(Bucket="full", VersioningConfiguration={"Status": "Enabled"})
    here.put_bucket_encryption(Bucket="full", ServerSideEncryptionConfiguration=KMS)
    there.create_bucket(Bucket="away", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    assert inspection.bucket("full", REGION) == Bucket(REGION, True, "aws:kms")
    assert inspection.bucket("away", REGION) == Bucket("us-west-2", False, None)
    assert inspection.bucket("nowhere", REGION) is None


def test_reads_both_kinds_of_lock(sandbox: RunningSandbox, inspection: Inspection) -> None:
    s3, tables = sandbox.client("s3", REGION), sandbox.client("dynamodb", REGION)
    info = json.dumps({"Who": "ann@build"})
    s3.create_bucket(Bucket="locks", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert inspection.stored("locks", "k.tflock", REGION) is None
    s3.put_object(Bucket="locks", Key="k.tflock", Body=info.encode())
    assert inspection.stored("locks", "k.tflock", REGION) == info
    with pytest.raises(Refused):
        inspection.item("locks", "locks/k", REGION)  # no such table
    tables.create_table(
        TableName="locks",
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert inspection.item("locks", "locks/k", REGION) is None
    tables.put_item(TableName="locks", Item={"LockID": {"S": "locks/k"}, "Info": {"S": info}})
    assert inspection.item("locks", "locks/k", REGION) == info


@dataclass(frozen=True)
class Needed:
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)


def test_simulates_the_rights_of_the_role_behind_a_session(sandbox: RunningSandbox, inspection: Inspection) -> None:
    iam, here, passed = (
        sandbox.client("iam", REGION),
        "arn:aws:ecr:eu-west-1:123456789012:repository/a",
        "iam:PassedToService",
    )
    policy = [
        {"Effect": "Allow", "Action": ["ecr:PutImage"], "Resource": [here]},
        {
            "Effect": "Allow",
            "Action": ["iam:PassRole"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {passed: "codebuild.amazonaws.com"}},
        },
    ]
    role = iam.create_role(RoleName="pipeline", Path="/ci/", AssumeRolePolicyDocument="{}")["Role"]
    document = json.dumps({"Version": "2012-10-17", "Statement": policy})
    iam.put_role_policy(RoleName="pipeline", PolicyName="own", PolicyDocument=document)
    caller = "arn:aws:sts::123456789012:assumed-role/pipeline/42"
    allowed = [
        Needed(("ecr:PutImage",), (here,)),
        Needed(("iam:PassRole",), (role["Arn"],), {"StringEquals": {passed: ["codebuild.amazonaws.com"]}}),
    ]
    assert inspection.simulate(caller, allowed) == frozenset()
    refused = [
        Needed(("ecr:PutImage", "ecr:DeleteRepository"), (here,)),
        Needed(("ecr:PutImage",), (f"{here}b",)),
        Needed(("iam:PassRole",), (role["Arn"],)),
    ]
    assert inspection.simulate(caller, refused) == {"ecr:DeleteRepository", "ecr:PutImage", "iam:PassRole"}
    with pytest.raises(AccessDenied, match="roles and users"):
        inspection.simulate("arn:aws:iam::123456789012:root", allowed)


def test_reads_quotas_by_name(inspection: Inspection) -> None:
    name = "Rate of PutImage requests"
    assert inspection.quotas("ecr")[name.lower()] == Quota(name, "L-AD52DFB2", 10)
    assert "concurrently running builds for linux/small environment" in inspection.quotas("codebuild")
