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
    refusals = made.blocking_refusals
    if not refusals:
        return
    first = refusals[0]
    kind = AccessDenied if all(refusal.kind == "denied" for refusal in refusals) else Refused
    of_images = all(refusal.image for refusal in refusals)
    if len(refusals) == 1:
        hint = first.hint or ("say --keep-going to do all the rest" if of_images else None)
        raise kind(first.code, first.message, hint=hint)
    raise kind(
        first.code,
        f"the plan is refused for {len(refusals)} reasons, all listed above; nothing was changed",
        hint="mend them and plan again" + (", or say --keep-going to do all the rest" if of_images else ""),
    )
