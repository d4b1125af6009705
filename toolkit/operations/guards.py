"""What stops a run before it does harm: the wrong account, a plan that must not be applied."""

from __future__ import annotations

from toolkit.errors import AccessDenied, Refused
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired
from toolkit.plan.model import Plan
from toolkit.plan.observed import Account


def find_account(desired: Desired, services: Services) -> Account:
    """Who and where we are. Raises Refused when the manifest's guard names another account."""
    account_id = services.account_id()
    if desired.account_id is not None and desired.account_id != account_id:
        raise Refused(
            "aws.wrong_account",
            f"these credentials belong to account `{account_id}`, the manifest is for `{desired.account_id}`",
            hint="switch the profile or role, or correct `aws.account_id`",
        )
    return Account(account_id=account_id, region=desired.region, registry_host=services.ecr.registry_host())


def refuse_if_unsafe(made: Plan) -> None:
    """Raise for a plan that must not be applied: AccessDenied where credentials are the matter, else Refused."""
    if not made.refusals:
        return
    first = made.refusals[0]
    kind = AccessDenied if all(refusal.kind == "denied" for refusal in made.refusals) else Refused
    if len(made.refusals) == 1:
        raise kind(first.code, first.message, hint=first.hint)
    raise kind(
        first.code,
        f"the plan is refused for {len(made.refusals)} reasons, all listed above; nothing was changed",
        hint="mend them and plan again",
    )
