"""moto's EventBridge, completed: a rule starts the builds that are its targets.

moto's own class is changed, in the server process only. moto fails the whole PutEvents for a target that it cannot send
to.
"""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from moto.codebuild.models import codebuild_backends
from moto.events.models import Rule
from moto.utilities.arns import parse_arn

from toolkit.sandbox.moto_builds import Builds, TooManyBuilds

_send_to_targets = Rule.send_to_targets


def complete_events(builds: Builds) -> None:
    """Change moto's class."""

    def send(rule: Any, event: Any, transform_input: bool = True) -> None:
        arns = [parse_arn(target["Arn"]) for target in rule.targets]
        for arn in arns:
            projects = codebuild_backends[arn.account][arn.region] if arn.service == "codebuild" else None
            # As AWS does, a start that fails does not fail the event.
            if projects and rule.event_pattern.matches_event(event) and arn.resource_id in projects.codebuild_projects:
                with suppress(TooManyBuilds):
                    builds.start(projects, arn.resource_id, {}, f"rule/{rule.name}")
        others = copy.copy(rule)
        others.targets = [target for target, arn in zip(rule.targets, arns, strict=True) if arn.service != "codebuild"]
        _send_to_targets(others, event, transform_input)

    Rule.send_to_targets = send
