"""The buildspec of a CodeBuild batch that does a plan in shards: a build for each, and one that joins their results.

The joining build depends on the others, which only a `build-graph` can say; the builds of a `build-list` do not wait
for each other. AWS documents that a build waits until those that it depends on are completed, and not whether it runs
if one of them failed. So the build of a shard ends well whatever becomes of its images, and the joining one fails.
https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html
"""

from __future__ import annotations

from toolkit.codebuild.buildspec import HEADER, dump, yaml_text
from toolkit.errors import Refused

MOST_BUILDS = 100
"""In a batch; one of them joins."""
PLACE_VARIABLE = "TOOLKIT_SHARDS"
"""Environment variable of the batch: a place for this plan alone, `s3://bucket/prefix`, which has `plan.toolkit`."""

_COMMAND = """\
set -eu
mkdir -p results
aws s3 cp --only-show-errors "$TOOLKIT_SHARDS/plan.toolkit" plan.toolkit
if [ "$SHARD" = report ]; then
  aws s3 cp --only-show-errors --recursive "$TOOLKIT_SHARDS/results" results
  exec toolkit report plan.toolkit results/*.json
fi
toolkit apply plan.toolkit --shard "$SHARD" --output "json=results/$SHARD.json" ||
  echo "shard $SHARD ended with exit code $?; the build \\"report\\" fails for it"
aws s3 cp --only-show-errors "results/$SHARD.json" "$TOOLKIT_SHARDS/results/$SHARD.json"
"""


def render_shard_batch(shards: int) -> str:
    """The text of the buildspec for so many shards. Raises Refused if a batch cannot have them."""
    if shards >= MOST_BUILDS:
        raise Refused(
            "build.too_many_shards",
            f"a batch of CodeBuild has at most {MOST_BUILDS} builds, and the plan has {shards} shards",
            hint=f"plan with `--shards {MOST_BUILDS - 1}`, or less",
        )
    names = [f"shard_{number}" for number in range(1, shards + 1)]
    graph: list[dict[str, object]] = [
        {"identifier": name, "env": {"variables": {"SHARD": str(number)}}, "ignore-failure": True}
        for number, name in enumerate(names, 1)
    ]
    graph.append({"identifier": "report", "env": {"variables": {"SHARD": "report"}}, "depend-on": names})
    return HEADER + dump(
        {
            "version": 0.2,
            "batch": {"fast-fail": False, "build-graph": graph},
            "phases": {"build": {"commands": [yaml_text(_COMMAND)]}},
        }
    )
