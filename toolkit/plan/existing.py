"""What exists in AWS under a name that the manifest asks for, as AWS describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LIFECYCLE_POLICY = "lifecycle policy"
REPOSITORY_POLICY = "repository policy"
WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class ExistingResource:
    """A role, log group or project: its AWS tags, and the names of the parts that hang on it and have no tags.

    The parts of a role are its policies, inline ones by name and attached ones by ARN; `WEBHOOK` is a project's.
    A log group keeps its logs for `retention_days`, 0 is for ever.
    """

    resource_tags: Mapping[str, str]
    parts: frozenset[str] = frozenset()
    retention_days: int = 0


@dataclass(frozen=True, slots=True)
class ExistingRepository:
    """An ECR repository. The policies are JSON texts, None where there is none.

    `tag_mutability` is `MUTABLE` or `IMMUTABLE`, and the opposite holds for tags that fit an exclusion.
    """

    name: str
    account_id: str
    tag_mutability: str = "MUTABLE"
    tag_mutability_exclusions: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption_type: str = "AES256"
    kms_key: str | None = None
    resource_tags: Mapping[str, str] = field(default_factory=dict)
    lifecycle_policy: str | None = None
    repository_policy: str | None = None

    @property
    def parts(self) -> frozenset[str]:
        """As of any existing resource: the policies that there are."""
        policies = {LIFECYCLE_POLICY: self.lifecycle_policy, REPOSITORY_POLICY: self.repository_policy}
        return frozenset(kind for kind, text in policies.items() if text is not None)
