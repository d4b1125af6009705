from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from toolkit.manifest.model import json_schema

BUILD = {"name": "web", "source": {"type": "S3", "location": "bucket/key"}, "images": ["a:1"]}
HEAD = {"version": 1, "name": "platform", "aws": {"region": "eu-west-1"}}


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_short_forms_are_in_the_schema() -> None:
    manifest = {
        **HEAD,
        "platforms": "all",
        "images": [
            "nginx:1.16",
            {"source": "python", "tags": ["3.12"], "platforms": ["linux/arm64"]},
            {"source": "nginx", "tags": {"versions": ">=1 <2", "keep": 3}},
        ],
        "registries": {"docker.io": {"credential": "docker-config"}},
        "builds": [
            {
                "name": "web",
                "source": {"type": "S3", "location": "bucket/key"},
                "images": ["nginx:1.16"],
                "environment_variables": {
                    "A": "a",
                    "B": {"value": "b"},
                    "P": {"parameter": "/p"},
                    "S": {"secret": "s"},
                },
            }
        ],
    }
    Draft202012Validator(json_schema()).validate(manifest)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"name": "Platform"},
        {"images": [{"tags": ["1"]}]},
        {"images": [{"source": "a:1", "tag": "1"}]},
        {"images": [{"source": "a", "tags": {}}]},
        {"images": [{"source": "a", "tags": {"glob": "1", "regex": "1"}}]},
        {"images": [{"source": "a", "tags": {"glob": "1", "keep": 0}}]},
        {"platforms": "some"},
        {"registries": {"docker.io": {"credential": {"env": {"username": "U"}}}}},
        {"registries": {"docker.io": {"credential": {}}}},
        {"builds": [{"name": "web", "source": {"type": "GIT"}, "images": ["a:1"]}]},
        {"builds": [{**BUILD, "environment_variables": {"A": {"parameter": "/a", "secret": "b"}}}]},
        {"builds": [{**BUILD, "vpc": {"id": "vpc-0a1b2c3d", "subnets": [], "security_groups": ["sg-0a1b2c3d"]}}]},
        {"builds": [{**BUILD, "webhook": {"filter_groups": [[]]}}]},
        {"repository": {}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(change: dict[str, object]) -> None:
    manifest = {**HEAD, "images": ["a:1"], **change}
    assert list(Draft202012Validator(json_schema()).iter_errors(manifest))


def test_overrides_promise_no_defaults_of_their_own() -> None:
    override = json_schema()["$defs"]["RepositoryOverrideSpec"]["properties"]
    assert not [name for name, field in override.items() if "default" in field]


def test_every_field_is_described() -> None:
    schema = json_schema()
    fields = [
        (name, field)
        for model in (schema, *schema["$defs"].values())
        for form in (model, *model.get("anyOf", ()))
        for name, field in form.get("properties", {}).items()
    ]
    assert len(fields) > 50
    assert [name for name, field in fields if not field.get("description")] == []


@pytest.mark.parametrize("example", ["quickstart", "complete"])
def test_the_examples_follow_the_schema(example: str) -> None:
    path = Path(__file__).parents[3] / "examples" / example / "images.yaml"
    Draft202012Validator(json_schema()).validate(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))


def test_importing_the_package_costs_no_pydantic() -> None:
    code = "import sys, toolkit.manifest; print([m for m in ('pydantic', 'ruamel.yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
