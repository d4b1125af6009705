"""A saved plan with Terraform and its provider: applied from an empty folder elsewhere, and what is not applied at all."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Laptop
from tests.support.saved_plans import edit, edited_json
from tests.support.toolkit_run import Finished, Toolkit

# One story, told by one worker: the tests share its laptop and follow each other.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("saved plan")]

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
terraform: {backend: {s3: {bucket: states, key: shop.tfstate}}}
images:
  - {source: "nginx:1.16", platforms: [linux/amd64]}
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
    environment_variables: {API_TOKEN: hunter2, STAGE: test}
"""
KEY = "a key of the pipeline's"


@dataclass(frozen=True)
class Story:
    """The laptop where plans are made, a Git checkout, and whoever applies them."""

    laptop: Laptop
    commit: str

    @property
    def plan(self) -> Path:
        return self.laptop.folder / "plan.toolkit"

    def aws(self, service: str) -> Any:
        environment = self.laptop.toolkit.environment
        return boto3.client(
            service,  # type: ignore[call-overload]  # a name that is not a literal
            region_name="eu-west-1",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )

    def apply(self, folder: Path, *arguments: str, **environment: str) -> Finished:
        """In an empty folder that has the plan alone, as somebody with another home."""
        folder.mkdir(parents=True)
        (folder / "plan.toolkit").write_bytes(self.plan.read_bytes())
        home = {"HOME": str(folder), "TMPDIR": str(folder), "TOOLKIT_CACHE_DIR": str(folder / "cache")}
        somebody = Toolkit(folder, {**self.laptop.toolkit.environment, **home, **environment})
        return somebody.run("apply", "plan.toolkit", *arguments)


@pytest.fixture(scope="module")
def story(open_laptop: Callable[[str], Laptop]) -> Iterator[Story]:
    laptop = open_laptop(MANIFEST)
    (laptop.folder / ".gitignore").write_text("/sandbox/\n/cache/\n")
    for command in (["init", "--quiet"], ["add", "images.yaml", ".gitignore"], ["commit", "--quiet", "-m", "images"]):
        identity = ["-c", "user.name=me", "-c", "user.email=me@example.com"]
        subprocess.run(["git", *identity, *command], cwd=laptop.folder, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=laptop.folder, check=True, capture_output=True, text=True)
    story = Story(laptop, head.stdout.strip())
    story.aws("s3").create_bucket(Bucket="states", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield story


@pytest.fixture(scope="module")
def saved(story: Story) -> Finished:
    """The first plan, signed."""
    toolkit = Toolkit(story.laptop.folder, {**story.laptop.toolkit.environment, "TOOLKIT_PLAN_KEY": KEY})
    return toolkit.run("plan", "--out", "plan.toolkit", "--output", "json=plan.json").expect(0)


def test_it_is_written_for_its_owner_and_says_what_is_secret_in_it(story: Story, saved: Finished) -> None:
    assert stat.S_IMODE(story.plan.stat().st_mode) == 0o600
    assert "`API_TOKEN` of the build `web`" in saved.stderr
    assert "hunter2" not in saved.stdout + saved.stderr
    for log in (story.laptop.folder / ".toolkit").rglob("*"):
        assert not log.is_file() or KEY.encode() not in log.read_bytes()


def test_it_is_shown_as_it_was_planned(story: Story, saved: Finished) -> None:
    shown = Toolkit(story.laptop.folder, {"TOOLKIT_PLAN_KEY": KEY}).run("show", "plan.toolkit").expect(0).stdout
    assert f"signed by this key, of commit {story.commit}\n" in shown
    assert shown.endswith(saved.stdout)


def test_its_json_is_shown_as_it_was_planned(story: Story, saved: Finished, tmp_path: Path) -> None:
    content = (story.laptop.folder / "plan.json").read_bytes()
    assert b"hunter2" not in content
    (tmp_path / "plan.json").write_bytes(content)
    elsewhere = Toolkit(tmp_path)
    assert elsewhere.run("show", "plan.json").expect(0).stdout == saved.stdout
    assert json.loads(elsewhere.run("show", "plan.json", "--format", "json").stdout) == json.loads(content)


def test_without_a_signature_it_is_not_applied_where_a_key_is_set(
    story: Story, saved: Finished, tmp_path: Path
) -> None:
    signed = story.plan.read_bytes()
    edit(story.plan)
    done = story.apply(tmp_path / "x", TOOLKIT_PLAN_KEY=KEY).expect(7)
    story.plan.write_bytes(signed)
    assert "is not signed" in done.stderr
    other = story.apply(tmp_path / "y", TOOLKIT_PLAN_KEY="a key of somebody else").expect(7)
    assert "is not by the key" in other.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan["seeds"][0]["source"].update(repository="evil/nginx"), "from `evil/nginx:1.16@sha256:"),
        (lambda plan: plan["infra_changes"].pop(), "which the saved plan does not mention"),
        (lambda plan: plan["infra_changes"][0].update(action="update"), "does not update"),
    ],
)
def test_an_edited_plan_is_not_applied_though_its_sums_are_right(
    story: Story, saved: Finished, tmp_path: Path, change: Callable[[Any], None], said: str
) -> None:
    signed = story.plan.read_bytes()
    edit(story.plan, plan_json=edited_json(change))
    done = story.apply(tmp_path / "x", "--format", "json").expect(7)
    story.plan.write_bytes(signed)
    assert done.document["error"]["code"] == "plan.misfit"
    assert said in done.document["error"]["message"]
    assert story.aws("ecr").describe_repositories()["repositories"] == []


def test_it_is_not_applied_to_another_account(story: Story, saved: Finished, tmp_path: Path) -> None:
    role = "arn:aws:iam::999999999999:role/deploy"
    given = story.aws("sts").assume_role(RoleArn=role, RoleSessionName="elsewhere")["Credentials"]
    done = story.apply(
        tmp_path / "x",
        "--format",
        "json",
        AWS_ACCESS_KEY_ID=given["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=given["SecretAccessKey"],
        AWS_SESSION_TOKEN=given["SessionToken"],
    ).expect(7)
    assert done.document["error"]["code"] == "plan.other_account"


def test_a_manifest_beside_it_is_compared_where_it_is_named(story: Story, saved: Finished, tmp_path: Path) -> None:
    other = tmp_path / "images.yaml"
    other.write_text(MANIFEST.replace("1.16", "1.17"))
    done = story.apply(tmp_path / "x", "-f", str(other), "--format", "json").expect(7)
    assert done.document["error"]["code"] == "plan.stale"


@pytest.fixture(scope="module")
def applied(story: Story, saved: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the plan was applied: a folder that had nothing else."""
    folder = tmp_path_factory.mktemp("elsewhere") / "a b" / "empty"
    done = story.apply(folder, "--require-commit", story.commit, "--format", "json", TOOLKIT_PLAN_KEY=KEY).expect(0)
    report = done.document["report"]
    assert [outcome["status"] for outcome in report["outcomes"]] == ["copied"]
    assert {change["action"] for change in report["infra_changes"]} == {"create"}
    return folder


def test_it_needs_an_empty_folder_and_leaves_it_as_it_was(story: Story, applied: Path) -> None:
    assert {path.name for path in applied.iterdir()} == {"plan.toolkit", "cache"}
    story.laptop.toolkit.run("plan", "--detailed-exitcode").expect(0)


def test_it_can_be_run_again_from_another_empty_folder(story: Story, applied: Path, tmp_path: Path) -> None:
    name = story.aws("ecr").describe_repositories()["repositories"][0]["repositoryName"]
    story.aws("ecr").batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "1.16"}])
    again = story.apply(tmp_path / "x", "--format", "json").expect(0)
    assert "nothing left to change" in again.stderr
    assert [outcome["status"] for outcome in again.document["report"]["outcomes"]] == ["copied"]


def test_a_state_that_has_moved_on_is_refused_before_anything_is_done(
    story: Story, applied: Path, tmp_path: Path
) -> None:
    story.laptop.write(MANIFEST.replace("STAGE: test", "STAGE: prod").replace("1.16", "1.17"))
    (story.laptop.folder / "newer.yaml").write_text(MANIFEST.replace("1.16", "1.17"))
    story.laptop.sandbox("up", "-f", "newer.yaml")
    story.laptop.toolkit.run("plan", "--out", "plan.toolkit").expect(0)
    s3 = story.aws("s3")
    state = json.loads(s3.get_object(Bucket="states", Key="shop.tfstate")["Body"].read())
    state["serial"] += 1
    s3.put_object(Bucket="states", Key="shop.tfstate", Body=json.dumps(state).encode())
    done = story.apply(tmp_path / "x", "--format", "json").expect(7)
    assert done.document["error"]["code"] == "plan.stale"
    assert f"to {state['serial']}" in done.document["error"]["message"]
    assert "report" not in done.document
    dirty = story.apply(tmp_path / "y", "--require-commit", story.commit).expect(7)
    assert "with changes that are in no commit: " in dirty.stderr
    assert "`images.yaml`, `newer.yaml`" in dirty.stderr
