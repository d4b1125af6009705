"""What an existing repository would lose when it is taken over, and the settings that prevent that. Pure.

Terraform shows each difference, but not which of them does harm. Harmful are: a principal that can no longer pull, an
AWS tag that is removed, and an encryption that only a new repository can have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from toolkit.manifest.model import RepositoryOverrideSpec
from toolkit.plan.desired import Desired, DesiredRepository, ownership_tags
from toolkit.plan.model import Refusal
from toolkit.plan.observed import ExistingRepository
from toolkit.plan.repository_policy import lost_pullers, policy_settings, read_statements, wanted_statements

Settings = Mapping[str, object]


def settings_that_keep(existing: ExistingRepository, repository: DesiredRepository, desired: Desired) -> Settings:
    """The `repository_settings`, in the manifest's words, that leave the repository unchanged except for our own tags.

    Settings that the manifest already has are left out, and so are values that it cannot express. If the manifest makes
    no policy of a kind, an existing one is not touched and needs no setting.
    """
    settings: dict[str, object] = {}
    if existing.tag_mutability != repository.tag_mutability:
        settings["tag_mutability"] = existing.tag_mutability.lower()
    if set(existing.tag_mutability_exclusions) != set(repository.tag_mutability_exclusions):
        settings["tag_mutability_exclusions"] = list(existing.tag_mutability_exclusions)
    if existing.scan_on_push != repository.scan_on_push:
        settings["scan_on_push"] = existing.scan_on_push
    if has_other_encryption(existing, repository):
        key = {} if existing.kms_key is None else {"kms_key": existing.kms_key}
        settings["encryption"] = {"type": existing.encryption_type, **key}
    if repository.expire_untagged_after_days is not None:
        days = _days_of(existing.lifecycle_policy)
        if days != repository.expire_untagged_after_days:
            settings["expire_untagged_after_days"] = days
    if wanted := wanted_statements(repository):
        before = policy_settings(read_statements(existing.repository_policy))
        if not _can_be_said("policy_statements", before["policy_statements"]):
            before = policy_settings(())  # then the manifest makes no policy, and the existing one stays
        after = policy_settings(wanted)
        settings |= {name: value for name, value in before.items() if value != after[name]}
    tags = _tags_of_others(existing)
    if any(_tags_afterwards(repository, desired).get(key) != value for key, value in tags.items()):
        settings["resource_tags"] = {k: v for k, v in tags.items() if desired.resource_tags.get(k) != v}
    return {name: value for name, value in settings.items() if _can_be_said(name, value)}


def has_other_encryption(existing: ExistingRepository, repository: DesiredRepository) -> bool:
    """Whether the manifest asks for another encryption; ECR cannot change that of an existing repository."""
    if existing.encryption_type != repository.encryption_type:
        return True
    return repository.kms_key not in (None, existing.kms_key)


def encryption_refusal(existing: ExistingRepository, repository: DesiredRepository, settings: Settings) -> Refusal:
    """Why a repository that `has_other_encryption` cannot be taken over; no flag allows it."""
    current, wanted = (
        f"`{kind}`" + (f" with the key `{key}`" if key else "")
        for kind, key in (
            (existing.encryption_type, existing.kms_key),
            (repository.encryption_type, repository.kms_key),
        )
    )
    return Refusal(
        "adopt.encryption_differs",
        f"the repository `{existing.name}` is encrypted with {current}, the manifest asks for {wanted}, and ECR cannot "
        "change that",
        hint=_advice(settings, "encryption") or "give the image a repository with another name",
    )


def principal_refusals(
    existing: ExistingRepository, repository: DesiredRepository, settings: Settings
) -> Iterator[Refusal]:
    """One for each principal that could no longer pull because the manifest makes another repository policy."""
    before, after = read_statements(existing.repository_policy), wanted_statements(repository)
    for principal in lost_pullers(before, after, existing.account_id) if after else ():
        yield Refusal(
            "adopt.loses_principal",
            f"`{principal}` can pull from the repository `{existing.name}` now and could not afterwards",
            hint=_or_allow(_advice(settings, "pull_principals", "organization_id", "policy_statements")),
        )


def tag_refusals(
    existing: ExistingRepository, repository: DesiredRepository, desired: Desired, settings: Settings
) -> Iterator[Refusal]:
    """One refusal that lists the AWS tags that would be removed, if there are any."""
    going = sorted(_tags_of_others(existing).keys() - _tags_afterwards(repository, desired).keys())
    if going:
        listed = ", ".join(f"`{key}`" for key in going)
        yield Refusal(
            "adopt.loses_tag",
            f"the repository `{existing.name}` would lose AWS tags: {listed}",
            hint=_or_allow(_advice(settings, "resource_tags")),
        )


def _advice(settings: Settings, *names: str) -> str | None:
    chosen = {name: settings[name] for name in names if name in settings}
    # JSON is also YAML, so this can be pasted into the manifest.
    return f"set `repository_settings: {json.dumps(chosen, ensure_ascii=False)}` for its images" if chosen else None


def _or_allow(advice: str | None) -> str:
    return f"{advice}, or use --allow-destroy" if advice else "use --allow-destroy to accept that"


def _tags_of_others(existing: ExistingRepository) -> dict[str, str]:
    """Its AWS tags without AWS's own, which nobody can remove, and without ours."""
    return {k: v for k, v in existing.resource_tags.items() if not k.lower().startswith(("aws:", "toolkit:"))}


def _tags_afterwards(repository: DesiredRepository, desired: Desired) -> dict[str, str]:
    return {**desired.resource_tags, **repository.resource_tags, **ownership_tags(desired.name)}


def _days_of(lifecycle_policy: str | None) -> int | None:
    """The days of a lifecycle policy exactly as the module `ecr-repository` writes it; None for any other policy."""
    found = json.loads(lifecycle_policy) if lifecycle_policy else {}
    try:
        days = int(found["rules"][0]["selection"]["countNumber"])
    except (KeyError, IndexError):
        return None
    rule = {
        "rulePriority": 1,
        "description": f"Expire untagged images after {days} days",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": days,
        },
        "action": {"type": "expire"},
    }
    return days if found == {"rules": [rule]} else None


def _can_be_said(name: str, value: object) -> bool:
    """Whether the manifest accepts the value: AWS has values that the manifest cannot express."""
    try:
        RepositoryOverrideSpec.model_validate({name: value})
    except ValidationError:
        return False
    return True
