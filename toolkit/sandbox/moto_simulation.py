"""moto's IAM, completed: it simulates what a role or user may do, as `access_control` enforces it.

moto's own class is changed, in the server process only.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.exceptions import NotFoundException
from moto.iam.responses import IamResponse

from toolkit.sandbox.access_control import Right, allows


def complete_simulation() -> None:
    """Change moto's class."""
    IamResponse.simulate_principal_policy = _simulate_principal_policy


def _simulate_principal_policy(response: Any) -> Any:
    asked = response._get_params()
    arn = asked["PolicySourceArn"]
    owners = (*response.backend.roles.values(), *response.backend.users.values())
    owner = next((found for found in owners if found.arn == arn), None)
    if owner is None:
        raise NotFoundException(f"The entity {arn} does not exist.")
    documents = (*owner.policies.values(), *(policy.document for policy in owner.managed_policies.values()))
    policies = [json.loads(document) if isinstance(document, str) else document for document in documents]
    context = {one["ContextKeyName"]: one["ContextKeyValues"][0] for one in asked.get("ContextEntries", ())}
    results = [
        {
            "EvalActionName": action,
            "EvalResourceName": resource,
            "EvalDecision": "allowed" if allows(policies, Right(action, resource, context)) else "implicitDeny",
        }
        for action, resource in product(asked["ActionNames"], asked.get("ResourceArns", ["*"]))
    ]
    return ActionResult({"IsTruncated": False, "EvaluationResults": results})
