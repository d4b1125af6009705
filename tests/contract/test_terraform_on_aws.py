"""The rendered root module on the real Terraform and the real AWS provider, against the sandbox's AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.real_parts import missing, require
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.terraform_samples import DESIRED, DOCS, NGINX, WEB
from toolkit.errors import Refused, TerraformFailed
from toolkit.events import Event, InfraChangeFinished, NoticeGiven
from toolkit.plan.desired import Desired, S3Backend, ownership_tags
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import (
    Adoption,
    log_group_address,
    project_address,
    render,
    render_input,
    repository_address,
    role_address,
)
from toolkit.terraform.runner import PlanFile, TerraformRunner
from toolkit.terraform.work_dir import WorkDir, write

pytestmark = pytest.mark.xdist_group("terraform_on_aws")

ROOT = Path(__file__).parents[2]
MADE = [
    *(repository_address(repository.name) for repository in DESIRED.repositories),
    *(address(build) for build in DESIRED.builds for address in (role_address, log_group_address, project_address)),
]
ADOPTIONS = [
    *(Adoption(repository_address(repository.name), repository.name) for repository in DESIRED.repositories),
    *(Adoption(role_address(build), build.role_name(DESIRED.region)) for build in DESIRED.builds),
    *(Adoption(log_group_address(build), build.log_group_name) for build in DESIRED.builds),
    *(Adoption(project_address(build), build.project_name) for build in DESIRED.builds),
]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    require("terraform")
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


def _runner(aws: RunningSandbox, events: list[Event]) -> TerraformRunner:
    mirror = find(os.environ, Path.home())
    return TerraformRunner("terraform", events.append, find_mirror=lambda: mirror, environment=aws.environment())


def _plan(runner: TerraformRunner, path: Path, desired: Desired, adopt: list[Adoption] | None = None) -> PlanFile:
    work_dir = write(render(desired, adopt=adopt or ()), path)
    try:
        runner.init(work_dir)
    except TerraformFailed as error:
        if error.code == "terraform.registry_unreachable":
            missing("the AWS provider cannot be had: name a mirror in TOOLKIT_PROVIDER_MIRROR")
        raise
    return runner.plan(work_dir)


@pytest.mark.slow
def test_everything_is_made_once_and_found_again_when_the_state_is_lost(aws: RunningSandbox, tmp_path: Path) -> None:
    events: list[Event] = []
    runner = _runner(aws, events)
    work_dir = WorkDir(tmp_path / "first")

    planned = _plan(runner, work_dir.path, DESIRED)
    assert {change.action for change in planned.changes} == {InfraAction.CREATE}
    assert {change.address for change in planned.changes} >= set(MADE)
    assert {change.name for change in planned.changes} == {NGINX, "base/python", "web", "docs"}
    assert InfraChange(repository_address(NGINX), "aws_ecr_repository", InfraAction.CREATE, NGINX) in planned.changes

    outputs = runner.apply(planned)
    host = f"{DESIRED.account_id}.dkr.ecr.{DESIRED.region}.amazonaws.com"
    arn = f"arn:aws:ecr:{DESIRED.region}:{DESIRED.account_id}:repository"
    assert outputs["repositories"] == {
        name: {"arn": f"{arn}/{name}", "url": f"{host}/{name}"} for name in ("base/python", NGINX)
    }
    assert set(outputs["builds"]) == {"web", "docs"}  # type: ignore[call-overload]  # an output is any value
    assert runner.state(work_dir).managed >= set(MADE)
    _look_at(aws, host)
    assert not _plan(runner, work_dir.path, DESIRED).changes

    # Another folder is a state that was lost: everything is there, and Terraform knows nothing of it.
    planned = _plan(runner, tmp_path / "second", DESIRED, ADOPTIONS)
    # `force_delete` is Terraform's own, so a repository that has it is imported and then "changed".
    adopted = {change.address: change for change in planned.changes if change.address in MADE}
    assert set(adopted) == set(MADE)
    assert all(change.is_imported for change in adopted.values())
    assert {change.action for change in adopted.values()} == {InfraAction.IMPORT, InfraAction.UPDATE}
    by_address = {change.address: change.action for change in planned.changes}
    assert not any(change.destroys for change in planned.changes)
    events.clear()
    done: list[InfraChange] = []
    runner.apply(planned, on_resource=done.append)
    assert sorted(change.address for change in done) == sorted(by_address)
    assert {event.address for event in events if isinstance(event, InfraChangeFinished)} == set(by_address)
    assert not _plan(runner, tmp_path / "second", DESIRED, ADOPTIONS).changes  # what is known is not adopted again
    _replace_repositories(aws, runner, tmp_path / "second")


def _replace_repositories(aws: RunningSandbox, runner: TerraformRunner, path: Path) -> None:
    """A repository goes with its policies, and its replacement has them again after one apply."""
    ecr = aws.client("ecr", DESIRED.region)

    def policies() -> list[object]:
        lifecycle = ecr.get_lifecycle_policy(repositoryName=NGINX)["lifecyclePolicyText"]
        access = ecr.get_repository_policy(repositoryName="base/python")["policyText"]
        return [json.loads(lifecycle), json.loads(access)]

    before = policies()
    encrypted = tuple(replace(repository, encryption_type="KMS") for repository in DESIRED.repositories)
    planned = _plan(runner, path, replace(DESIRED, repositories=encrypted))
    assert {change.resource_type for change in planned.changes if change.destroys} == {
        "aws_ecr_repository",
        "aws_ecr_lifecycle_policy",
        "aws_ecr_repository_policy",
    }
    runner.apply(planned)
    assert policies() == before


def _look_at(aws: RunningSandbox, host: str) -> None:
    """What AWS has is what was asked for, its tags and its text as they were written."""
    tags = {**DESIRED.resource_tags, **ownership_tags(DESIRED.name)}
    ecr = aws.client("ecr", DESIRED.region)
    for repository in ecr.describe_repositories()["repositories"]:
        found = ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"]
        assert {tag["Key"]: tag["Value"] for tag in found} == tags
    names = [build.project_name for build in DESIRED.builds]
    projects = {
        project["name"]: project
        for project in aws.client("codebuild", DESIRED.region).batch_get_projects(names=names)["projects"]
    }
    assert {tag["key"]: tag["value"] for tag in projects[WEB.project_name]["tags"]} == tags
    assert (
        projects[WEB.project_name]["source"]["buildspec"]
        == json.loads(render_input(DESIRED))["builds"]["web"]["buildspec"]
    )
    variables = {
        name: {variable["name"]: variable["value"] for variable in project["environment"]["environmentVariables"]}
        for name, project in projects.items()
    }
    assert variables == {
        WEB.project_name: {**WEB.environment_variables, "TOOLKIT_ECR_REGISTRY": host},
        DOCS.project_name: {},
    }


@pytest.mark.slow
def test_a_root_module_that_was_there_before_makes_it_all(aws: RunningSandbox, tmp_path: Path) -> None:
    for folder in ("examples/existing-root", "terraform_modules"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    mirror = find(os.environ, Path.home())

    def terraform(*arguments: str) -> str:
        done = subprocess.run(
            ["terraform", f"-chdir={tmp_path / 'examples/existing-root'}", *arguments],
            env=aws.environment() | {"CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    terraform("init", "-input=false", *([f"-plugin-dir={mirror}"] if mirror else []))
    terraform("apply", "-input=false", "-auto-approve")
    assert terraform("output", "-raw", "web_project").endswith(":project/shop-web")
    # The toolkit finds what is its own by the tags, whoever made it.
    ecr = aws.client("ecr", "eu-west-1")
    [nginx] = ecr.describe_repositories(repositoryNames=["mirror/docker-hub/library/nginx"])["repositories"]
    tags = {tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=nginx["repositoryArn"])["tags"]}
    assert tags == ownership_tags("shop")
    terraform("plan", "-input=false", "-detailed-exitcode")


def test_credentials_of_another_account_are_refused(aws: RunningSandbox, tmp_path: Path) -> None:
    runner = _runner(aws, [])
    with pytest.raises(Refused) as refused:
        _plan(runner, tmp_path, Desired(name="x", region=DESIRED.region, account_id="999999999999"))
    assert refused.value.code == "aws.wrong_account"


def test_state_in_a_bucket_that_is_not_there_is_one_clear_sentence(aws: RunningSandbox, tmp_path: Path) -> None:
    with pytest.raises(TerraformFailed) as failed:
        _plan(_runner(aws, []), tmp_path, replace(DESIRED, backend=S3Backend("absent-bucket", "k", DESIRED.region)))
    assert failed.value.code == "terraform.bucket_missing"


@pytest.mark.slow
def test_state_in_s3_is_kept_there_under_its_lock(aws: RunningSandbox, tmp_path: Path) -> None:
    s3 = aws.client("s3", DESIRED.region)
    s3.create_bucket(Bucket="acme-state", CreateBucketConfiguration={"LocationConstraint": DESIRED.region})
    desired = Desired("s3", DESIRED.region, None, backend=S3Backend("acme-state", "a/b.tfstate", DESIRED.region))
    runner = _runner(aws, [])
    planned = _plan(runner, tmp_path, desired)
    lock = {"ID": "1-2", "Who": "ci@runner", "Created": "2026-11-29T03:17:00Z"}
    s3.put_object(Bucket="acme-state", Key="a/b.tfstate.tflock", Body=json.dumps(lock).encode())
    now = datetime(2026, 11, 29, 5, 20, tzinfo=UTC)
    events: list[Event] = []
    impatient = TerraformRunner(
        "terraform", events.append, lock_seconds=1, environment=aws.environment(), now=lambda: now
    )
    with pytest.raises(Refused) as failed:
        impatient.plan(planned.work_dir)
    assert failed.value.code == "state.locked"
    assert failed.value.hint and "force-unlock 1-2" in failed.value.hint
    [told] = events
    assert isinstance(told, NoticeGiven)
    assert told.message == "waiting for the lock of `ci@runner` since 03:17 UTC (2 h)"
    s3.delete_object(Bucket="acme-state", Key="a/b.tfstate.tflock")
    runner.apply(runner.plan(planned.work_dir))
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="acme-state")["Contents"]] == ["a/b.tfstate"]
    assert not (tmp_path / "terraform.tfstate").exists()
    assert runner.state(planned.work_dir).managed == frozenset()
    lineage = runner.state(planned.work_dir).lineage
    other = TerraformRunner(
        "terraform", print, workspace="dev", find_mirror=runner._find_mirror, environment=aws.environment()
    )
    other.init(planned.work_dir)
    other.apply(other.plan(planned.work_dir))
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket="acme-state")["Contents"]]
    assert keys == ["a/b.tfstate", "env:/dev/a/b.tfstate"]
    assert other.state(planned.work_dir).lineage not in ("", lineage)
