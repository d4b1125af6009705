"""The batch of a plan's shards: its text, and what its builds do when a shard fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from toolkit.codebuild.shard_batch import PLACE_VARIABLE, render_shard_batch
from toolkit.errors import Refused

AWS = """\
#!/bin/sh
# A bucket that is a folder: `aws s3 cp [--only-show-errors] [--recursive] FROM TO`.
shift 2; while [ "${1#--}" != "$1" ]; do shift; done
mkdir -p "$(dirname "$2")"; if [ -d "$2" ]; then cp -r "$1"/* "$2"; else cp -r "$1" "$2"; fi
"""
TOOLKIT = """\
#!/bin/sh
if [ "$1" = report ]; then shift 2; echo "joins $*"; [ $# = 3 ] || exit 6; exit 0; fi
echo "$4" > "${6#json=}"; [ "$4" != 2 ] || exit 6
"""


def parsed(shards: int) -> Any:
    return YAML(typ="safe", pure=True).load(render_shard_batch(shards))


def test_the_joining_build_waits_for_every_shard_and_no_failure_stops_another() -> None:
    batch = parsed(3)["batch"]
    assert batch["fast-fail"] is False
    *shards, report = batch["build-graph"]
    assert [one["identifier"] for one in shards] == report["depend-on"] == ["shard_1", "shard_2", "shard_3"]
    assert [one["env"]["variables"]["SHARD"] for one in shards] == ["1", "2", "3"]
    assert all(one["ignore-failure"] for one in shards)
    assert "ignore-failure" not in report


@pytest.mark.parametrize(
    ("killed", "code", "joined"), [(None, 0, "1.json results/2.json results/3.json"), ("3", 6, "2.json")]
)
def test_the_builds_end_well_and_the_joining_one_says_what_is_missing(
    tmp_path: Path, killed: str | None, code: int, joined: str
) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "plan.toolkit").write_text("the plan")
    for name, text in (("aws", AWS), ("toolkit", TOOLKIT)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    document = parsed(3)
    (command,) = document["phases"]["build"]["commands"]
    for build in document["batch"]["build-graph"]:
        variables = build["env"]["variables"]
        if variables["SHARD"] == killed:
            continue
        folder = tmp_path / build["identifier"]
        folder.mkdir()
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", PLACE_VARIABLE: str(bucket), **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == (code if variables["SHARD"] == "report" else 0), done.stderr
    assert done.stdout.strip().endswith(joined)


def test_a_batch_has_no_more_builds_than_codebuild_takes() -> None:
    assert len(parsed(99)["batch"]["build-graph"]) == 100
    with pytest.raises(Refused, match="at most 100 builds"):
        render_shard_batch(100)
