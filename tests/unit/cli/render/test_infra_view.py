from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import plan_samples
from tests.support.plan_samples import build_changes, in_root_module, repository_changes
from toolkit.cli.render.plan_view import render_plan
from toolkit.plan.model import Adopted, AttributeChange, Grant, InfraAction, InfraChange, Loss

REPOSITORY = "aws_ecr_repository"


def shown(*changes: InfraChange, width: int = 120, **fields: object) -> str:
    return render_plan(replace(plan_samples.EMPTY, infra_changes=changes, **fields), width=width)  # type: ignore[arg-type]  # keywords


def update(**fields: object) -> InfraChange:
    (change,) = in_root_module("repositories", "a/b", [REPOSITORY], InfraAction.UPDATE, **fields)
    return change


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ('module.repositories["a/b"].aws_ecr_repository.this', "repository a/b (aws_ecr_repository)"),
        (
            'module.base_images.module.repositories["a/b"].aws_ecr_repository.this',
            "repository a/b (aws_ecr_repository)",
        ),
        (
            'module.platform.module.base_images["eu"].module.builds["web"].aws_iam_role_policy.extra["this"]',
            'build web (aws_iam_role_policy.extra["this"])',
        ),
        ('module.builds["web"].aws_iam_role.this[0]', "build web (aws_iam_role)"),
        ('module.pull_secret["hub"].aws_secretsmanager_secret.this', "pull secret hub (aws_secretsmanager_secret)"),
        ('module.base_images.module.refresh["refresh"].aws_sqs_queue.this', "schedule refresh (dead-letter queue)"),
        (
            'module.base_images.module.refresh["refresh"].aws_cloudwatch_metric_alarm.this["silent"]',
            "schedule refresh (alarm silent)",
        ),
        (
            'module.base_images.module.refresh["refresh"].aws_cloudwatch_event_rule.this["web.2"]',
            "schedule refresh (rule for web.2)",
        ),
        (
            'module.base_images.module.refresh["refresh"].aws_iam_role_policy.this["rebuild"]',
            "schedule refresh (rights of the role rebuild)",
        ),
        (
            'module.base_images.module.refresh["refresh"].module.project.aws_iam_role_policy.extra["this"]',
            "schedule refresh (rights of the role)",
        ),
        (
            'module.base_images.module.refresh["refresh"].module.project.aws_cloudwatch_log_group.this["/aws/codebuild/a"]',
            "schedule refresh (log group)",
        ),
        ("module.base_images.aws_ecr_registry_policy.this", "module.base_images.aws_ecr_registry_policy.this"),
    ],
)
def test_a_resource_goes_by_the_innermost_module_call_that_has_a_key(address: str, name: str) -> None:
    assert f"    ~ {name}\n" in shown(InfraChange(address, "aws_x", InfraAction.UPDATE))


def test_builds_and_repositories_that_are_created_are_a_line_each_kind() -> None:
    changes = [*build_changes("api", InfraAction.CREATE), *build_changes("web", InfraAction.CREATE)]
    text = shown(*changes, *repository_changes("a/b", InfraAction.CREATE))
    assert "  To create (11):\n    + 2 builds (8 resources): api, web\n    + repository a/b (3 resources)\n" in text


def test_a_part_that_is_created_is_not_called_a_repository() -> None:
    changes = in_root_module("repositories", "a/b", ["aws_ecr_lifecycle_policy"])
    assert "    + repository a/b (aws_ecr_lifecycle_policy)\n" in shown(*changes)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (AttributeChange("timeout", 60, 30), "timeout 60 -> 30"),
        (AttributeChange("scan[0].on_push", before=False, after=True), "scan.on_push false -> true"),
        (AttributeChange("variable[1].value", "a", "b"), "variable[1].value a -> b"),
        (AttributeChange("policy.rules[0]", "a", "b"), "policy.rules[0] a -> b"),
        (AttributeChange("name", "true", "a b"), 'name "true" -> "a b"'),
        (AttributeChange("name", None, ""), 'name (none) -> ""'),
        (AttributeChange("tags", {"a": "1"}, {}), 'tags {"a": "1"} -> {}'),
        (AttributeChange("arn", "x", is_unknown=True), "arn x -> (known after apply)"),
        (AttributeChange("policy", is_unknown=True), "policy (known after apply)"),
        (AttributeChange("token", is_sensitive=True), "token (sensitive, not shown)"),
        (AttributeChange("token", is_sensitive=True, is_unknown=True), "token (sensitive, not shown)"),
        (AttributeChange("buildspec", "a\nb\nc\n", "a\nx\ny\nc\n"), "buildspec 2 lines added, 1 removed"),
        (AttributeChange("buildspec", "a\nb\n", "a\r\nb\r\n"), "buildspec with other line ends"),
        (AttributeChange("buildspec", "a\nb\n", "b\na\n"), "buildspec lines in another order"),
        # An alignment of these lines takes minutes.
        (AttributeChange("buildspec", "a\n \nb\n" * 9000, "b\n \na\n" * 9001), "buildspec 3 lines added, 0 removed"),
        (
            AttributeChange("text", "x" * 200 + "old" + "y" * 50, "x" * 200 + "new" + "y" * 50),
            f"text ...{'x' * 12}old{'y' * 12}... -> ...{'x' * 12}new{'y' * 12}...",
        ),
        (AttributeChange("text", "x" * 61, "x" * 62), f"text ...{'x' * 12} -> ...{'x' * 13}"),
        (
            AttributeChange("text", "a", "b" * 500),
            f"text a -> {'b' * 60}... (500 characters)",
        ),
        (AttributeChange("text", "\x1b[2J", "b"), 'text "\\u001b[2J" -> b'),
    ],
)
def test_an_attribute_shows_both_values(change: AttributeChange, text: str) -> None:
    assert f"\n        {text}\n" in shown(update(changes=(change,)), width=200)


def test_the_same_change_of_many_is_said_once() -> None:
    changes = [
        replace(one, name=f"r/{n}", address=one.address.replace("a/b", f"r/{n}"))
        for n in range(100)
        for one in [update(changes=(AttributeChange("x", 1, 2),))]
    ]
    text = shown(*changes)
    assert "    ~ 100 repositories (aws_ecr_repository): r/0, r/1, " in text
    assert text.count("x 1 -> 2") == 1
    assert "r/99" in text


def test_other_values_are_not_said_of_others() -> None:
    one, other = update(changes=(AttributeChange("x", 1, 2),)), update(changes=(AttributeChange("x", 1, 3),))
    text = shown(one, replace(other, address=other.address.replace("a/b", "c/d")))
    assert "repository a/b" in text and "repository c/d" in text


def test_a_replacement_says_what_is_fixed_at_creation() -> None:
    change = replace(
        update(
            changes=(
                AttributeChange("url", "x", is_unknown=True),
                AttributeChange("encryption[0].type", "AES256", "KMS"),
            ),
            replace_because=("encryption",),
            reason="replace_because_cannot_update",
        ),
        action=InfraAction.REPLACE,
    )
    assert (
        "  -/+ repository a/b (aws_ecr_repository)\n"
        "        encryption.type AES256 -> KMS: fixed at creation\n"
        "        url x -> (known after apply)\n"
    ) in shown(change)


def test_a_replacement_for_another_reason_says_that() -> None:
    change = replace(update(reason="replace_because_tainted"), action=InfraAction.REPLACE)
    assert "  -/+ repository a/b (aws_ecr_repository, replace because tainted)\n" in shown(change)


def test_what_fixes_a_value_is_named_where_the_value_is_not() -> None:
    change = replace(update(replace_because=("name",)), action=InfraAction.REPLACE)
    assert "        name: fixed at creation\n" in shown(change)


def test_rights_are_marked_without_colour() -> None:
    grants = (
        Grant("role of web: s3:* on *", is_added=True, is_widening=True),
        Grant("210987654321 may pull", is_added=False),
    )
    text = shown(update(grants=grants))
    assert "        + role of web: s3:* on * [widens rights]\n        - 210987654321 may pull\n" in text


@pytest.mark.parametrize("width", range(60, 100))
def test_the_mark_of_a_widened_right_is_never_broken(width: int) -> None:
    text = shown(update(grants=(Grant("role of web: s3:GetObject on arn:aws:s3:::assets/*", True, True),)), width=width)
    assert text.count("[widens rights]") == 1
    assert max(map(len, text.splitlines()[3:-2])) <= width


def test_the_right_that_many_creations_give_is_said_once() -> None:
    grant = Grant("210987654321 may pull", is_added=True)
    changes = [
        change
        for name in ("a/b", "c/d")
        for change in in_root_module("repositories", name, [REPOSITORY, "aws_ecr_repository_policy"])
    ]
    granting = [replace(one, grants=(grant,)) if "policy" in one.address else one for one in changes]
    assert "        + 210987654321 may pull: 2 repositories\n" in shown(*granting)


def test_a_right_that_names_its_owner_does_not_name_it_twice() -> None:
    grant = Grant("role of web: s3:* on *", is_added=True, is_widening=True)
    changes = in_root_module("builds", "web", ["aws_codebuild_project", "aws_iam_role_policy"], grants=(grant,))
    assert "        + role of web: s3:* on * [widens rights]\n" in shown(*changes)


def test_an_import_with_changes_is_in_both_sections() -> None:
    change = update(is_imported=True, reason="imported", changes=(AttributeChange("x", 1, 2),))
    text = shown(change, *in_root_module("repositories", "c/d", [REPOSITORY], InfraAction.IMPORT))
    assert "  To import into the state (2):\n    < 2 repositories (2 resources): a/b, c/d\n" in text
    assert "      1 of them with changes, see below\n" in text
    assert "  To update (1):\n    ~ repository a/b (aws_ecr_repository, imported)\n        x 1 -> 2\n" in text


@pytest.mark.parametrize(
    ("reason", "planned", "heading"),
    [
        ("", True, "will be put back"),
        ("", False, "recorded only"),
        ("put_back", True, "will be put back"),
        ("changed", True, "will be changed to something else"),
        ("recorded", True, "recorded only"),
    ],
)
def test_drift_says_what_becomes_of_it(reason: str, planned: bool, heading: str) -> None:
    drift = update(reason=reason, changes=(AttributeChange("x", 1, 2),))
    changes = [update(changes=(AttributeChange("x", 2, 1),))] if planned else []
    text = shown(*changes, drift=(drift,))
    body = "    ! repository a/b (aws_ecr_repository)\n        x 1 -> 2\n"
    assert f"  Changed outside of Terraform, {heading} (1):\n{body}" in text


def test_what_was_deleted_outside_says_so() -> None:
    drift = replace(update(), action=InfraAction.DELETE)
    text = shown(replace(update(), action=InfraAction.CREATE), drift=(drift,))
    assert "will be put back (1):\n    ! repository a/b (aws_ecr_repository, deleted)\n" in text


def test_what_is_destroyed_or_let_go_is_named_with_each_resource() -> None:
    gone = [
        change
        for name in ("a/b", "c/d")
        for change in repository_changes(name, InfraAction.DELETE, "delete_because_each_key")
    ]
    types = "aws_ecr_lifecycle_policy, aws_ecr_repository, aws_ecr_repository_policy"
    text = shown(*gone, width=200)
    assert f"  To destroy (6):\n    - 2 repositories ({types}): a/b, c/d\n" in text
    kept = shown(*repository_changes("a/b", InfraAction.FORGET))
    assert f"it stays in AWS and leaves the state (3):\n    . repository a/b ({types})\n" in kept


def test_a_policy_that_goes_says_the_rights_that_go_with_it() -> None:
    (policy,) = in_root_module(
        "repositories",
        "a/b",
        ["aws_ecr_repository_policy"],
        InfraAction.DELETE,
        grants=(Grant("210987654321 may pull", is_added=False),),
    )
    text = shown(policy)
    assert "    - repository a/b (aws_ecr_repository_policy)\n        - 210987654321 may pull\n" in text


def test_losses_are_said_with_amounts() -> None:
    text = shown(
        losses=(
            Loss("repository", "x", 1_200_000_000, tuple(map(plan_samples.digest, "abc")), "2026-11-01T12:00:00+00:00"),
            Loss("repository", "y"),
            Loss("log group", "/aws/codebuild/z", 3_400_000),
        )
    )
    assert "    - repository x: 3 images, 1.20 GB, last pulled 2026-11-01 12:00\n" in text
    assert "    - repository y: no images\n" in text
    assert "    - log group /aws/codebuild/z: 3.40 MB\n" in text


def test_settings_that_leave_adopted_repositories_alone_are_yaml_to_paste() -> None:
    from ruamel.yaml import YAML

    settings = {
        "tag_mutability": "immutable",
        "pull_principals": ["210987654321"],
        "kms_key": None,
        "scan_on_push": False,
    }
    text = shown(adopted=(Adopted("a/b", settings), Adopted("c/d", settings), Adopted("e/f", {})))
    _, _, rest = text.partition("    In the images of a/b, c/d:\n")
    document, _, _ = rest.partition("\n\n")
    assert YAML(typ="safe").load(document) == {"repository_settings": settings}
    assert "e/f" not in text
