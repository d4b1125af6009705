from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import plan_samples
from tests.support.golden import assert_golden
from tests.support.plan_samples import build_changes, hub_cost, plans, repository_changes, seed
from toolkit.cli.render.plan_view import render_plan
from toolkit.oci.reference import Repository
from toolkit.plan.model import InfraAction, InfraChange, Plan
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.seed_action import SeedAction

SAMPLES = {
    "empty": plan_samples.EMPTY,
    "no_changes": plan_samples.NO_CHANGES,
    "everything_new": plan_samples.EVERYTHING_NEW,
    "mixed": plan_samples.MIXED,
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [60, 100])
def test_a_plan_reads_as_reviewed(name: str, width: int) -> None:
    assert_golden(f"render/plan_{name}_{width}.txt", render_plan(SAMPLES[name], width=width))


def test_colour_adds_codes_and_changes_no_word() -> None:
    coloured = render_plan(plan_samples.MIXED, colour=True)
    assert_golden("render/plan_mixed_colour.txt", coloured)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render_plan(plan_samples.MIXED)


@given(plans, st.integers(20, 200))
def test_whatever_a_plan_holds_the_text_has_no_control_characters(plan: Plan, width: int) -> None:
    assert all(line.isprintable() for line in render_plan(plan, width=width).split("\n"))


def test_text_of_others_is_shown_and_not_obeyed() -> None:
    plan = replace(plan_samples.MIXED, name="\x1b[2Jplatform\n")
    assert render_plan(plan).startswith(r"\x1b[2Jplatform\n: account")


@pytest.mark.parametrize("width", [1, 40, 60, 80, 120])
def test_only_a_name_that_cannot_be_cut_is_wider_than_the_text(width: int) -> None:
    for line in render_plan(plan_samples.MIXED, width=width).split("\n"):
        longest = max(map(len, line.split()), default=0)
        is_named = re.match(r"  ( *\S+ (module|repository|build)|[+~] (copy|move)|= keep|To )", line)
        assert (
            len(line) <= max(width, 40)
            or longest > width - 20
            or is_named
            or line.startswith(("platform:", "Images", "Plan:"))
        )


def test_resources_of_one_repository_are_one_line() -> None:
    plan = replace(plan_samples.EMPTY, infra_changes=repository_changes("a/b", InfraAction.CREATE))
    assert "    + repository a/b (3 resources)\n" in render_plan(plan)


def test_an_update_names_the_resources() -> None:
    plan = replace(plan_samples.EMPTY, infra_changes=build_changes("web", InfraAction.UPDATE)[2:])
    assert "    ~ build web (aws_iam_role, aws_iam_role_policy)\n" in render_plan(plan)


@pytest.mark.parametrize("action", [InfraAction.REPLACE, InfraAction.DELETE])
def test_what_is_destroyed_is_never_folded(action: InfraAction) -> None:
    changes = repository_changes("a/b", action, "because_x")
    text = render_plan(replace(plan_samples.EMPTY, infra_changes=changes))
    assert all(f"{change.address} (because x)\n" in text for change in changes)


def test_a_module_we_do_not_know_goes_by_its_own_name() -> None:
    change = InfraChange(
        'module.pull_secret["hub"].aws_secretsmanager_secret.this', "aws_secretsmanager_secret", InfraAction.CREATE
    )
    text = render_plan(replace(plan_samples.EMPTY, infra_changes=(change,)))
    assert "    + pull secret hub (1 resource)\n" in text


@pytest.mark.parametrize("action", InfraAction)
def test_every_action_of_terraform_is_shown_and_counted(action: InfraAction) -> None:
    changes = (InfraChange("aws_x.this", "aws_x", action),)
    text = render_plan(replace(plan_samples.EMPTY, infra_changes=changes))
    assert "aws_x.this" in text
    counts = {
        InfraAction.CREATE: "1 resource to create, 0 to update, 0 to destroy;",
        InfraAction.UPDATE: "0 resources to create, 1 to update, 0 to destroy;",
        InfraAction.REPLACE: "1 resource to create, 0 to update, 1 to destroy;",
        InfraAction.DELETE: "0 resources to create, 0 to update, 1 to destroy;",
        InfraAction.FORGET: "0 resources to create, 0 to update, 0 to destroy, 1 to forget;",
        InfraAction.IMPORT: "0 resources to create, 0 to update, 0 to destroy, 1 to import;",
    }
    assert text.splitlines()[-1].startswith(f"Plan: {counts[action]}")


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (hub_cost(3, 3, 3), "docker.io  needed 3  left 3 of 100 in 6 h  fits"),
        (hub_cost(3, 5, 4), "docker.io  needed 3 to 5  left 4 of 100 in 6 h  may not fit"),
        (hub_cost(3, None, 99), "docker.io  needed at least 3  left 99 of 100 in 6 h  may not fit"),
        (hub_cost(5, 6, 4), "docker.io  needed 5 to 6  left 4 of 100 in 6 h  does not fit"),
        (replace(hub_cost(5, 6, 4), budget=None), "docker.io  needed 5 to 6  no limit stated  fits"),
    ],
)
def test_pulls_are_judged_against_what_is_left(cost: plan_samples.PullCost, words: str) -> None:
    assert f"  {words}\n" in render_plan(replace(plan_samples.EVERYTHING_NEW, pull_costs=(cost,)))


@pytest.mark.parametrize(
    ("on_budget", "words"),
    [
        (OnBudget.REFUSE, None),
        (OnBudget.WAIT, "may have to wait for pulls"),
        (OnBudget.PARTIAL, "may be left for the next run"),
    ],
)
def test_an_image_without_room_in_the_budget_says_what_becomes_of_it(on_budget: OnBudget, words: str | None) -> None:
    plan = replace(plan_samples.EVERYTHING_NEW, pull_costs=(hub_cost(6, 7, 4),), on_budget=on_budget)
    text = " ".join(render_plan(plan, width=200).split())
    assert "counted pulls: 3; its repository is new" in text
    assert (f"counted pulls: 2 to 3; not in ECR; {words}" in text) == (words is not None)
    assert text.count("may ") == (1 if words else 0)


def test_bytes_from_another_registry_are_named() -> None:
    elsewhere = Repository("public.ecr.aws", "docker/library/nginx")
    plan = replace(
        plan_samples.EMPTY, seeds=(seed(SeedAction.COPY, "nginx:1", "a/nginx", "new", bytes_from=elsewhere),)
    )
    assert "          bytes from public.ecr.aws/docker/library/nginx, " in render_plan(plan)


def test_a_tag_that_two_names_share_counts_its_bytes_once() -> None:
    twice = tuple(seed(SeedAction.COPY, f"nginx:{tag}", "a/nginx", "not in ECR", size=500) for tag in ("1", "1.16"))
    assert "Together at most 500 B;" in render_plan(replace(plan_samples.EMPTY, seeds=twice))


def test_a_companion_says_what_it_is_and_nothing_of_platforms() -> None:
    signature = seed(
        SeedAction.COPY,
        "nginx:sha256-0.sig",
        "base/nginx",
        "signature of 0123456789ab: not in ECR",
        platforms=None,
        subject=plan_samples.digest("b"),
    )
    text = render_plan(replace(plan_samples.EMPTY, seeds=(signature,)))
    assert "signature of 0123456789ab: not in ECR" in text
    assert "platforms" not in text


def test_a_refused_plan_without_changes_is_not_called_a_match() -> None:
    plan = replace(plan_samples.NO_CHANGES, refusals=plan_samples.MIXED.refusals[:1])
    last = render_plan(plan).splitlines()[-1]
    assert "No changes" not in last
    assert last.endswith("Refused for 1 reason, see above.")
