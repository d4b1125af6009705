"""The buildspec of a CodeBuild batch that does a plan in shards: a build for each, and one that joins their results.

It is that of the project, in which `TOOLKIT_SHARD` chooses what a build does. The joining build depends on the others,
which only a `build-graph` can say; the builds of a `build-list` do not wait for each other. AWS documents that a build
waits until those that it depends on have completed, and not whether it runs if one of them failed. So nothing depends
on it: whoever starts the batch joins the results too.
https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import Refused

MOST_BUILDS = 100
"""In a batch; one of them joins."""
SHARD_VARIABLE = "TOOLKIT_SHARD"
"""What a build does: the number of a shard, or `report`."""
PLAN_VARIABLE = "TOOLKIT_PLAN"
"""The place of the plan in S3."""
RUNNING: Literal["IN_PROGRESS"] = "IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, in CodeBuild's own words: its status, that of each build by identifier, and why it failed."""

    id: str
    status: str
    builds: Mapping[str, str]
    why: str = ""


def render_shard_batch(buildspec: str, shards: int) -> str:
    """The project's `buildspec`, which is JSON, with the builds for so many shards.

    Raises Refused if a batch cannot have them, and ValueError if the project has another buildspec than ours.
    """
    if shards >= MOST_BUILDS:
        raise Refused(
            "batch.too_many_shards",
            f"a batch of CodeBuild has at most {MOST_BUILDS} builds, and the plan has {shards} shards",
            hint=f"plan with `--shards {MOST_BUILDS - 1}`, or less",
        )
    names = [f"shard_{number}" for number in range(1, shards + 1)]
    graph: list[dict[str, object]] = [
        {"identifier": name, "env": {"variables": {SHARD_VARIABLE: str(number)}}, "ignore-failure": True}
        for number, name in enumerate(names, 1)
    ]
    graph.append({"identifier": "report", "env": {"variables": {SHARD_VARIABLE: "report"}}, "depend-on": names})
    document = json.loads(buildspec)
    return json.dumps({**document, "batch": {"fast-fail": False, "build-graph": graph}}, separators=(",", ":"))
