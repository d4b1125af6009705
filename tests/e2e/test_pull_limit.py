"""Docker Hub's pull limit, kept by the stand-in: what `--on-budget` makes of it, in the real program and over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from tests.support.registry import running_registry
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Finished, Toolkit
from toolkit.cli.wiring import Settings, open_services
from toolkit.events import BudgetAwaited, Event
from toolkit.operations.load import load_desired
from toolkit.operations.seed import seed
from toolkit.plan.on_budget import OnBudget
from toolkit.report import Report
from toolkit.sandbox import process

# An index, the image, and where there is one its attestation: two or three pulls, as far as a plan can tell.
IMAGES = ("nginx:1.16", "alpine:3.20", "redis:7")
PULLS = (2, 3, 3)
MANIFEST = f"""\
version: 1
name: shop
aws: {{region: eu-west-1}}
images: [{", ".join(IMAGES)}]
"""


class Office:
    """A folder with the manifest, repositories that exist, and an upstream with a limit."""

    def __init__(self, folder: Path, sandbox: RunningSandbox) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.environment = sandbox.environment()
        self.toolkit = Toolkit(folder, self.environment)
        self.toolkit.environment |= self.environment
        (folder / "images.yaml").write_text(MANIFEST)

    def seed(self, *arguments: str) -> Finished:
        return self.toolkit.run("seed", *arguments, "--format", "json")

    def raise_limit(self, limit: int) -> None:
        process.up(self.sandbox.status.folder, [], upstream_limit=limit)

    @property
    def pulls(self) -> int:
        return int(self.sandbox.pulls()["counted"])


def statuses(done: Finished) -> list[str]:
    return [outcome["status"] for outcome in done.document["report"]["outcomes"]]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    references = [f"docker.io/library/{name}" for name in IMAGES]
    with running_sandbox(tmp_path / "sandbox", references, upstream_limit=7) as sandbox:
        office = Office(tmp_path, sandbox)
        values = office.environment
        ecr = boto3.client(
            "ecr",
            region_name="eu-west-1",
            endpoint_url=values["AWS_ENDPOINT_URL"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        )
        for name in IMAGES:
            ecr.create_repository(repositoryName=f"docker-hub/library/{name.partition(':')[0]}")
        yield office


@pytest.mark.slow
def test_partial_leaves_whole_images_for_the_next_run(office: Office) -> None:
    first = office.seed("--on-budget", "partial").expect(6)
    assert statuses(first) == ["copied", "copied", "skipped"]
    assert first.document["error"]["code"] == "budget.left_for_next_run"
    assert first.document["plan"]["without_room"] == ["docker-hub/library/redis:7"]
    assert office.pulls == len(office.sandbox.manifest_gets()) == PULLS[0] + PULLS[1], "nothing met the limit"
    office.raise_limit(sum(PULLS) + 1)
    assert statuses(office.seed("--on-budget", "partial").expect(0)) == ["unchanged", "unchanged", "copied"]
    assert office.pulls == sum(PULLS)
    verdict = "No changes in the 3 images that were looked at."
    brief = office.toolkit.run("seed", "--dry-run").expect(0).stdout.splitlines()
    assert brief == [verdict, brief[1], "", "3 images unchanged (--show-unchanged lists them)", "", verdict]
    listed = office.toolkit.run("seed", "--dry-run", "--show-unchanged").expect(0).stdout
    assert [listed.count(f"    = docker-hub/library/{name}  ") for name in IMAGES] == [1, 1, 1]


def test_wait_goes_on_as_soon_as_there_are_pulls(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in office.environment.items():
        monkeypatch.setenv(name, value)
    desired = load_desired(office.folder / "images.yaml")
    events: list[Event] = []
    reports: list[Report] = []
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            office.raise_limit(sum(PULLS) + 1)

    settings = Settings(cache_dir=office.folder / "cache")
    with open_services(events.append, desired, settings, locks=False) as services:
        seed(
            desired,
            replace(services, sleep=sleep),
            review=lambda _: None,
            publish=reports.append,
            on_budget=OnBudget.WAIT,
        )
    assert [outcome.status.value for outcome in reports[-1].outcomes] == ["copied"] * 3
    assert slept == [60.0, 60.0]
    assert [(e.images, e.remaining) for e in events if isinstance(e, BudgetAwaited)] == [(1, 2), (1, 2)]
    assert office.pulls == len(office.sandbox.manifest_gets()) == sum(PULLS)


def test_a_limit_that_is_too_low_from_the_start_is_refused(office: Office) -> None:
    office.raise_limit(5)
    refused = office.seed().expect(7)
    assert refused.document["error"]["code"] == "budget.too_small"
    assert office.pulls == 0
    assert json.dumps(refused.document["plan"]["refusals"]).count("budget.too_small") == 1


@pytest.mark.slow
def test_copy_keeps_to_the_limit_too(office: Office, tmp_path: Path) -> None:
    with running_registry(tmp_path / "other") as other:
        pairs = [text for name in IMAGES for text in (name, f"{other.host}/{name}")]

        def copy(*arguments: str) -> Finished:
            return office.toolkit.run("copy", *pairs, "--platform", "linux/amd64", *arguments, "--format", "json")

        office.raise_limit(5)
        assert copy().expect(7).document["error"]["code"] == "budget.too_small"
        assert not [access for access in other.accesses() if access.method != "HEAD"]
        assert office.pulls == 0
        assert statuses(copy("--on-budget", "partial").expect(6)) == ["copied", "copied", "skipped"]
        assert office.pulls == len(office.sandbox.manifest_gets()) == PULLS[0] + PULLS[1], "nothing met the limit"
        office.raise_limit(sum(PULLS))
        assert statuses(copy().expect(0)) == ["unchanged", "unchanged", "copied"]
        assert office.pulls == sum(PULLS)


@pytest.mark.slow
def test_an_alternative_with_the_same_digests_spares_the_pulls(office: Office, tmp_path: Path) -> None:
    with running_registry(tmp_path / "other") as other:
        office.raise_limit(100)
        place = f"{other.host}/mirror/library/nginx"
        office.toolkit.run("copy", "nginx:1.16", f"{place}:as-it-likes", "--cache-dir", "another").expect(0)
        before = len(office.sandbox.manifest_gets())
        # Enough for the two others, at their worst.
        office.raise_limit(office.pulls + 6)
        alternative = f"registries: {{docker.io: {{alternatives: ['{other.host}/mirror']}}}}"
        (office.folder / "images.yaml").write_text(f"{MANIFEST}{alternative}\n")
        done = office.seed("--on-budget", "partial").expect(0)
        nginx, *others = done.document["plan"]["seeds"]
        assert nginx["bytes_from"] == {"registry": other.host, "path": "mirror/library/nginx"}
        assert (nginx["pulls"], nginx["source"]["registry"]) == ({"at_least": 0, "at_most": 0}, "docker.io")
        assert [seed["bytes_from"] for seed in others] == [None, None]
        new = office.sandbox.manifest_gets()[before:]
        assert len(new) == sum(PULLS[1:])
        assert not [path for path in new if "/nginx/" in path]
