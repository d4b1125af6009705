"""The input of the module `base-images` for what refreshes: the arguments of the module `image-refresh`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from toolkit.errors import Refused
from toolkit.plan.desired import Desired, ownership_tags, shortened
from toolkit.terraform.iam_policy import Place, Statement, refresh_policy, size_of

_LONGEST_LIST = 1_900
"""Characters of images as JSON in the pattern of one rule; EventBridge takes 2,048 in a pattern."""

_LONGEST_POLICY = 9_000
"""Characters. All policies of a role have 10,240 together, and the role has one for its log and its image too."""

_ANYWHERE = {"account": "{account}", "partition": "{partition}", "dns_suffix": "{dns_suffix}"}
"""What only Terraform knows; the module fills it in."""


def refresh_values(desired: Desired) -> dict[str, object]:
    """JSON values by argument name, as the only value of a mapping; nothing without `refresh`."""
    if (refresh := desired.refresh) is None:
        return {}
    wheel = refresh.tool_wheel and f"s3://{refresh.tool_wheel.bucket}/{refresh.tool_wheel.key}"
    values = {
        "name": desired.name,
        "schedule": refresh.schedule,
        "time_zone": refresh.time_zone,
        "bucket": refresh.bucket,
        "prefix": refresh.prefix,
        "tool": {"image": refresh.tool_image, "wheel": wheel, "sha256": refresh.wheel_sha256},
        "policy": _policy(desired),
        "topic_arn": refresh.notify,
        "alarms": {
            "silent_for_hours": refresh.silent_for // timedelta(hours=1),
            "behind_days": refresh.behind / timedelta(days=1),
            "pulls_left": refresh.pulls_left,
        },
        "rebuilds": _rebuilds(desired),
    }
    return {refresh.project.name: values}


def rule_names(desired: Desired) -> dict[str, str]:
    """The names of the rules that start builds, by their keys in the module `image-refresh`, which makes both."""
    counts = {name: len(lists) for name, lists in _images_to_watch(desired).items()}
    keys = [
        name if number == 1 else f"{name}.{number}" for name, count in counts.items() for number in range(1, count + 1)
    ]
    return {key: shortened(f"{desired.name}-rebuild-{key}") for key in keys}


def _rebuilds(desired: Desired) -> dict[str, object]:
    watched = _images_to_watch(desired)
    projects = {build.name: build.project_name for build in desired.builds}
    return {name: {"project_name": projects[name], "images": lists} for name, lists in watched.items()}


def _images_to_watch(desired: Desired) -> dict[str, list[list[str]]]:
    """The images that start a build when they move, by its name, in lists that a rule has room for."""
    images: dict[str, list[str]] = {}
    for key, names in sorted(desired.builds_by_image().items()):
        for name in names:
            images.setdefault(name, []).append(key)
    return {build.name: list(_fitting(images[build.name])) for build in desired.builds if build.rebuilds}


def _fitting(keys: Sequence[str]) -> Iterator[list[str]]:
    page: list[str] = []
    for key in keys:
        if page and len(json.dumps([*page, key], separators=(",", ":"))) > _LONGEST_LIST:
            yield page
            page = []
        page.append(key)
    yield page


def _policy(desired: Desired) -> str:
    """The policy of the run. Where it would be too long for a role, the repositories are known by their tags.

    Raises Refused if it is still too long.
    """
    place = Place(region=desired.region, **_ANYWHERE)
    statements = refresh_policy(desired, place)
    if size_of(statements) > _LONGEST_POLICY:
        regions = (desired.region, *(desired.replication.destinations if desired.replication else ()))
        registries = [f"arn:{place.partition}:ecr:{region}:{place.account}:repository/" for region in regions]
        wide = {f"{one}{repository.name}": f"{one}*" for one in registries for repository in desired.repositories}
        tags = {f"aws:ResourceTag/{key}": [value] for key, value in ownership_tags(desired.name).items()}
        statements = [part for one in statements for part in _by_tags(one, wide, tags)]
    if (size := size_of(statements)) > _LONGEST_POLICY:
        raise Refused(
            "refresh.policy_too_long",
            f"the rights of a refresh are a policy of {size:,} characters, and a role has room for {_LONGEST_POLICY:,}",
            hint="copy from fewer repositories of other registries in ECR, or from registries with a credential",
        )
    return json.dumps({"Version": "2012-10-17", "Statement": [statement.document() for statement in statements]})


def _by_tags(statement: Statement, wide: Mapping[str, str], tags: Mapping[str, Sequence[str]]) -> Iterator[Statement]:
    """The statement with `wide` resources in the place of the named ones."""
    if others := tuple(resource for resource in statement.resources if resource not in wide):
        yield replace(statement, resources=others)
    if tagged := sorted({wide[resource] for resource in statement.resources if resource in wide}):
        equals = {**statement.conditions.get("StringEquals", {}), **tags}
        yield replace(statement, resources=tuple(tagged), conditions={**statement.conditions, "StringEquals": equals})
