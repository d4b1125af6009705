"""Roles in the sandbox with policies of `toolkit iam-policy`, and the program with a session of one of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ruamel.yaml import YAML

from tests.support.sandbox import RunningSandbox
from tests.support.toolkit_run import Toolkit
from toolkit.terraform.iam_policy import Statement, documents
from toolkit.terraform.modules import modules_folder

TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}


def without(statements: Iterable[Statement], action: str) -> list[Statement]:
    """`statements` without one action."""
    left = [replace(s, actions=tuple(name for name in s.actions if name != action)) for s in statements]
    return [statement for statement in left if statement.actions]


def actions_of(statements: Iterable[Statement]) -> set[str]:
    """Every action of `statements`."""
    return {action for statement in statements for action in statement.actions}


class Role:
    """A role of the sandbox, whose rights can be changed at any time."""

    def __init__(self, sandbox: RunningSandbox, region: str, name: str) -> None:
        self.name = name
        self._sandbox = sandbox
        self._region = region
        self._iam = sandbox.client("iam", region)
        self.arn = self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]

    def may(self, statements: Sequence[Statement]) -> None:
        """Give the role exactly these rights."""
        for policy in self._iam.list_role_policies(RoleName=self.name)["PolicyNames"]:
            self._iam.delete_role_policy(RoleName=self.name, PolicyName=policy)
        for number, document in enumerate(documents(list({repr(one): one for one in statements}.values()))):
            self._iam.put_role_policy(RoleName=self.name, PolicyName=f"p{number}", PolicyDocument=json.dumps(document))

    def session(self) -> dict[str, str]:
        """The environment variables of a session."""
        sts = self._sandbox.client("sts", self._region)
        keys = sts.assume_role(RoleArn=self.arn, RoleSessionName="pipeline")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
            "AWS_SESSION_TOKEN": keys["SessionToken"],
        }

    def toolkit(self, folder: Path) -> Toolkit:
        """The program with a session of this role."""
        return Toolkit(folder, {**self._sandbox.environment(), **self.session()})


class Calls:
    """What was called in the sandbox since the last look."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self._seen = {"aws": 0, "ecr": 0}

    def since(self) -> Collection[str]:
        """The actions whose rights were needed by calls that AWS did not refuse."""
        found: set[str] = set()
        for name, seen in self._seen.items():
            lines = self._sandbox.accesses(name)
            self._seen[name] = len(lines)
            for line in lines[seen:]:
                found |= {action for action, _, _ in line.get("rights", ())}
        return found


def reasons() -> set[str]:
    """The actions with a reason in the table of rights."""
    table = YAML(typ="safe", pure=True).load((modules_folder() / "rights.yaml").read_text())
    return {
        action
        for entry in table.values()
        for verb, actions in entry.items()
        if verb not in ("resources", "condition")
        for action, about in actions.items()
        if (about.get("because") if isinstance(about, dict) else about)
    }
