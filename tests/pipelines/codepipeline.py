"""CodePipeline's part: what Terraform plans for the module, and its builds run as CodeBuild runs their buildspecs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.pipelines.world import CREDENTIALS, KEY, REGION, World

ACCOUNT = "123456789012"
POLICIES = {
    verb: json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": verb, "Resource": "*"}]})
    for verb in ("ecr:DescribeRepositories", "ecr:CreateRepository")
}
INPUTS = {
    "connection_arn": f"arn:aws:codeconnections:{REGION}:{ACCOUNT}:connection/6b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e",
    "repository": "acme/base-images",
    "repository_url": "https://github.com/acme/base-images.git",
    "image": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/toolkit@sha256:{'0' * 64}",
    "plan_policy": POLICIES["ecr:DescribeRepositories"],
    "apply_policy": POLICIES["ecr:CreateRepository"],
    "plan_key_secret_arn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:plan-key-AbCdEf",
}


@dataclass(frozen=True)
class Build:
    """How a build ended."""

    result: str
    log: str
    artifacts: dict[str, bytes]
    variables: dict[str, str]


def plan_module(module: Path, folder: Path, world: World, mirror: str) -> dict[str, Any]:
    """The resources that real Terraform plans for `module`, by address."""
    folder.mkdir()
    for file in module.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "inputs.auto.tfvars.json").write_text(json.dumps(INPUTS))
    environment = {**world.sandbox.environment(), **CREDENTIALS, "AWS_REGION": REGION, "CHECKPOINT_DISABLE": "1"}
    environment.pop("TF_CLI_CONFIG_FILE", None)

    def terraform(*arguments: str) -> str:
        done = subprocess.run(
            ["terraform", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    terraform("init", "-input=false", f"-plugin-dir={mirror}")
    terraform("validate")
    # With the topic there, all that the approval shows is known to the plan.
    terraform("apply", "-input=false", "-auto-approve", "-target=aws_sns_topic.reviewers")
    terraform("plan", "-input=false", "-out=plan")
    document = json.loads(terraform("show", "-json", "plan"))
    return {
        one["address"]: one["values"]
        for one in document["planned_values"]["root_module"]["resources"]
        if "values" in one
    }


class Pipeline:
    """The planned pipeline in a world. `builds` are those of the last run, by action."""

    def __init__(self, resources: Mapping[str, Any], world: World) -> None:
        self.resources = resources
        self.world = world
        self.builds: dict[str, Build] = {}
        self._runs = 0

    def run(self, commit: str, approve: Callable[[str], bool]) -> str:
        """The name of the last action that was done. `approve` is given the text that the approval shows."""
        self._runs += 1
        self.builds = {}
        artifacts: dict[str, dict[str, bytes]] = {}
        variables: dict[str, str] = {}
        done = ""
        for stage in self.resources["aws_codepipeline.this"]["stage"]:
            [action] = stage["action"]
            configuration, name = action["configuration"], action["name"]
            if action["provider"] == "CodeStarSourceConnection":
                assert configuration["OutputArtifactFormat"] == "CODEBUILD_CLONE_REF", "CodeBuild gets a Git checkout"
            elif action["provider"] == "Manual":
                text = configuration["CustomData"]
                for reference in re.findall(r"#\{([\w.]+)\}", text):
                    text = text.replace(f"#{{{reference}}}", variables[reference])
                assert len(text) <= 1000
                if not approve(text):
                    return done
            else:
                build = self.build(configuration["ProjectName"], commit, action["input_artifacts"], artifacts)
                self.builds[name] = build
                if build.result == "FAILED":
                    return done
                for one in action["output_artifacts"] or []:
                    artifacts[one] = build.artifacts
                variables |= {f"{action['namespace']}.{key}": value for key, value in build.variables.items()}
            done = name
        return done

    def build(
        self, project: str, commit: str, inputs: list[str], artifacts: Mapping[str, Mapping[str, bytes]]
    ) -> Build:
        """Run the buildspec of a planned project, in a checkout of `commit`."""
        [planned] = [
            one
            for address, one in self.resources.items()
            if address.startswith("aws_codebuild_project.") and one["name"] == project
        ]
        spec = YAML(typ="safe", pure=True).load(planned["source"][0]["buildspec"])
        assert spec["env"]["shell"] == "bash"
        place = self.world.folder / f"{project}-{self._runs}"
        folder = self.world.checkout(place, commit)
        given = {one["name"]: one["value"] for one in planned["environment"][0]["environment_variable"]}
        assert given["TOOLKIT_PLAN_KEY"] == INPUTS["plan_key_secret_arn"]
        # The project's role.
        environment = {**given, **CREDENTIALS, "TOOLKIT_PLAN_KEY": KEY, "AWS_REGION": REGION}
        environment["CODEBUILD_BUILD_ID"] = f"{project}:1"
        for name in inputs[1:]:
            other = Path(f"{place}-{name}")
            other.mkdir()
            for file, content in artifacts[name].items():
                (other / file).write_bytes(content)
            environment[f"CODEBUILD_SRC_DIR_{name}"] = str(other)
        log, code, exported = "", 0, Path(f"{place}.environment")
        for phase in spec["phases"].values():
            for command in phase["commands"]:
                # A shell for each command; what it exported is there for the next.
                script = f"trap 'env -0 > \"{exported}\"' EXIT\n{command}"
                ran = self.world.run(script, folder, environment, ("bash", "-c"))
                log, code = log + ran.output, ran.code
                pairs = (pair.split("=", 1) for pair in exported.read_text().split("\0") if pair)
                environment |= dict(pairs)
                if code:
                    return Build("FAILED", log, {}, {})
        kept = {name: (folder / name).read_bytes() for name in spec.get("artifacts", {}).get("files", [])}
        variables = {name: environment[name] for name in spec["env"].get("exported-variables", [])}
        return Build("SUCCEEDED", log, kept, variables)
