"""The settings that leave a repository as it is do so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from toolkit.manifest.loader import loads
from toolkit.plan.adoption import has_other_encryption, principal_refusals, settings_that_keep, tag_refusals
from toolkit.plan.desired import Desired
from toolkit.plan.observed import ExistingRepository
from toolkit.plan.repository_policy import read_statements, wanted_statements
from toolkit.plan.resolve import resolve

NAME, OWN, PARTNER = "docker-hub/library/nginx", "123456789012", "210987654321"
KEY = f"arn:aws:kms:eu-west-1:{OWN}:key/0a1b2c3d"
PULL = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]


def desired(settings: Mapping[str, object], repositories: Mapping[str, object], tags: Mapping[str, str]) -> Desired:
    image = {"source": "nginx:1.16", "repository_settings": dict(settings)}
    aws = {"region": "eu-west-1", "resource_tags": dict(tags)}
    text = {"version": 1, "name": "shop", "aws": aws, "images": [image], "repositories": dict(repositories)}
    return resolve(loads(json.dumps(text), "images.yaml"))


def lifecycle(days: int, **more: object) -> str:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    description = f"Expire untagged images after {days} days"
    rule = {"rulePriority": 1, "description": description, "selection": selection, "action": {"type": "expire"}, **more}
    return json.dumps({"rules": [rule]})


principals = st.lists(
    st.sampled_from([PARTNER, f"arn:aws:iam::{PARTNER}:root", f"arn:aws:iam::{PARTNER}:role/ci", "111122223333"]),
    min_size=1,
    max_size=3,
    unique=True,
)
conditions = st.sampled_from(
    [
        {},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}},
        {"Condition": {"Bool": {"a:b": True}}},
    ]
)
statements = st.builds(
    lambda effect, who, actions, sid, condition: {"Effect": effect, **who, **actions, **sid, **condition},
    st.sampled_from(["Allow", "Allow", "Deny"]),
    principals.map(lambda names: {"Principal": {"AWS": names}})
    | st.sampled_from(
        [
            {"Principal": "*"},
            {"Principal": {"AWS": "*"}},
            {"Principal": {"Service": "codebuild.amazonaws.com"}},
            {"Principal": {"Federated": "accounts.google.com"}},
            {"Principal": {"AWS": ["AROAEXAMPLEEXAMPLE1"]}},
            {"NotPrincipal": {"AWS": PARTNER}},
        ]
    ),
    st.sampled_from(
        [
            {"Action": PULL},
            {"Action": ["ecr:BatchCheckLayerAvailability", *PULL]},
            {"Action": "ecr:*"},
            {"Action": ["*"]},
            {"NotAction": ["ecr:PutImage"]},
        ]
    ),
    st.sampled_from([{}, {"Sid": "PullByPrincipals"}, {"Sid": "PullByOrganization"}, {"Sid": "two words"}]),
    conditions,
)


def _sid(statement: Mapping[str, object]) -> object:
    """AWS takes an id once in a policy."""
    return statement.get("Sid", id(statement))


resource_tags = st.dictionaries(st.sampled_from(["team", "owner", "cost-centre"]), st.sampled_from(["a", "b"]))
repositories = st.builds(
    ExistingRepository,
    st.just(NAME),
    st.just(OWN),
    st.sampled_from(["MUTABLE", "IMMUTABLE"]),
    st.just(()),
    st.booleans(),
    st.just("AES256"),
    st.none(),
    st.builds(lambda tags: {**tags, "aws:cloudformation:stack-name": "s", "toolkit:manifest": "x"}, resource_tags),
    st.none() | st.sampled_from([lifecycle(14), lifecycle(30), lifecycle(14, rulePriority=2), '{"rules": []}']),
    st.none() | st.lists(statements, max_size=3, unique_by=_sid).map(lambda found: json.dumps({"Statement": found})),
)
existing_repositories = repositories | st.builds(
    lambda one, key: ExistingRepository(**{**fields_of(one), "encryption_type": "KMS", "kms_key": key}),
    repositories,
    st.just(KEY),
)
defaults = st.fixed_dictionaries(
    {},
    optional={
        "tag_mutability": st.just("immutable"),
        "scan_on_push": st.booleans(),
        "encryption": st.just({"type": "KMS", "kms_key": f"{KEY}ff"}),
        "expire_untagged_after_days": st.none() | st.integers(1, 30),
        "pull_principals": principals,
        "organization_id": st.just("o-a1b2c3d4e5"),
        "resource_tags": resource_tags,
    },
)


def fields_of(one: ExistingRepository) -> dict[str, Any]:
    return {name: getattr(one, name) for name in ExistingRepository.__slots__}


def with_policy(*found: Mapping[str, object]) -> ExistingRepository:
    return ExistingRepository(NAME, OWN, repository_policy=json.dumps({"Statement": found}))


OURS = {
    "Sid": "PullByPrincipals",
    "Effect": "Allow",
    "Principal": {"AWS": PARTNER},
    "Action": ["ecr:BatchCheckLayerAvailability", *PULL],
}
WORDLESS = {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "NotAction": ["ecr:PutImage"]}
OTHERS = {"pull_principals": ["333333333333"]}


@given(existing_repositories, defaults, resource_tags)
@example(ExistingRepository(NAME, OWN, lifecycle_policy=lifecycle(14, rulePriority=2)), {}, {})
@example(with_policy(OURS, WORDLESS), OTHERS, {})
@example(with_policy({**OURS, "Action": PULL}), OTHERS, {})
@example(with_policy({**OURS, "Principal": "*"}), OTHERS, {})
def test_with_the_settings_nothing_is_lost_and_nothing_more_is_to_set(
    existing: ExistingRepository, repositories: dict[str, object], tags: dict[str, str]
) -> None:
    before = desired({}, repositories, tags)
    settings = settings_that_keep(existing, before.repository(NAME), before)
    after = desired(settings, repositories, tags)
    repository = after.repository(NAME)
    assert settings_that_keep(existing, repository, after) == {}
    assert not has_other_encryption(existing, repository)
    assert list(principal_refusals(existing, repository, {})) == []
    assert list(tag_refusals(existing, repository, after, {})) == []
    assert (repository.tag_mutability, repository.scan_on_push) == (existing.tag_mutability, existing.scan_on_push)
    kept = {**after.resource_tags, **repository.resource_tags}
    foreign = {key: value for key, value in existing.resource_tags.items() if ":" not in key}
    assert foreign.items() <= kept.items()
    if repository.expire_untagged_after_days is not None:  # else what is there stays, whatever it is
        assert existing.lifecycle_policy == lifecycle(repository.expire_untagged_after_days)
    if wanted := wanted_statements(repository):
        assert _rights(wanted) == _rights(read_statements(existing.repository_policy))


def _rights(found: Any) -> list[str]:
    """Without names for readers, and without the principals that are no more."""
    statements = [{key: value for key, value in one.items() if key != "Sid"} for one in found]
    return sorted(json.dumps(one, sort_keys=True) for one in statements if "AROA" not in json.dumps(one))


def test_a_value_that_the_manifest_has_no_word_for_is_left_out() -> None:
    wanted = desired({}, {}, {})
    existing = ExistingRepository(
        NAME, OWN, scan_on_push=True, encryption_type="KMS_DSSE", lifecycle_policy=lifecycle(14)
    )
    assert settings_that_keep(existing, wanted.repository(NAME), wanted) == {}


def test_who_cannot_be_said_keeps_the_right_by_a_policy_that_is_left_alone() -> None:
    policy = {"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": PARTNER}, "Action": PULL}]}
    existing = ExistingRepository(
        NAME, OWN, scan_on_push=True, lifecycle_policy=lifecycle(14), repository_policy=json.dumps(policy)
    )
    wanted = desired({}, {"pull_principals": [PARTNER]}, {})
    assert settings_that_keep(existing, wanted.repository(NAME), wanted) == {"pull_principals": []}
