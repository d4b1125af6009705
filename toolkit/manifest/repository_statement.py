"""A statement of a repository's own policy: who besides may do what with its images."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator

from toolkit.manifest.build_parts import AnyStatementSpec
from toolkit.manifest.grammar import Grammar, PrincipalOrAll, ServicePrincipal
from toolkit.manifest.spec import Spec

RepositoryAction = Annotated[
    str, Grammar(r"ecr:[A-Za-z0-9*?]+", "is not an action of ECR, such as `ecr:BatchGetImage` or `ecr:Describe*`")
]

_KEYS = frozenset(
    f"aws:{side}{key}".lower()
    for side, keys in (
        ("Principal", ("Account", "Arn", "OrgID", "OrgPaths")),
        ("Source", ("Account", "Arn", "OrgID", "OrgPaths", "Vpc", "Vpce")),
    )
    for key in keys
)
"""Keys of conditions that say who asks; AWS ignores their case."""
_SOMEBODY = re.compile(r"(?<!\d)\d{12}(?!\d)|^o-[a-z0-9]{10,32}(/|$)|^vpce?-[0-9a-f]{8,17}$")
"""An account, an organisation or a VPC, and not a pattern that everybody fits."""
_OPERATORS = frozenset(
    f"{prefix}{operator}".lower()
    for prefix in ("", "ForAnyValue:")
    for operator in ("ArnEquals", "ArnLike", "StringEquals", "StringEqualsIgnoreCase", "StringLike")
)
"""Operators that hold for no request without the key: not those for what it is not, nor those with `IfExists`."""


class PrincipalsSpec(Spec):
    """Whom a statement is about."""

    aws: tuple[PrincipalOrAll, ...] = Field(
        (), strict=False, description="Account ids (in quotes) or ARNs of IAM principals; `*`, alone, for everybody."
    )
    services: tuple[ServicePrincipal, ...] = Field(
        (), strict=False, description="AWS services.", examples=[["codebuild.amazonaws.com"]]
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> PrincipalsSpec:
        if not self.aws and not self.services:
            raise ValueError("names nobody: give `aws` or `services`")
        if "*" in self.aws and len(self.aws) + len(self.services) > 1:
            raise ValueError("`*` is everybody: leave the others out")
        return self


class RepositoryStatementSpec(AnyStatementSpec):
    """A statement of the policy of a repository."""

    principals: PrincipalsSpec = Field(description="Whom it is about.")
    actions: tuple[RepositoryAction, ...] = Field(min_length=1, strict=False, description="ECR's actions.")

    @model_validator(mode="after")
    def _lets_not_everybody_in(self) -> RepositoryStatementSpec:
        if self.effect == "Allow" and "*" in self.principals.aws and not self._says_who_asks():
            raise ValueError(
                "lets everybody in the world in: name `principals`, or say by a condition who asks, such as "
                "`StringEquals: {aws:PrincipalOrgID: [o-…]}`, with an account, an organisation or a VPC in every value"
            )
        return self

    def _says_who_asks(self) -> bool:
        return any(
            operator.lower() in _OPERATORS and key.lower() in _KEYS and all(map(_SOMEBODY.search, texts))
            for operator, keys in self.conditions.items()
            for key, texts in keys.items()
        )
