"""Files of other tools and repositories of an account, made into manifests; what is lost is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.golden import assert_golden
from toolkit.errors import Refused, UsageError
from toolkit.manifest.loader import load
from toolkit.migration.carried import Carried, Entry, ForeignFile
from toolkit.migration.existing import UpstreamName
from toolkit.migration.regsync import read_regsync
from toolkit.migration.skopeo_sync import read_skopeo_sync
from toolkit.oci.digest import Digest
from toolkit.operations.migrate import (
    Target,
    existing_repositories,
    migrate,
    pull_through_repositories,
    read_foreign,
)
from toolkit.plan.desired import MANIFEST, Desired
from toolkit.plan.observed import ExistingRepository, PullThroughRule, StoredTag

SAMPLES = Path(__file__).parent / "samples"
DESIRED = Desired("", "eu-west-1", "123456789012")


class FakeEcr:
    """Repositories with their tags, and rules."""

    def __init__(
        self, *repositories: tuple[ExistingRepository, list[str]], rules: tuple[PullThroughRule, ...] = ()
    ) -> None:
        self._found = {one.name: (one, tags) for one, tags in repositories}
        self._rules = rules

    def repositories(self) -> dict[str, str]:
        return dict.fromkeys(self._found, "arn")

    def repository(self, name: str) -> ExistingRepository | None:
        return self._found[name][0]

    def tags(self, repository: str) -> dict[str, StoredTag]:
        return {tag: StoredTag(Digest.of(b""), "2026-11-02T10:00:00Z") for tag in self._found[repository][1]}

    def pull_through_rules(self) -> tuple[PullThroughRule, ...]:
        return self._rules


def made(name: str, *, scan_on_push: bool = True, **settings: object) -> ExistingRepository:
    return ExistingRepository(name, "123456789012", scan_on_push=scan_on_push, **settings)  # type: ignore[arg-type]


def written(carried: Carried, folder: Path) -> str:
    """The manifest, which is valid, and below it the remarks."""
    target = folder / "images.yaml"
    migrated = migrate(carried, Target(target, "shop"))
    load(target)
    return target.read_text() + "".join(f"\n{remark}" for remark in migrated.remarks) + "\n"


def read_sample(name: str) -> ForeignFile:
    return ForeignFile(name, (SAMPLES / name).read_text(encoding="utf-8"))


def test_carries_a_regsync_file_over(tmp_path: Path) -> None:
    text = written(read_regsync(read_sample("regsync.yml"), {"TOOL": "lint"}), tmp_path)
    assert "hunter2" not in text
    assert_golden("migrate/regsync.txt", text)


def test_carries_a_skopeo_file_over(tmp_path: Path) -> None:
    text = written(read_skopeo_sync(read_sample("skopeo-sync.yml")), tmp_path)
    assert "hunter2" not in text
    assert_golden("migrate/skopeo-sync.txt", text)


def test_takes_the_target_of_the_wanted_region(tmp_path: Path) -> None:
    carried = read_regsync(read_sample("regsync.yml"), {}, "us-east-1")
    assert [entry.fields["source"] for entry in carried.images] == ["node:22"]
    assert carried.region == "us-east-1"


def test_mirrors_all_images_of_a_file_without_a_target_in_ecr() -> None:
    text = "sync: [{source: nginx:1, target: a.test/nginx:1, type: image}, {source: nginx:1, target: b.test/n:1, type: image}]"
    carried = read_regsync(ForeignFile("regsync.yml", text), {})
    assert [dict(entry.fields) for entry in carried.images] == [{"source": "nginx:1"}]
    assert [remark.what for remark in carried.remarks] == ["a.test", "b.test"]


def test_carries_repositories_over_with_their_settings(tmp_path: Path) -> None:
    expire = '{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":5},"action":{"type":"expire"}}]}'
    team = {"team": "web"}
    ecr = FakeEcr(
        (made("base/python", scan_on_push=False, resource_tags=team, tag_mutability="IMMUTABLE"), ["3.12", f"sha256-{'1' * 64}.sig"]),
        (made("base/node", scan_on_push=False, resource_tags=team, lifecycle_policy=expire), ["22", "3.10"]),
        (made("base/empty", scan_on_push=False, resource_tags=team), []),
        (made("base/unknown", scan_on_push=False, resource_tags=team), ["1"]),
        (made("base/ours", resource_tags={MANIFEST: "platform"}), ["1"]),
        (made("other"), ["1"]),
    )  # fmt: skip
    upstreams = [UpstreamName.parse(f"base/{name}={name}") for name in ("python", "node", "empty")]
    text = written(existing_repositories(ecr, "base/*", upstreams, DESIRED), tmp_path)
    assert_golden("migrate/ecr.txt", text)


def test_carries_pull_through_caches_over(tmp_path: Path) -> None:
    rules = (
        PullThroughRule("docker-hub", "registry-1.docker.io", credential_arn="arn:aws:secretsmanager:…:secret:hub"),
        PullThroughRule("quay-io", "quay.io", "prometheus"),
        PullThroughRule("ROOT", "registry.k8s.io"),
    )
    ecr = FakeEcr(
        (made("docker-hub/library/nginx"), ["1.27"]),
        (made("quay-io/node-exporter"), ["v1"]),
        (made("pause"), ["3.9"]),
        rules=rules,
    )
    assert_golden("migrate/pull-through.txt", written(pull_through_repositories(ecr, DESIRED), tmp_path))


@pytest.mark.parametrize(
    ("said", "repository", "upstream"),
    [
        ("base/python=python", "base/python", "python"),
        ("base/python=python", "base/python3", None),
        ("base/*=docker.io/library/*", "base/a/b", "docker.io/library/a/b"),
        ("*-mirror=quay.io/acme/*", "x-mirror", "quay.io/acme/x"),
        ("base/*=docker.io/library/*", "base/", None),
    ],
)
def test_upstreams_are_named_by_patterns(said: str, repository: str, upstream: str | None) -> None:
    assert UpstreamName.parse(said).of(repository) == upstream


@pytest.mark.parametrize("text", ["base", "=x", "a=", "a/*=b", "a/*/*=b/*/*", "a=python:3", "a=b c"])
def test_says_which_upstream_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="`"):
        UpstreamName.parse(text)


def test_a_manifest_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "images.yaml").write_text("mine")
    with pytest.raises(Refused) as refusal:
        written(Carried("x", [Entry({"source": "nginx:1"}, "x:1")]), tmp_path)
    assert (refusal.value.code, (tmp_path / "images.yaml").read_text()) == ("init.exists", "mine")


def test_what_the_manifest_does_not_take_is_a_remark(tmp_path: Path) -> None:
    entries = [
        Entry({"source": "nginx:1"}, "x:1", 1),
        Entry({"source": "nginx:1"}, "x:2", 2),
        Entry({"source": "a b"}, "x:3", 3),
    ]
    carried = Carried("x", entries, registries={"quay.io": {"endpoint": "http://mirror.example.com"}})
    migrated = migrate(carried, Target(tmp_path / "images.yaml", "shop"))
    assert [image.source for image in load(tmp_path / "images.yaml").images] == ["nginx:1"]
    assert [(remark.line, remark.what) for remark in migrated.remarks] == [
        (None, "quay.io"),
        (2, "nginx:1"),
        (3, "a b"),
    ]


def test_a_bad_name_is_the_users(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name"):
        migrate(Carried("x", [Entry({"source": "nginx:1"}, "x:1")]), Target(tmp_path / "images.yaml", "Not A Name"))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"a: [", "init.not_understood"),
        (b"\xff", "init.not_understood"),
        (b"- a", "init.not_understood"),
        (None, "init.unreadable"),
    ],
)
def test_says_why_a_file_cannot_be_read(tmp_path: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "sync.yml").write_bytes(content)
    with pytest.raises(Refused) as refusal:
        read_foreign(tmp_path / "sync.yml")
    assert refusal.value.code == code


@pytest.mark.parametrize("rules", [(), (PullThroughRule("x1", "quay.io"),)])
def test_nothing_to_carry_over_writes_nothing(tmp_path: Path, rules: tuple[PullThroughRule, ...]) -> None:
    if not rules:
        with pytest.raises(Refused, match="no pull-through cache rule"):
            pull_through_repositories(FakeEcr(), DESIRED)
    else:
        assert (
            migrate(
                pull_through_repositories(FakeEcr(rules=rules), DESIRED), Target(tmp_path / "images.yaml", "shop")
            ).images
            == 0
        )
    assert not (tmp_path / "images.yaml").exists()
