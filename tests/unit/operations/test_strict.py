"""Risks of a manifest are notices of `validate` and `plan`, and refusals with `--strict`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import World, desired
from tests.support.toolkit_run import Toolkit
from toolkit.errors import Refused
from toolkit.operations.guards import refuse_if_unsafe
from toolkit.operations.plan import plan_manifest
from toolkit.plan.model import Notice

RISK = Notice("risk.wide_rights", "`builds.web.policy_statements[0]` allows `iam:PassRole`", "name the ARNs")
MANIFEST = """\
version: 1
name: acme
aws: {region: eu-west-1}
images: [nginx:1.16]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
    environment_variables: {DB_PASSWORD: hunter2}
"""


def test_a_risk_is_a_notice_of_the_plan_and_with_strict_a_refusal(tmp_path: Path) -> None:
    world = World(tmp_path)
    wanted = replace(desired(*world.names), risks=(RISK,))
    plan = plan_manifest(wanted, world.services).plan
    assert (plan.notices, plan.refusals) == ((RISK,), ())

    plan = plan_manifest(wanted, world.services, is_strict=True).plan
    assert plan.notices == ()
    with pytest.raises(Refused, match="allows `iam:PassRole`") as refused:
        refuse_if_unsafe(plan)
    assert refused.value.code == "risk.wide_rights"


@pytest.mark.parametrize("form", ["text", "json", "json-lines"])
def test_validate_names_a_risk_and_refuses_it_with_strict(tmp_path: Path, form: str) -> None:
    (tmp_path / "images.yaml").write_text(MANIFEST)
    toolkit = Toolkit(tmp_path)
    shown = toolkit.run("validate", "--format", form).expect(0)
    assert "risk.plain_secret" in shown.stdout
    refused = toolkit.run("validate", "--strict", "--format", form).expect(7)
    assert "risk.plain_secret" in refused.stdout
    assert "[risk.plain_secret]" in refused.stderr or form == "json-lines"
    assert "hunter2" not in shown.stdout + shown.stderr + refused.stdout + refused.stderr
    if form == "json":
        assert [notice["code"] for notice in json.loads(shown.stdout)["manifest"]["notices"]] == ["risk.plain_secret"]
        assert json.loads(refused.stdout)["error"]["code"] == "risk.plain_secret"
