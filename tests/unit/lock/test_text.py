"""The text of a lock: there and back, comments, Git, and every way in which it can be damaged."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import ManifestUnusable
from toolkit.lock.model import Admitted, Hold, Lock, LockedTag, Sighting
from toolkit.lock.text import read_lock, write_lock
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


def seen(name: str) -> Sighting:
    return Sighting(Digest.of(name.encode()), NOON)


def tag(name: str, digest: str = "1") -> LockedTag:
    return LockedTag(Reference.parse(f"{name}:1"), Admitted(seen(digest), NOON))


def lock(*names: str) -> dict[str, LockedTag]:
    return {f"hub/{name}:1": tag(name) for name in names}


DIGESTS = st.sampled_from([str(number) for number in range(20)])
TIMES = st.integers(0, 10**9).map(lambda seconds: NOON + timedelta(seconds=seconds))
SIGHTINGS = st.builds(
    Sighting,
    DIGESTS.map(lambda name: Digest.of(name.encode())),
    TIMES,
    st.sampled_from([(), (Platform("linux", "amd64"), Platform("windows", "amd64", os_version="10.0.1"))]),
    st.none() | st.integers(0, 10**12),
)
ADMITTED = st.builds(Admitted, SIGHTINGS, TIMES)
HOLDS = st.builds(Hold, st.text("ab \"'#:\\{\u2028é\n", min_size=1), st.none() | TIMES)


@st.composite
def tags(draw: st.DrawFn) -> LockedTag:
    candidates = draw(st.lists(SIGHTINGS, max_size=3, unique_by=lambda one: one.digest))
    admitted = draw(st.none() | ADMITTED)
    if admitted:
        candidates = [one for one in candidates if one.digest != admitted.digest]
    return LockedTag(
        Reference.parse("nginx:1"),
        admitted,
        tuple(candidates),
        tuple(draw(st.lists(ADMITTED, max_size=2))),
        draw(st.none() | HOLDS),
    )


LOCKS = st.dictionaries(st.sampled_from(["a:1", "b/c:2.0", "d:latest"]), tags())


@given(LOCKS, LOCKS)
def test_reads_back_what_was_written_also_over_another_lock(first: Lock, second: Lock) -> None:
    text = write_lock(first)
    assert read_lock(text, "lock") == first
    assert read_lock(write_lock(second, text), "lock") == second
    assert write_lock(first, text) == text


@given(LOCKS, st.data())
def test_reads_a_text_that_is_nearly_as_written_as_any_other(lock: Lock, data: st.DataObject) -> None:
    """A comment behind `images:` makes ruamel read it."""
    lines = write_lock(lock).splitlines(keepends=True)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(2, len(lines) - 1))
        line, column = lines[at], data.draw(st.integers(0, len(lines[at])))
        inserted = [line[:column] + sign + line[column:] for sign in (" ", "#", '"', "0", "\n", "- ", ": ", "\u2028")]
        changed = ["", line + line, lines[-1], line[:column] + line[column + 1 :], *inserted]
        lines[at] = data.draw(st.sampled_from(changed))
    text = "".join(lines)
    assert _outcome(text) == _outcome(re.sub(r"(?m)^images:$", "images: # ruamel", text))


def _outcome(text: str) -> object:
    try:
        return read_lock(text, "lock")
    except ManifestUnusable as error:
        return error.code, error.issues


def test_keeps_every_comment_where_it_belongs() -> None:
    text = write_lock(lock("a", "c"))
    text = text.replace("  hub/c:1:", "  # ask Ann\n  hub/c:1:  # critical")
    text = text.replace("    source: docker.io/library/c:1", "    source: docker.io/library/c:1  # by hand")
    text = text.replace("    admitted:\n", "    # reviewed\n    admitted:\n") + "  # the end\n"
    text = "# ours\n" + text
    changed = write_lock({**lock("a", "b", "c"), "hub/c:1": tag("c", "2")}, text)
    a, b, c = changed.index("  hub/a:1:"), changed.index("  hub/b:1:"), changed.index("  # ask Ann\n  hub/c:1:  # crit")
    assert a < b < c
    assert changed.startswith("# ours\n")
    assert changed.endswith("  # the end\n")
    assert changed[c:].count("    source: docker.io/library/c:1  # by hand\n    # reviewed\n    admitted:\n") == 1
    assert changed[a:b] == text[text.index("  hub/a:1:") : text.index("  # ask Ann")]


def test_keeps_a_comment_whose_line_is_gone() -> None:
    text = write_lock({"a:1": replace(tag("a"), hold=Hold("x"))}).replace('"x"', '"x"  # told by Bob')
    assert "    # told by Bob\n" in write_lock({"a:1": tag("a")}, text)


def git(folder: Path, *arguments: str) -> int:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    return subprocess.run(["git", *name, *arguments], cwd=folder, check=False, capture_output=True).returncode


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"hub/b:1": tag("b", "2")}, {"hub/c:1": tag("c", "2")}),  # neighbours
        ({"hub/b:1": tag("b", "2")}, {"hub/bb:1": tag("bb")}),
        ({"hub/aa:1": tag("aa")}, {"hub/bb:1": tag("bb")}),
    ],
)
def test_merges_in_git_where_entries_differ(
    tmp_path: Path, ours: dict[str, LockedTag], theirs: dict[str, LockedTag]
) -> None:
    file = tmp_path / "images.lock.yaml"
    start = lock("a", "b", "c")
    text = write_lock(start)
    git(tmp_path, "init", "-q", "-b", "main")
    for branch, content in (("main", {}), ("ours", ours), ("theirs", theirs)):
        git(tmp_path, "checkout", "-q", "-b", branch, "main")
        file.write_text(write_lock({**start, **content}, text))
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", branch)
    git(tmp_path, "checkout", "-q", "ours")
    assert git(tmp_path, "merge", "-q", "--no-edit", "theirs") == 0
    assert read_lock(file.read_text(), "lock") == {**start, **ours, **theirs}


def test_names_every_fault_with_its_line() -> None:
    text = """\
lock_version: 1
images:
  nginx:
    source: nginx:1
  redis:7:
    admitted:
      digest: sha256:12
      first_seen: yesterday
      admitted: 2026-11-30T06:00:00Z
      size: -1
    note: mine
    previous: none
"""
    with pytest.raises(ManifestUnusable) as caught:
        read_lock(text, "l")
    assert caught.value.message == "`l` has 7 problems"
    assert [str(issue) for issue in caught.value.issues] == [
        "l:3: images.nginx: must be the `repository:tag` of an image in ECR",
        "l:5: images.redis:7: `source` is missing",
        "l:7: images.redis:7.admitted.digest: `sha256:12` is no digest: `sha256:` takes 64 lower-case hex digits",
        "l:8: images.redis:7.admitted.first_seen: `yesterday` is no time such as `2026-11-30T06:00:00Z`",
        "l:10: images.redis:7.admitted.size: must be a number of bytes",
        "l:11: images.redis:7.note: is not a field here",
        "l:12: images.redis:7.previous: must be a list",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "lock.foreign"),
        ("images: []\n", "lock.foreign"),
        ("[1]", "lock.foreign"),
        ("lock_version: 2\nimages: {}\nmore: 1\n", "lock.newer"),
        ("lock_version: true\nimages: {}\n", "lock.invalid"),
        ("lock_version: 1\n", "lock.invalid"),
        ("lock_version: 1\nimages: {a:1: null}\n", "lock.invalid"),
        ("lock_version: 1\nimages:\n<<<<<<< ours\n  a:1:\n", "lock.not_yaml"),
    ],
)
def test_refuses_what_is_no_lock(text: str, code: str) -> None:
    with pytest.raises(ManifestUnusable) as caught:
        read_lock(text, "lock")
    assert caught.value.code == code
