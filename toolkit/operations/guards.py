"""Checks that stop a run before it does harm: another account or region, a plan that must not be applied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.errors import AccessDenied, Refused
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice, Plan, Refusal
from toolkit.plan.observed import Account
from toolkit.terraform.root_module import instance_of

if TYPE_CHECKING:
    from toolkit.terraform.state import State


def find_account(desired: Desired, services: Services) -> Account:
    """The account and region of the run. Raises Refused when the manifest names another account."""
    account_id = check_account(desired, services)
    return Account(account_id=account_id, region=desired.region, registry_host=services.ecr.registry_host())


def check_account(desired: Desired, services: Services) -> str:
    """The account of the run. Raises Refused when the manifest names another one."""
    account_id = services.account_id()
    if desired.account_id is not None and desired.account_id != account_id:
        raise Refused(
            "aws.wrong_account",
            f"these credentials belong to account `{account_id}`, the manifest is for `{desired.account_id}`",
            hint="switch the profile or role, or correct `aws.account_id`",
        )
    return account_id


def refuse_other_place(state: State, account: Account) -> None:
    """Raise Refused for a state with resources of another account or region.

    Terraform would not find these resources and would treat them as deleted. It would create all of them again, and
    delete global ones: the roles of the other region's projects.
    """
    places = state.places
    regions = {
        region for address, (region, _) in places.items() if not ((found := instance_of(address)) and found.region)
    }
    for code, what, here, elsewhere in (
        ("infra.other_account", "account", account.account_id, {account_id for _, account_id in places.values()}),
        ("infra.other_region", "region", account.region, regions - {""}),
    ):
        others = sorted(elsewhere - {here})
        if others:
            raise Refused(
                code,
                f"Terraform's state holds resources in {what} `{'`, `'.join(others)}`, and this run is for `{here}`",
                hint=f"for a second {what}, give its manifest a `name` and a state of its own; for a move, go back to "
                f"`{others[0]}`, run `toolkit destroy`, and then apply here",
            )


def refusals_of(risks: Sequence[Notice]) -> tuple[Refusal, ...]:
    """The `risks` of a manifest as reasons to refuse it."""
    return tuple(Refusal(risk.code, risk.message, risk.hint) for risk in risks)


def refuse_risks(risks: Sequence[Notice]) -> None:
    """Raise Refused if there are any."""
    if len(risks) == 1:
        raise Refused(risks[0].code, risks[0].message, hint=risks[0].hint)
    if risks:
        message = f"the manifest is refused for {len(risks)} risks, which are listed"
        raise Refused(risks[0].code, message, hint="remove them, or list them in `ignore` with a `reason` and `until`")


def refuse_if_unsafe(plan: Plan) -> None:
    """Raise for a plan that must not be applied: AccessDenied if all reasons concern credentials, else Refused."""
    refusals = plan.blocking_refusals
    if not refusals:
        return
    first = refusals[0]
    kind = AccessDenied if all(refusal.kind == "denied" for refusal in refusals) else Refused
    of_images = all(refusal.image for refusal in refusals)
    if len(refusals) == 1:
        hint = first.hint or ("use --keep-going to do the rest" if of_images else None)
        raise kind(first.code, first.message, hint=hint)
    raise kind(
        first.code,
        f"the plan is refused for {len(refusals)} reasons, which it lists; nothing was changed",
        hint="fix them and plan again" + (", or use --keep-going to do the rest" if of_images else ""),
    )
