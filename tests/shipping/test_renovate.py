"""`renovate/base-images.json`: its expressions, run fast in Python, and by Renovate itself where `make test-renovate` put it.

JSONata in Python is a port of the reference implementation, which Renovate runs. Expressions of Renovate are those of RE2:
no look-around, no back-references.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import regex
from jsonata import Jsonata
from ruamel.yaml import YAML

from tests.shipping import renovate
from tests.support.sandbox import running_sandbox
from toolkit.manifest.loader import load

ROOT = Path(__file__).parents[2]
PRESET = json.loads((ROOT / "renovate/base-images.json").read_text(encoding="utf-8"))
MANIFESTS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("examples/*/**/images.yaml"))
OURS, VERSION = PRESET["customManagers"]
needs_renovate = pytest.mark.skipif(
    not renovate.is_here(), reason="Renovate is not here: `make test-renovate` fetches it"
)


def dependencies(manifest: Any) -> list[dict[str, str]]:
    """What Renovate's manager `jsonata` makes of a manifest, without what is no dependency for it."""
    found: list[dict[str, str | None]] = []
    for query in OURS["matchStrings"]:
        result = Jsonata.jsonata(query).evaluate(manifest) or []
        found += result if isinstance(result, list) else [result]
    given = [{key: value for key, value in one.items() if value is not None} for one in found]
    return [one for one in given if "currentValue" in one or "currentDigest" in one]


def read(path: str) -> Any:
    return YAML(typ="safe").load(ROOT / path)


@pytest.mark.parametrize("path", MANIFESTS)
def test_finds_every_image_of_a_manifest(path: str) -> None:
    found = {
        (one["depName"].removeprefix("docker.io/library/"), one["currentValue"]) for one in dependencies(read(path))
    }
    wanted = set()
    for image in load(ROOT / path).images:
        if not isinstance(image.tags, tuple):
            wanted |= {(image.source, image.tags.versions)} if image.tags.versions else set()
            continue
        for name in [f"{image.source}:{tag}" for tag in image.tags] or [image.source]:
            repository, _, tag = name.partition("@")[0].rpartition(":")
            wanted.add((repository, tag))
    assert found == wanted


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("nginx:1.27", [{"depName": "nginx", "currentValue": "1.27"}]),
        ({"source": "quay.io/a/b:v1"}, [{"depName": "quay.io/a/b", "currentValue": "v1"}]),
        (
            f"localhost:5000/a@sha256:{'0' * 64}",
            [{"depName": "localhost:5000/a", "currentDigest": f"sha256:{'0' * 64}"}],
        ),
        (
            f"nginx:1.27@sha256:{'0' * 64}",
            [{"depName": "nginx", "currentValue": "1.27", "currentDigest": f"sha256:{'0' * 64}"}],
        ),
        (
            {"source": "python", "tags": ["3.12", "3.13"]},
            [{"depName": "python", "currentValue": "3.12"}, {"depName": "python", "currentValue": "3.13"}],
        ),
        (
            {"source": "redis", "tags": {"versions": ">=7 <9"}},
            [
                {"depName": "redis", "currentValue": ">=7 <9", "depType": "versions", "versioning": "npm"}
                | {"extractVersion": r"^v?(?<version>\d+(\.\d+)*)$"}
            ],
        ),
        ({"source": "redis", "tags": {"glob": "7.*"}}, []),
    ],
)
def test_finds_an_image_in_each_of_its_forms(image: object, found: list[dict[str, str]]) -> None:
    assert dependencies({"version": 1, "aws": {"region": "eu-west-1"}, "images": [image]}) == found
    assert dependencies({"version": 1, "images": [image]}) == [], "images.yaml of another program"


def test_finds_what_a_build_runs_in() -> None:
    builds = [{"environment_image": "mirror:docker:28-cli"}, {"environment_image": "aws/codebuild/standard:8.0"}]
    found = dependencies({"version": 1, "aws": {"region": "eu-west-1"}, "images": [], "builds": builds})
    assert found == [{"depName": "docker", "currentValue": "28-cli"}]


PIPELINES = [
    'TOOLKIT_VERSION: "0.1.0"',
    "TOOLKIT_VERSION=0.1.0",
    "TOOLKIT_VERSION = '0.1.0'",
    "ARG TOOLKIT_VERSION=0.1.0",
    'pip install "base-image-toolkit==0.1.0"',
    "pip install base-image-toolkit[sandbox]==0.1.0",
]


@pytest.mark.parametrize("line", PIPELINES)
def test_finds_the_version_of_the_toolkit(line: str) -> None:
    found = [one for pattern in VERSION["matchStrings"] for one in regex.finditer(pattern, line)]
    assert [one["currentValue"] for one in found] == ["0.1.0"]


def expressions(node: Any) -> Iterator[str]:
    """Every regular expression of the preset that Renovate gives to RE2."""
    if isinstance(node, dict):
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)
    elif isinstance(node, str) and re.fullmatch(r"/.*/", node):
        yield node[1:-1]


def test_has_expressions_that_re2_takes() -> None:
    for pattern in (*expressions(PRESET), *VERSION["matchStrings"]):
        regex.compile(pattern)
        assert not re.search(r"\(\?(?!<[a-zA-Z]|:)|\\[1-9]", pattern), pattern


@pytest.mark.parametrize(
    ("name", "is_aged"),
    [
        *(("nginx", True), ("acme/web", True), ("docker.io/library/nginx", True), ("index.docker.io/acme/web", True)),
        *(("quay.io/a/b", False), ("ghcr.io/a", False), ("localhost:5000/a", False)),
    ],
)
def test_waits_for_images_whose_age_is_known(name: str, is_aged: bool) -> None:
    (rule,) = [rule for rule in PRESET["packageRules"] if "minimumReleaseAge" in rule]
    assert any(regex.search(pattern[1:-1], name) for pattern in rule["matchPackageNames"]) is is_aged


def test_is_a_configuration_for_the_schema_store() -> None:
    command = ["check_jsonschema", "--builtin-schema", "vendor.renovate", str(ROOT / "renovate/base-images.json")]
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@needs_renovate
def test_is_valid_for_renovate(tmp_path: Path) -> None:
    folder = tmp_path / "preset"
    folder.mkdir()
    shutil.copy(ROOT / "renovate/base-images.json", folder)
    done = renovate.run("config-validator", "--strict", "base-images.json", folder=folder)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@needs_renovate
def test_has_renovate_find_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    shutil.copytree(ROOT / "examples", folder)
    (folder / "renovate.json").write_text(json.dumps(PRESET))
    log = renovate.run_on(folder, "--dry-run=extract")
    (files,) = [line["packageFiles"] for line in log if "packageFiles" in line]
    keys = ("depName", "currentValue", "currentDigest", "depType", "versioning", "extractVersion")
    for path in MANIFESTS:
        (own,) = [one for one in files["jsonata"] if f"examples/{one['packageFile']}" == path]
        found = [{key: dep[key] for key in keys if key in dep} for dep in own["deps"]]
        assert found == dependencies(read(path)), path
    named = {
        (one["packageFile"], dep["depName"], dep["currentValue"]) for one in files["dockerfile"] for dep in one["deps"]
    }
    assert ("service/Dockerfile", "node", "22-alpine") in named
    versions = {dep["depName"] for one in files.get("regex", []) for dep in one["deps"]}
    assert versions == {"base-image-toolkit"}


DOCKERFILE = "FROM nginx:1.27-alpine\n"
MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images:
  - nginx:1.27-alpine
  - alpine:3.20.0@DIGEST
  - {source: python, tags: ["3.12.1-slim"]}
  - {source: redis, tags: {versions: ">=7.2 <9", suffix: alpine}}
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/shop.git"}
    images: [nginx:1.27-alpine]
"""
UPSTREAM = [
    *("nginx:1.27-alpine", "nginx:1.28-alpine", "alpine:3.20.0", "alpine:3.20.1"),
    *("python:3.12.1-slim", "python:3.12.2-slim", "redis:8.0.0-alpine", "redis:9.0.1-alpine"),
]


@pytest.mark.slow
@needs_renovate
def test_moves_dockerfile_and_manifest_in_one_pull_request(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    with running_sandbox(tmp_path / "sandbox", UPSTREAM) as sandbox:
        digest = sandbox.bump("alpine:3.20.0")
        (folder / "Dockerfile").write_text(DOCKERFILE)
        (folder / "images.yaml").write_text(MANIFEST.replace("DIGEST", digest))
        # The sandbox's Docker Hub, which says nothing about ages; the last rule wins.
        hub = sandbox.status.docker_hub_endpoint.replace("http:", "https:")
        here = {"matchDatasources": ["docker"], "registryUrls": [f"{hub}/library"], "minimumReleaseAge": None}
        rules = {"packageRules": [*PRESET["packageRules"], here]}
        host = {"matchHost": hub, "hostType": "docker", "insecureRegistry": True}
        whole = {**PRESET, **rules, "hostRules": [host], "extends": ["config:best-practices"]}
        (folder / "renovate.json").write_text(json.dumps(whole))
        log = renovate.run_on(folder)
    (found,) = [line["config"] for line in log if line["msg"] == "packageFiles with updates"]
    updates = [
        (update["branchName"], one["packageFile"], dep["currentValue"], update["newValue"], "newDigest" in update)
        for manager in ("dockerfile", "jsonata")
        for one in found[manager]
        for dep in one["deps"]
        for update in dep["updates"]
    ]
    nginx = ("1.27-alpine", "1.28-alpine", False)
    assert sorted(updates) == sorted(
        [
            ("renovate/base-image-nginx", "Dockerfile", *nginx),
            *[("renovate/base-image-nginx", "images.yaml", *nginx)] * 2,
            ("renovate/base-image-alpine", "images.yaml", "3.20.0", "3.20.1", True),
            ("renovate/base-image-python", "images.yaml", "3.12.1-slim", "3.12.2-slim", False),
            ("renovate/major-base-image-redis", "images.yaml", ">=7.2 <9", "<10", False),
        ]
    )
