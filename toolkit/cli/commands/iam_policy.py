"""`toolkit iam-policy`: the least IAM policy for a role that runs a command or a build, or whom it trusts."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import builds
from toolkit.cli.options import ManifestFile
from toolkit.errors import UsageError
from toolkit.events import NoticeGiven

NAME = "iam-policy"
HELP = (
    "Print the least IAM policy of a role. It is for one command with this manifest, or for one of its builds. Needs "
    "no credentials where the manifest names the account."
)
EXAMPLES = (
    "toolkit iam-policy plan > plan.json",
    "toolkit iam-policy apply --format terraform > policy.tf",
    "toolkit iam-policy plan --trust github acme/web pull_request,refs/heads/main",
    "toolkit iam-policy apply --trust gitlab acme/platform/web main",
    "toolkit iam-policy build web",
)


class Runs(StrEnum):
    """What the role runs."""

    PLAN = "plan"
    APPLY = "apply"
    SEED = "seed"
    LOCK = "lock"
    STATUS = "status"
    PRUNE = "prune"
    SCAN = "scan"
    BUILD = "build"


class PolicyFormat(StrEnum):
    """What stdout carries: IAM's own JSON, or Terraform's data sources and policies."""

    JSON = "json"
    TERRAFORM = "terraform"


def command(
    runs: Annotated[
        Runs,
        typer.Argument(help="What the role runs; `apply` includes `plan` and `destroy`, `lock` includes `rollback`."),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[BUILD]", help="With `build`: a build of the manifest.", show_default=False, autocompletion=builds
        ),
    ] = None,
    trust: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            "--trust",
            metavar="KIND PROJECT REF[,REF]",
            help="Print the trust policy instead, for jobs with a token of `github` (`owner/name`; `refs/heads/main`, "
            "`environment:NAME` or `pull_request`) or `gitlab` (`group/project`; `main` or `refs/tags/v1`).",
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    format: Annotated[  # noqa: A002  the option's name
        PolicyFormat, typer.Option("--format", help="IAM's JSON (a list, if one policy is too small), or Terraform.")
    ] = PolicyFormat.JSON,
) -> None:
    """Run `toolkit iam-policy`."""

    def body(run: Run) -> int:
        from toolkit.aws.session import AwsSession, partition_of
        from toolkit.operations.buildspec import find_build
        from toolkit.operations.load import load_desired
        from toolkit.terraform import iam_policy

        if (name is None) == (runs is Runs.BUILD):
            raise UsageError("usage", "`build` needs the name of a build, and nothing else takes one")
        desired = load_desired(file)
        if runs is Runs.SCAN:
            run.emit(NoticeGiven("policy.not_needed", "`toolkit scan` calls no AWS service: its job needs no role"))
            return 0
        account = desired.account_id or AwsSession(desired.region).account_id()
        place = iam_policy.Place(account, desired.region, *partition_of(desired.region))
        label = "-".join(filter(None, (desired.name, runs, name)))
        if trust is not None:
            policies = [iam_policy.trust_policy(*trust, place, is_read_only=runs in (Runs.PLAN, Runs.STATUS))]
            label += "-trust"
        elif runs is Runs.BUILD:
            policies = iam_policy.documents(iam_policy.build_policy(desired, find_build(desired, name or ""), place))
        else:
            make = {
                Runs.PLAN: iam_policy.plan_policy,
                Runs.APPLY: iam_policy.apply_policy,
                Runs.SEED: iam_policy.seed_policy,
                Runs.LOCK: iam_policy.lock_policy,
                Runs.STATUS: iam_policy.status_policy,
                Runs.PRUNE: iam_policy.prune_policy,
            }[runs]
            policies = iam_policy.documents(make(desired, place))
        if len(policies) > 1:
            run.emit(
                NoticeGiven(
                    "policy.several",
                    f"the rights need {len(policies)} policies, because IAM limits the size of one",
                    hint="attach all of them; a role takes 10, by quota up to 20",
                )
            )
        if format is PolicyFormat.TERRAFORM:
            text = iam_policy.as_terraform(label, policies, is_trust=trust is not None)
        else:
            text = json.dumps(policies if len(policies) > 1 else policies[0], indent=2)
        run.show("policy", {}, text, is_exact=True)
        return 0

    execute(NAME, Presentation(is_brief=True), body)
