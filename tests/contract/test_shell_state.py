"""What the reader knows of a script is what bash does: scripts at random, run and read."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from pathlib import Path
from posixpath import normpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.real_parts import require
from toolkit.codebuild.docker_commands import CommandReader

START = "a/b/a/b/a/b"
# `docker` tells its image and its folder; what is pulled and where it is built is what has to be known.
PROLOGUE = """\
exec 3>&1 >/dev/null 2>&1
docker() { if [ "$1" = pull ]; then echo "pull $2 $PWD"; else echo "build $3 $PWD"; fi >&3; }
export -f docker
"""
PROBES = ["docker pull ID:${V:-0}", "docker build -t ID .", "x=$(docker pull ID:${V:-0})"]
SIMPLE = [*PROBES, "V=1", "V=2", "export V=3", "export V", "unset V", "V+=1", "V=$(echo 7)", "V=4 W=2", "read V <<< 3"]
SIMPLE += ["cd a", "cd ..", "pushd b", "popd", "cd a || cd b", "[ 1 = 2 ] && V=2", "[ 1 = 1 ] && cd b", "false || V=9"]
SIMPLE += ["true || V=8", "export W V=6 W", "true # a comment \\", "echo 'if (' \"do\"", "set -a"]
CONDITIONS = ["true", "false", "[ 1 = 2 ]", "! true", "true && false", "cd a", "V=5"]
# `S` is for a script, `C` for a condition; a loop runs once at the most.
COMPOUND = ["S\nS", "S\nS\nS", "if C; then S\nfi", "if C\nthen\nS\nelif C; then S\nelse S\nfi", "{ S\n}", "(S)"]
COMPOUND += [
    "case a in a) S ;; (b|d)\nS;; *) S\nesac",
    "case c in a) S ;; (b|d)\nS;; *) S\nesac",
    "case b in a) S;; esac",
]
COMPOUND += ["for V in; do S\ndone", "for V in 7; do S\ndone", "C && { S\n}", "C || { S\n}", "f() { S\n}"]
COMPOUND += [f"bash <<'E'\n{one}\nE" for one in SIMPLE]


@st.composite
def scripts(draw: st.DrawFn, depth: int = 4) -> str:
    """A script in which each way of bash is as likely as another."""
    text = draw(st.sampled_from(SIMPLE if depth == 0 else COMPOUND if depth > 2 else [*SIMPLE, *COMPOUND]))
    text = re.sub(r"\bS\b", lambda _: draw(scripts(depth - 1)), text)
    return re.sub(r"\bC\b", lambda _: draw(st.sampled_from(CONDITIONS)), text)


@pytest.fixture(scope="module")
def bash() -> str:
    return require("bash")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    for names in itertools.product("ab", repeat=4):
        (root / START).joinpath(*names).mkdir(parents=True)
    return root


@settings(max_examples=100)
@given(script=st.lists(scripts(), min_size=1, max_size=3).map(lambda parts: "\n".join([*parts, *PROBES])))
def test_what_is_known_of_a_script_is_what_bash_does(script: str, bash: str, folder: Path) -> None:
    numbers = itertools.count(1)
    script = re.sub("ID", lambda _: f"id{next(numbers)}", script)
    run = subprocess.run(
        [bash, "-c", PROLOGUE + script], cwd=folder / START, capture_output=True, text=True, check=False
    )
    reader = CommandReader({})
    reader.read(script)
    reading = reader.reading
    pulled = {one.written.partition(":")[0]: one for one in reading.images}
    built = {one.tags[0]: normpath(one.context) for one in reading.builds}
    for line in run.stdout.splitlines():
        command, name, where = line.split(" ", 2)
        if command == "pull":
            image = pulled[name.partition(":")[0]]
            assert image.unset or image.name == name
        elif name in built:
            assert built[name] == os.path.relpath(where, folder / START)
        else:
            assert any(trouble.is_fault for trouble in reading.troubles)
