"""What exists already is imported with its policies where it is ours or taken over, and is refused else."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_services import World, desired
from tests.support.terraform_samples import WEB
from toolkit.errors import UsageError
from toolkit.manifest.loader import loads
from toolkit.operations.adopt import Healing, check_patterns, heal
from toolkit.operations.plan import plan_manifest
from toolkit.plan.desired import Desired, ownership_tags
from toolkit.plan.model import Adopted
from toolkit.plan.observed import ExistingResource
from toolkit.plan.resolve import resolve
from toolkit.terraform.root_module import (
    alarm_address,
    lifecycle_policy_address,
    log_group_address,
    project_address,
    repository_address,
    repository_policy_address,
    role_address,
    role_policy_address,
    rule_address,
    schedule_address,
    starter_policy_address,
    starter_role_address,
)
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import WorkDir

PARTNER = "210987654321"
FOREIGN = {"owner": "somebody"}
POLICY = json.dumps(
    {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": PARTNER},
            "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        }
    }
)
OURS = ownership_tags("shop")


def manifest(*names: str, **fields: object) -> Desired:
    """One repository of each name, and builds called `web01` and so on."""
    images = [{"source": f"upstream.test/{name}:1", "repository": name} for name in names]
    text = {"version": 1, "name": "shop", "aws": {"region": "eu-west-1"}, "images": images, **fields}
    return resolve(loads(json.dumps(text), "images.yaml"))


def builds(number: int) -> list[dict[str, Any]]:
    return [
        {
            "name": f"web{n:02}",
            "source": {"type": "GITHUB", "location": "https://github.com/acme/web.git"},
            "images": ["upstream.test/one:1"],
        }
        for n in range(1, number + 1)
    ]


def healed(world: World, wanted: Desired, *, allows_destroy: bool = False, adopt: tuple[str, ...] = ()) -> Healing:
    return heal(
        wanted,
        world.services.ecr.repositories(),
        world.services.terraform.state(WorkDir(world.services.work_path)),
        WorkDir(world.services.work_path),
        world.services,
        allows_destroy=allows_destroy,
        adopt=adopt,
    )


def imported(healing: Healing) -> list[str]:
    return [adoption.address for adoption in healing.imports]


def codes(healing: Healing) -> list[str]:
    return [refusal.code for refusal in healing.refusals]


def test_refuses_conflicts_with_a_hint(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one", FOREIGN)
    made = plan_manifest(desired(*world.names), world.services).plan
    assert [refusal.hint for refusal in made.refusals if refusal.code == "infra.not_ours"] == [
        "choose another name or prefix, or take it over: --adopt 'one'"
    ]
    assert [change.name for change in made.infra_changes] == ["three", "two"]


@pytest.mark.parametrize("pattern", ["one", "o*"])
def test_a_pattern_takes_over_what_it_fits_with_its_policies(tmp_path: Path, pattern: str) -> None:
    world = World(tmp_path)
    for name in ("one", "two"):
        world.create(name, {})
    world.settings["one"] = {"lifecycle_policy": "{}", "repository_policy": POLICY}
    wanted = manifest("one", "two", repositories={"pull_principals": [PARTNER]})
    policies = [lifecycle_policy_address("one"), repository_policy_address("one")]
    by_flag = healed(world, wanted, adopt=(pattern,))
    assert imported(by_flag) == [repository_address("one"), *policies]
    assert codes(by_flag) == ["infra.not_ours"]
    assert healed(world, replace(wanted, adopt=(pattern,))) == by_flag


def test_a_pattern_that_fits_nothing_is_a_slip(tmp_path: Path) -> None:
    wanted = manifest("one", builds=builds(1))
    check_patterns(wanted, ("one", "web01", "shop-web*"))
    with pytest.raises(UsageError, match="`tow`, `b\\*` matches no repository"):
        check_patterns(wanted, ("one", "tow", "b*"))


def test_a_lost_state_is_healed_with_its_policies_and_says_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one")
    world.settings["one"] = {"lifecycle_policy": _expiry(14)}
    healing = healed(world, manifest("one"))
    assert imported(healing) == [repository_address("one"), lifecycle_policy_address("one")]
    assert (healing.refusals, healing.notices, healing.adopted) == ((), (), ())


def test_our_tags_alone_lose_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one", {**OURS, "owner": "somebody"})
    world.settings["one"] = {
        "repository_policy": POLICY,
        "tag_mutability": "IMMUTABLE",
        "lifecycle_policy": _expiry(14),
    }
    wanted = manifest("one", repositories={"pull_principals": ["111122223333"]})
    healing = healed(world, wanted)
    assert codes(healing) == ["adopt.loses_principal", "adopt.loses_tag"]
    assert PARTNER in healing.refusals[0].message
    assert "`one`" in healing.refusals[0].message
    [adopted] = healing.adopted
    assert adopted.settings["tag_mutability"] == "immutable"
    assert codes(healed(world, wanted, allows_destroy=True)) == []


def test_imports_a_foreign_policy_of_our_repository(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one")
    world.state.add(repository_address("one"))
    world.settings["one"] = {"repository_policy": POLICY}
    healing = healed(world, manifest("one", repositories={"pull_principals": ["111122223333"]}))
    assert imported(healing) == [repository_policy_address("one")]
    assert codes(healing) == ["adopt.loses_principal"]


def test_a_policy_that_the_manifest_makes_none_of_stays(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one", {})
    world.settings["one"] = {"repository_policy": POLICY, "lifecycle_policy": "{}"}
    wanted = manifest("one", repositories={"expire_untagged_after_days": None})
    healing = healed(world, wanted, adopt=("one",))
    assert imported(healing) == [repository_address("one")]
    assert {notice.code for notice in healing.notices} == {"adopt.stays"}
    assert healing.refusals == ()
    assert healing.adopted == (Adopted("one", {}),)


def test_another_encryption_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.create("one", {})
    world.settings["one"] = {"encryption_type": "KMS", "kms_key": "arn:aws:kms:eu-west-1:123456789012:key/0a1b"}
    healing = healed(world, manifest("one"), allows_destroy=True, adopt=("*",))
    assert codes(healing) == ["adopt.encryption_differs"]
    assert healing.refusals[0].hint == (
        'set `repository_settings: {"encryption": {"type": "KMS", '
        '"kms_key": "arn:aws:kms:eu-west-1:123456789012:key/0a1b"}}` for its images'
    )
    assert imported(healing) == []
    assert repository_address("one").startswith(healing.conflicts)


@pytest.mark.parametrize("tags", [ownership_tags("other"), {"aws:cloudformation:stack-name": "other"}])
def test_another_owner_is_named(tmp_path: Path, tags: dict[str, str]) -> None:
    world = World(tmp_path)
    world.create("one", tags)
    healing = healed(world, manifest("one"), adopt=("one",))
    assert healing.refusals == ()
    [notice] = healing.notices
    assert (notice.code, "`other`" in notice.message) == ("adopt.other_owner", True)


def test_a_build_is_taken_over_by_either_of_its_names_with_its_roles_policies(tmp_path: Path) -> None:
    world = World(tmp_path)
    wanted = manifest("one", builds=[{**builds(1)[0], "batch": {}, "buildspec": "b.yml"}])
    [build] = wanted.builds
    role = build.role_name("eu-west-1")
    world.existing = {
        ("role", role): ExistingResource(FOREIGN, frozenset({"build", "arn:aws:iam::aws:policy/Admin"})),
        ("log group", build.log_group_name): ExistingResource(FOREIGN, retention_days=30),
        ("project", build.project_name): ExistingResource(OURS),
    }
    refused = healed(world, wanted)
    assert codes(refused) == ["infra.not_ours"] * 2
    assert all(refusal.hint and "--adopt 'web01'" in refusal.hint for refusal in refused.refusals)
    for pattern in ("web01", "shop-web01"):
        taken = healed(world, wanted, adopt=(pattern,))
        assert taken.refusals == ()
        assert {adoption.id for adoption in taken.imports} == {
            role,
            f"{role}:build",
            build.log_group_name,
            build.project_name,
        }
        assert role_policy_address(build) in imported(taken)
        assert [notice.message for notice in taken.notices] == [
            f"the manifest makes no policy `arn:aws:iam::aws:policy/Admin` for the IAM role `{role}`; "
            "the existing one stays unchanged"
        ]


@pytest.mark.parametrize(("there", "wanted", "loses"), [(0, 30, True), (90, 30, True), (30, 30, False), (90, 0, False)])
def test_logs_are_not_lost_by_a_shorter_retention(tmp_path: Path, there: int, wanted: int, *, loses: bool) -> None:
    world = World(tmp_path)
    asked = manifest("one", builds=[{**builds(1)[0], "log_retention_days": wanted}])
    world.existing[("log group", asked.builds[0].log_group_name)] = ExistingResource(FOREIGN, retention_days=there)
    refused = healed(world, asked, adopt=("web01",)).refusals
    assert [refusal.code for refusal in refused] == ["adopt.loses_logs"] * loses
    assert all(f"log_retention_days: {there}`" in str(refusal.hint) for refusal in refused)
    assert healed(world, asked, adopt=("web01",), allows_destroy=True).refusals == ()


def test_look_ups_run_side_by_side_and_projects_are_asked_for_at_once(tmp_path: Path) -> None:
    names = [f"r{number:02}" for number in range(30)]
    world = World(tmp_path, ())
    for name in names:
        world.create(name)
    world.seconds_a_call = 0.08
    started = time.monotonic()
    healing = healed(world, manifest("one", *names, builds=builds(30)))
    assert time.monotonic() - started < 3  # in turn it takes 19
    assert len(imported(healing)) == 30
    assert world.calls.count("BatchGetProjects") == 1


def _expiry(days: int) -> str:
    selection = {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": days,
    }
    description = f"Expire untagged images after {days} days"
    rule = {"rulePriority": 1, "description": description, "selection": selection, "action": {"type": "expire"}}
    return json.dumps({"rules": [rule]})


def test_what_an_interrupted_apply_left_half_recorded_is_kept(tmp_path: Path) -> None:
    world = World(tmp_path)
    left = {role_address(WEB), log_group_address(WEB), project_address(WEB)}
    wanted = replace(desired(), builds=(WEB,))
    state = State({address: {} for address in left}, frozenset(left))
    world.tainted = set(left)
    heal(wanted, {}, state, WorkDir(tmp_path), world.services, allows_destroy=True)
    assert world.tainted == left
    heal(wanted, {}, state, WorkDir(tmp_path), world.services)
    assert world.tainted == set()


REFRESH = {
    "lock": "s3://acme/shop.yaml",
    "refresh": {
        "schedule": "rate(1 day)",
        "bucket": "acme",
        "tool": {"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tool:1"},
    },
}


@pytest.mark.parametrize(("tags", "is_ours"), [(OURS, True), ({}, False)])
def test_a_schedule_is_whose_project_it_starts(tmp_path: Path, tags: dict[str, str], is_ours: bool) -> None:
    world = World(tmp_path)
    role = "shop-refresh-schedule-eu-west-1"
    world.existing = {
        ("schedule", "default/shop-refresh"): ExistingResource(tags),
        ("role", role): ExistingResource(tags, frozenset({"start"})),
    }
    healing = healed(world, manifest("one", **REFRESH))
    imports = {(adoption.address, adoption.id) for adoption in healing.imports}
    assert [refusal.code for refusal in healing.refusals] == ([] if is_ours else ["infra.not_ours"] * 2)
    assert imports == (
        {
            (schedule_address(), "default/shop-refresh"),
            (starter_role_address("schedule"), role),
            (starter_policy_address("schedule"), f"{role}:start"),
        }
        if is_ours
        else set()
    )


REBUILT = {
    **REFRESH,
    "builds": [
        {
            "name": "web",
            "rebuild": "on_update",
            "source": {"type": "S3", "location": "acme/web.zip"},
            "images": ["upstream.test/one:1"],
        }
    ],
}


@pytest.mark.parametrize(
    ("kind", "name", "address"),
    [
        ("rule", "shop-rebuild-web", rule_address("web")),
        ("alarm", "shop-refresh-failed", alarm_address("failed")),
    ],
)
def test_what_aws_would_overwrite_is_taken_back_or_refused(tmp_path: Path, kind: str, name: str, address: str) -> None:
    """The manifest `shop-rebuild` with a build `x` may want a rule that `shop` has for its build `rebuild-x`."""
    world = World(tmp_path)
    world.existing = {(kind, name): ExistingResource(OURS)}
    assert [(one.address, one.id) for one in healed(world, manifest("one", **REBUILT)).imports] == [(address, name)]
    world.existing = {(kind, name): ExistingResource({**OURS, "toolkit:manifest": "other"})}
    healing = healed(world, manifest("one", **REBUILT))
    assert (healing.imports, [refusal.code for refusal in healing.refusals]) == ((), ["infra.not_ours"])
    assert name in healing.refusals[0].message
