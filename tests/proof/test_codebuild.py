"""The stand-in for CodeBuild keeps CodeBuild's rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.proof.codebuild import BuildContainer, BuildRun


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/below").mkdir(parents=True)
    (tmp_path / "state").mkdir()
    return tmp_path / "source"


def build(source: Path, phases: dict[str, list[str]], **more: Any) -> BuildRun:
    document = {"version": 0.2, "phases": {name: {"commands": commands} for name, commands in phases.items()}} | more
    variables = {"PATH": "/usr/bin:/bin", "FROM_PROJECT": "project"}
    return BuildContainer(source.parent / "state", source, variables).run(json.dumps(document))


def test_phases_run_in_their_order_whatever_the_file_has(source: Path) -> None:
    run = build(source, {"post_build": ["echo 4"], "build": ["echo 3"], "pre_build": ["echo 2"], "install": ["echo 1"]})
    assert run.output.split() == ["1", "2", "3", "4"]


def test_carries_over_exports_and_the_folder(source: Path) -> None:
    run = build(
        source,
        {
            "pre_build": ["export KEPT='a\nb'; LOST=1; lost() { echo lost; }; set -eu; cd below"],
            "build": ['echo "$KEPT" "${LOST:-gone}" "$(pwd)"; lost || echo none'],
        },
    )
    assert run.output.replace("\n", " ").startswith(f"a b gone {source}/below")
    assert run.output.endswith("none\n")


def test_a_projects_variable_goes_before_the_buildspecs(source: Path) -> None:
    run = build(
        source, {"build": ["echo $FROM_PROJECT $OWN"]}, env={"variables": {"FROM_PROJECT": "file", "OWN": "file"}}
    )
    assert run.output == "project file\n"


def test_ends_the_phase_of_a_failed_command(source: Path) -> None:
    run = build(
        source, {"pre_build": ["exit 3", "echo not me"], "build": ["echo nor me"], "post_build": ["echo nor me"]}
    )
    assert [(phase.name, phase.status) for phase in run.phases] == [("pre_build", 3)]
    assert not run.succeeded and run.output == ""


def test_runs_post_build_after_a_failed_build(source: Path) -> None:
    run = build(source, {"build": ["false"], "post_build": ["echo $CODEBUILD_BUILD_SUCCEEDING"]})
    assert [(phase.name, phase.status) for phase in run.phases] == [("build", 1), ("post_build", 0)]
    assert run.output == "0\n" and not run.succeeded
