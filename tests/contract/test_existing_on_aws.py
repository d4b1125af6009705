"""What exists in AWS, as boto3 reads it from the sandbox."""

from __future__ import annotations

import json

import pytest

from tests.support.sandbox import RunningSandbox
from toolkit.aws.ecr import EcrService
from toolkit.aws.existing import ExistingService
from toolkit.aws.session import AwsSession
from toolkit.plan.observed import WEBHOOK, ExistingRepository, ExistingResource

pytestmark = pytest.mark.xdist_group("aws")

REGION = "eu-west-2"
TAGS = {"owner": "somebody"}
KEY = f"arn:aws:kms:{REGION}:123456789012:key/0a1b2c3d"
STATEMENT = {"Effect": "Allow", "Principal": {"AWS": "210987654321"}, "Action": ["ecr:BatchGetImage"]}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]})
SELECTION = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10}
LIFECYCLE = json.dumps({"rules": [{"rulePriority": 5, "selection": SELECTION, "action": {"type": "expire"}}]})
RIGHTS = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]}
ROLE_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [RIGHTS]})


@pytest.fixture
def session(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return AwsSession(REGION)


def test_a_repository_is_read_with_its_tags_and_policies(sandbox: RunningSandbox, session: AwsSession) -> None:
    ecr = sandbox.client("ecr", REGION)
    ecr.create_repository(repositoryName="plain")
    ecr.create_repository(
        repositoryName="full",
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        encryptionConfiguration={"encryptionType": "KMS", "kmsKey": KEY},
        tags=[{"Key": key, "Value": value} for key, value in TAGS.items()],
    )
    ecr.set_repository_policy(repositoryName="full", policyText=POLICY)
    ecr.put_lifecycle_policy(repositoryName="full", lifecyclePolicyText=LIFECYCLE)
    service = EcrService(session)
    account = session.account_id()
    assert service.repository("plain") == ExistingRepository("plain", account)
    found = service.repository("full")
    assert found is not None
    assert json.loads(found.repository_policy or "") == json.loads(POLICY)
    assert json.loads(found.lifecycle_policy or "") == json.loads(LIFECYCLE)
    assert found == ExistingRepository(
        name="full",
        account_id=account,
        tag_mutability="IMMUTABLE",
        scan_on_push=True,
        encryption_type="KMS",
        kms_key=KEY,
        resource_tags=TAGS,
        lifecycle_policy=found.lifecycle_policy,
        repository_policy=found.repository_policy,
    )
    assert service.repository("absent") is None


def test_what_builds_have_is_read_with_its_tags_and_parts(sandbox: RunningSandbox, session: AwsSession) -> None:
    iam, logs, codebuild = (sandbox.client(service, REGION) for service in ("iam", "logs", "codebuild"))
    tags = [{"Key": key, "Value": value} for key, value in TAGS.items()]
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = iam.create_role(RoleName="a-role", AssumeRolePolicyDocument=trust, Tags=tags)["Role"]["Arn"]
    iam.put_role_policy(RoleName="a-role", PolicyName="build", PolicyDocument=ROLE_POLICY)
    policy = iam.create_policy(PolicyName="admin", PolicyDocument=ROLE_POLICY)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="a-role", PolicyArn=policy)
    logs.create_log_group(logGroupName="/aws/codebuild/a", tags=TAGS)
    logs.create_log_group(logGroupName="/aws/codebuild/ab")
    logs.put_retention_policy(logGroupName="/aws/codebuild/a", retentionInDays=90)
    names = [f"project-{number:03}" for number in range(101)]  # one more than AWS takes in a call
    for name in names:
        codebuild.create_project(
            name=name,
            source={"type": "GITHUB", "location": "https://github.com/acme/web.git"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "x", "computeType": "BUILD_GENERAL1_SMALL"},
            serviceRole=role,
            tags=[{"key": key, "value": value} for key, value in TAGS.items()],
        )
    codebuild.create_webhook(projectName=names[100])

    service = ExistingService(session)
    assert service.role("a-role") == ExistingResource(TAGS, frozenset({"build", policy}))
    assert service.role("absent") is None
    assert service.log_group("/aws/codebuild/a") == ExistingResource(TAGS, retention_days=90)
    assert service.log_group("/aws/codebuild/") is None
    found = service.projects([*names, "absent"])
    assert list(found) == names
    assert found[names[100]] == ExistingResource(TAGS, frozenset({WEBHOOK}))
    assert found[names[0]] == ExistingResource(TAGS)
