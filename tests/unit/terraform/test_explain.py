from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from toolkit.errors import AccessDenied, PlanStale, Refused, TerraformFailed, ToolkitError
from toolkit.terraform import explain as module
from toolkit.terraform.explain import Diagnostic, explain, hint_for, lock_in


def _recorded() -> dict[str, Diagnostic]:
    """What the real Terraform 1.11 and AWS provider 5.100 said, by the name of what was wrong."""
    diagnostics = {}
    for line in (Path(__file__).parent / "recorded" / "diagnostics.jsonl").read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        name = fields.pop("name")
        diagnostics[name] = Diagnostic(**fields)
    return diagnostics


RECORDED = _recorded()
MIGRATE = "run `terraform init -migrate-state` in the working directory, or restore `terraform.backend`, then run again"
MOVED = "the manifest names another place for Terraform's state than the last run used"
REMOVE = "remove `.terraform` in the working directory and run again"
RESTORE = (
    "restore its last good version (`terraform.tfstate.backup`, or the bucket's); if there is none, move it away "
    "and run again: resources with this manifest's tags are imported"
)
NOT_AS_LEFT = "Terraform's working directory was changed after `init`"

ROWS: list[tuple[str, type[ToolkitError], str, str, str | None]] = [
    (
        "wrong_account",
        Refused,
        "aws.wrong_account",
        "these credentials belong to account `123456789012`, which the manifest does not allow",
        "switch the profile or role, or correct `aws.account_id`",
    ),
    (
        "expired",
        AccessDenied,
        "aws.credentials_expired",
        "the AWS credentials have expired",
        "renew the session (`aws sso login`, or a new role session) and run again",
    ),
    (
        "invalid",
        AccessDenied,
        "aws.credentials_invalid",
        "AWS does not accept these credentials",
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_PROFILE",
    ),
    (
        "denied_iam",
        AccessDenied,
        "aws.access_denied",
        "AWS refused `iam:CreateRole` on `arn:aws:iam::123456789012:role/r` to `arn:aws:iam::123456789012:user/x`",
        "allow `iam:CreateRole` for this role: `toolkit iam-policy` prints what it needs",
    ),
    (
        "denied_ecr",
        AccessDenied,
        "aws.access_denied",
        (
            "AWS refused `ecr:CreateRepository` on `arn:aws:ecr:ap-northeast-1:123456789012:repository/a` to "
            "`arn:aws:iam::123456789012:user/x`"
        ),
        "allow `ecr:CreateRepository` for this role: `toolkit iam-policy` prints what it needs",
    ),
    (
        "no_credentials",
        AccessDenied,
        "aws.no_credentials",
        "Terraform found no AWS credentials",
        "set AWS_PROFILE or AWS_ACCESS_KEY_ID",
    ),
    (
        "repository_exists",
        TerraformFailed,
        "terraform.repository_exists",
        "the repository `a/b` already exists and is not in Terraform's state",
        "run again: resources with this manifest's tags are imported",
    ),
    (
        "role_exists",
        TerraformFailed,
        "terraform.resource_exists",
        (
            "`aws_iam_role.this`: creating IAM Role (r): operation error IAM: CreateRole, "
            "EntityAlreadyExists: Role with name r already exists"
        ),
        "run again: resources with this manifest's tags are imported; for others, use --adopt or choose another name",
    ),
    (
        "endpoint_unreachable",
        TerraformFailed,
        "terraform.aws_unreachable",
        (
            "Retrieving AWS account details: validating provider credentials: retrieving caller identity "
            "from STS: operation error STS: GetCallerIdentity, exceeded maximum number of attempts, 1, "
            'request send failed, Post "http://127.0.0.1:5999/": dial tcp 127.0.0.1:5999: connect: '
            "connection refused"
        ),
        "check the network, the region and AWS_ENDPOINT_URL",
    ),
    ("backend_changed_at_init", TerraformFailed, "terraform.backend_changed", MOVED, MIGRATE),
    (
        "bucket_missing",
        TerraformFailed,
        "terraform.bucket_missing",
        "the bucket `nope` for Terraform's state does not exist",
        "create it first, with versioning, or correct `terraform.backend.s3`",
    ),
    ("backend_changed_at_plan", TerraformFailed, "terraform.backend_changed", MOVED, MIGRATE),
    (
        "state_locked_s3",
        Refused,
        "state.locked",
        (
            "the state is locked by `ci@runner` since 2026-11-23 23:00:00 UTC (lock "
            "`2f5c4a1e-0000-0000-0000-000000000000`); Terraform changed nothing"
        ),
        (
            "wait for that run; if it died, run `terraform force-unlock "
            "2f5c4a1e-0000-0000-0000-000000000000` in the working directory"
        ),
    ),
    (
        "state_denied_s3",
        AccessDenied,
        "aws.access_denied",
        "AWS refused `PutObject` of S3 to these credentials",
        "allow it for this role: `toolkit iam-policy` prints what it needs",
    ),
    (
        "state_denied_head",
        AccessDenied,
        "aws.access_denied",
        "AWS refused `s3:GetObject` or `s3:ListBucket` for Terraform's state to these credentials",
        "allow `s3:GetObject` and `s3:ListBucket` for this role: `toolkit iam-policy` prints what it needs",
    ),
    (
        "state_locked_local",
        Refused,
        "state.locked",
        (
            "the state is locked by `somebody@somewhere` since 2026-11-23 23:17:54 UTC (lock "
            "`c6870386-ac6f-c401-8839-ee1281620e36`); Terraform changed nothing"
        ),
        "wait for that run to end, or give it more time with --lock-timeout",
    ),
    ("state_migration", TerraformFailed, "terraform.backend_changed", MOVED, MIGRATE),
    (
        "registry_unreachable",
        TerraformFailed,
        "terraform.registry_unreachable",
        "Terraform cannot get the AWS provider from its registry",
        "allow access to the Terraform registry, or name a provider mirror in TOOLKIT_PROVIDER_MIRROR",
    ),
    (
        "mirror_without",
        TerraformFailed,
        "terraform.provider_not_found",
        "the provider mirror has no suitable AWS provider",
        "add the AWS provider (5.80 or newer, below 7) to the mirror, or unset TOOLKIT_PROVIDER_MIRROR",
    ),
    (
        "terraform_too_old",
        TerraformFailed,
        "terraform.too_old",
        "this Terraform is too old for the manifest",
        "install Terraform 1.6 or newer, for state in S3 1.10, or name another with --terraform-bin",
    ),
    (
        "state_newer",
        TerraformFailed,
        "terraform.too_old",
        "Terraform's state was written by a newer Terraform than this one",
        "install that version or a newer one, or name it with --terraform-bin",
    ),
    ("state_garbage", TerraformFailed, "terraform.state_unreadable", "Terraform's state is damaged", RESTORE),
    ("state_null", TerraformFailed, "terraform.state_unreadable", "Terraform's state is damaged", RESTORE),
    ("not_initialised_lock_file", TerraformFailed, "terraform.not_initialised", NOT_AS_LEFT, REMOVE),
    (
        "repository_not_empty",
        TerraformFailed,
        "terraform.repository_not_empty",
        "the repository `full/one` holds images, so AWS does not delete it",
        "plan again: it has received images that are not in the plan",
    ),
    (
        "log_group_exists",
        TerraformFailed,
        "terraform.resource_exists",
        (
            "`aws_cloudwatch_log_group.this`: creating CloudWatch Logs Log Group (/x): operation error "
            "CloudWatch Logs: CreateLogGroup, ResourceAlreadyExistsException: The specified log group "
            "already exists"
        ),
        "run again: resources with this manifest's tags are imported; for others, use --adopt or choose another name",
    ),
    (
        "no_git_token",
        TerraformFailed,
        "terraform.git_host_unknown",
        "CodeBuild has no credential for `github` in this account and region",
        "give the build's `source` a `connection` or a `secret`, or connect CodeBuild to the host in its console",
    ),
    (
        "plan_stale",
        PlanStale,
        "plan.stale",
        "the plan is stale and was not applied",
        "plan again: an interrupted apply of this plan, or somebody else, has changed the state since",
    ),
    ("not_initialised_module", TerraformFailed, "terraform.not_initialised", NOT_AS_LEFT, REMOVE),
    ("not_initialised_plugins", TerraformFailed, "terraform.not_initialised", NOT_AS_LEFT, REMOVE),
    (
        "provisioner_failed",
        TerraformFailed,
        "terraform.failed",
        "`terraform_data.slow2`: local-exec provisioner error",
        None,
    ),
    (
        "adoption_gone",
        TerraformFailed,
        "terraform.adoption_gone",
        "a resource to be imported no longer exists",
        "run again: it was deleted while the plan was made",
    ),
    (
        "provider_hash",
        Refused,
        "provider.not_the_locked",
        "the AWS provider to be installed has none of the checksums in the lock file",
        "on a new platform, or with a mirror that you trust, run `toolkit lock-provider` and review the change",
    ),
    (
        "provider_gone",
        Refused,
        "provider.locked_is_gone",
        "the lock file names version 5.99.0 of the AWS provider, which is not available",
        "add it to the mirror, or run `toolkit lock-provider` to lock another",
    ),
    (
        "provider_lock_unreadable",
        Refused,
        "provider.lock_unreadable",
        "the lock file of the AWS provider cannot be read",
        "restore it from Git, or run `toolkit lock-provider`",
    ),
    (
        "provider_constraint",
        Refused,
        "provider.lock_is_old",
        "the lock file names version 5.100.0 of the AWS provider, which `terraform.provider_version` does not allow",
        "run `toolkit lock-provider`",
    ),
    (
        "provider_no_match",
        TerraformFailed,
        "provider.not_available",
        "no AWS provider satisfies `>= 5.80.0, 6.0.0, < 7.0.0`",
        "correct `terraform.provider_version`, or add a version that it allows to the mirror",
    ),
    (
        "provider_changes",
        Refused,
        "provider.lock_is_old",
        "the lock file of the AWS provider was made for another manifest or another program",
        "run `toolkit lock-provider`",
    ),
]


@pytest.mark.parametrize(("name", "kind", "code", "message", "hint"), ROWS, ids=[row[0] for row in ROWS])
def test_a_cause_is_named_with_its_cure(
    name: str, kind: type[ToolkitError], code: str, message: str, hint: str | None
) -> None:
    error = explain(RECORDED[name])
    assert (type(error), error.code, error.message, error.hint) == (kind, code, message, hint)
    assert hint_for(RECORDED[name]) == hint


def test_every_recording_has_its_test() -> None:
    assert sorted(RECORDED) == sorted(row[0] for row in ROWS)


def test_every_row_of_the_table_is_the_first_match_of_something() -> None:
    hit = {module._find(diagnostic)[0] for diagnostic in RECORDED.values() if module._find(diagnostic)}
    hit.add(module._find(WITHOUT_LOCK_INFO)[0])
    assert set(module._TABLE) - hit == set()


WITHOUT_LOCK_INFO = Diagnostic("error", "Error acquiring the state lock", "Error message: 503 Slow Down")


def test_a_lock_that_cannot_be_had_and_is_nobodys_is_a_failure() -> None:
    error = explain(WITHOUT_LOCK_INFO)
    assert isinstance(error, TerraformFailed)
    assert error.code == "state.lock_failed"
    assert lock_in(WITHOUT_LOCK_INFO) is None
    assert error.message == "Error acquiring the state lock"


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2026-11-23 23:00:59", "23:00 UTC (59 s)"),
        ("2026-11-23 23:59:59", "23:00 UTC (59 min)"),
        ("2026-11-24 01:10:00", "2026-11-23 23:00 UTC (2 h)"),
        ("2026-11-26 00:00:00", "2026-11-23 23:00 UTC (2 d)"),
        ("2026-11-23 22:59:00", "23:00 UTC (0 s)"),  # two clocks
    ],
)
def test_a_lock_says_whose_it_is_and_since_when(now: str, since: str) -> None:
    lock = lock_in(RECORDED["state_locked_s3"])
    assert lock is not None
    assert lock.waiting(datetime.fromisoformat(f"{now}+00:00")) == f"waiting for the lock of `ci@runner` since {since}"


def test_text_that_terraform_wrapped_is_understood() -> None:
    wrapped = Diagnostic(
        "error", "creating a thing", "User: x is not authorized to\nperform: ecr:ListTagsForResource on\nresource: y"
    )
    assert explain(wrapped).message == "AWS refused `ecr:ListTagsForResource` on `y` to `x`"
    assert str(hint_for(wrapped)).startswith("allow `ecr:ListTagsForResource` for this role")


def test_a_warning_gets_no_cure() -> None:
    assert hint_for(Diagnostic("warning", "RequestExpired")) is None


def test_an_unknown_complaint_keeps_its_first_sentence() -> None:
    error = explain(Diagnostic("error", "Something new.\n\nWith a long story", "and details", "a.b"))
    assert (error.code, error.message, error.hint) == ("terraform.failed", "`a.b`: Something new", None)
