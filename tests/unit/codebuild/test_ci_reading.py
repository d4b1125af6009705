"""Images that the runners of other CI systems pull."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from toolkit.codebuild.ci_reading import is_ci, read_ci

HEAD = "jobs:\n  test:\n"


def found(text: str, *, is_gitlab: bool = False) -> list[str]:
    reading = read_ci(text, is_gitlab=is_gitlab)
    return [f"{image.line} {image.name if not image.unset else '?' + image.written}" for image in reading.images]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("    container: node:20\n", ["3 node:20"]),
        ("    container: {image: node:20}\n", ["3 node:20"]),
        ("    services:\n      db:\n        image: postgres:16\n", ["5 postgres:16"]),
        ("    steps:\n      - uses: docker://alpine:3\n      - uses: actions/checkout@v4\n", ["4 alpine:3"]),
        (
            "    strategy: {matrix: {v: [15, 16]}}\n    services: {db: {image: 'postgres:${{ matrix.v }}'}}\n",
            ["4 postgres:15", "4 postgres:16"],
        ),
        (
            "    strategy: {matrix: {include: [{v: 15}, {v: 16}]}}\n    services: {db: {image: 'p:${{matrix.v}}'}}\n",
            ["4 p:15", "4 p:16"],
        ),
        ("    services: {db: {image: '${{ inputs.image }}'}}\n", ["3 ?${{ inputs.image }}"]),
        ("    strategy: {matrix: '${{ x }}'}\n    container: 'n:${{ matrix.v }}'\n", ["4 ?n:${{ matrix.v }}"]),
        ("    container: ''\n    services: {a: {image: ''}, b: null}\n", []),
        ("    uses: ./.github/workflows/other.yml\n", []),
    ],
)
def test_reads_the_jobs_of_github(text: str, expected: list[str]) -> None:
    assert found(HEAD + text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image: ruby:3\n", ["1 ruby:3"]),
        ("default:\n  image: {name: ruby:3}\n", ["2 ruby:3"]),
        ("t:\n  services:\n    - postgres:16\n    - name: redis:7\n", ["3 postgres:16", "4 redis:7"]),
        ("variables: {V: '16'}\nt: {image: 'postgres:$V'}\n", ["2 postgres:16"]),
        ("variables: {V: '16'}\nt: {image: 'postgres:$V', variables: {V: {value: '15'}}}\n", ["2 postgres:15"]),
        ("t: {image: $CI_REGISTRY_IMAGE/x}\n", ["1 ?$CI_REGISTRY_IMAGE/x"]),
        (".base: {image: a:1}\nt: {image: !reference [.base, image]}\n", ["1 a:1"]),
        ("stages: [test]\ninclude: [{local: x.yml}]\n", []),
    ],
)
def test_reads_the_jobs_of_gitlab(text: str, expected: list[str]) -> None:
    assert found(text, is_gitlab=True) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".github/workflows/ci.yml", True),
        ("sub/.github/workflows/ci.YAML", True),
        (".github/dependabot.yml", False),
        ("workflows/ci.yml", False),
        (".gitlab-ci.yml", True),
        ("ci/deploy.gitlab-ci.yml", True),
        ("gitlab.yml", False),
    ],
)
def test_knows_the_files_by_their_names(path: str, expected: bool) -> None:
    assert is_ci(PurePath(path)) is expected
