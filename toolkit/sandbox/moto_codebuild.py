"""moto's CodeBuild, completed so that projects keep what they were given and can be updated.

Changed on moto's own classes, for the server process only. moto drops half of a project's fields, knows no
UpdateProject, and refuses sources and environments that AWS takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from moto.codebuild import exceptions, responses
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import unix_time
from moto.utilities.utils import get_partition

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,149}")
_WITHOUT_LOCATION = frozenset({"NO_SOURCE", "CODEPIPELINE"})
_SOURCES = frozenset(
    {"BITBUCKET", "CODECOMMIT", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED", "S3"}
    | _WITHOUT_LOCATION
)
_NOT_AS_SENT = frozenset({"badgeEnabled", "environment", "name"})
# What AWS fills in for a project that does not say.
_DEFAULTS: Mapping[str, Any] = {
    "timeoutInMinutes": 60,
    "queuedTimeoutInMinutes": 480,
    "cache": {"type": "NO_CACHE"},
    "projectVisibility": "PRIVATE",
    "logsConfig": {
        "cloudWatchLogs": {"status": "ENABLED"},
        "s3Logs": {"status": "DISABLED", "encryptionDisabled": False},
    },
}
_ENVIRONMENT_DEFAULTS: Mapping[str, Any] = {
    "environmentVariables": [],
    "privilegedMode": False,
    "imagePullCredentialsType": "CODEBUILD",
}


def complete_codebuild() -> None:
    """Change moto's classes."""
    responses._validate_required_params_project_name = _check_name
    responses.CodeBuildResponse.create_project = _create_project
    responses.CodeBuildResponse.update_project = _update_project
    responses.CodeBuildResponse.delete_project = _delete_project


def _create_project(response: Any) -> Any:
    asked = json.loads(response.body)
    name = asked["name"]
    _check_name(name)
    _check(response, asked)
    backend = response.codebuild_backend
    if name in backend.codebuild_projects:
        arn = backend.codebuild_projects[name].arn
        raise exceptions.ResourceAlreadyExistsException(f"Project already exists: {arn}")
    backend.create_project(
        project_name=name,
        description=None,
        project_source=asked["source"],
        artifacts=asked["artifacts"],
        environment=asked["environment"],
        service_role=asked["serviceRole"],
        tags=None,
        cache=None,
        timeout=None,
        queued_timeout=None,
        source_version=None,
        logs_config=None,
        vpc_config=None,
    )
    project = backend.codebuild_projects[name]
    project.project_metadata |= _DEFAULTS
    return _keep(response, project, asked)


def _update_project(response: Any) -> Any:
    asked = json.loads(response.body)
    name = _bare(asked["name"])
    project = response.codebuild_backend.codebuild_projects.get(name)
    if project is None:
        region, account = response.region, response.current_account
        arn = f"arn:{get_partition(region)}:codebuild:{region}:{account}:project/{name}"
        raise exceptions.ResourceNotFoundException(f"Project cannot be found: {arn}")
    _check(response, asked)
    return _keep(response, project, asked)


def _delete_project(response: Any) -> Any:
    response.codebuild_backend.delete_project(_bare(json.loads(response.body)["name"]))
    return EmptyResult()


def _keep(response: Any, project: Any, asked: Mapping[str, Any]) -> Any:
    """Let `project` have every field that was sent; those that were not stay as they are."""
    kept = project.project_metadata
    # A fresh dictionary: others may be reading the old one.
    fresh = kept | {name: value for name, value in asked.items() if name not in _NOT_AS_SENT}
    if "environment" in asked:
        fresh["environment"] = _ENVIRONMENT_DEFAULTS | asked["environment"]
    if "badgeEnabled" in asked:
        fresh["badge"] = _badge(response.region, fresh["name"], asked["badgeEnabled"])
    fresh = {name: value for name, value in fresh.items() if value != ""}  # an empty text takes a field back
    if "encryptionKey" not in fresh:
        region, account = response.region, response.current_account
        fresh["encryptionKey"] = f"arn:{get_partition(region)}:kms:{region}:{account}:alias/aws/s3"
    fresh["lastModified"] = unix_time()
    project.project_metadata = fresh
    project.service_role = fresh["serviceRole"]
    project.tags = fresh.get("tags")
    return ActionResult({"project": fresh})


def _badge(region: str, name: str, enabled: bool) -> dict[str, Any]:
    url = f"https://codebuild.{region}.amazonaws.com/badges?uuid=sandbox-{name}&branch=master"
    return {"badgeEnabled": enabled} | ({"badgeRequestUrl": url} if enabled else {})


def _check(response: Any, asked: Mapping[str, Any]) -> None:
    """Refuse what AWS refuses of the fields that were sent."""
    if "serviceRole" in asked:
        responses._validate_required_params_service_role(
            response.current_account, response.region, asked["serviceRole"]
        )
    source = asked.get("source")
    if source is not None:
        if source["type"] not in _SOURCES:
            raise exceptions.InvalidInputException("Invalid type provided: Project source type")
        if source["type"] not in _WITHOUT_LOCATION and not source.get("location"):
            raise exceptions.InvalidInputException("Project source location is required")
        if source["type"] == "NO_SOURCE" and not source.get("buildspec"):
            raise exceptions.InvalidInputException("Project source type NO_SOURCE requires a buildspec")
    artifacts = asked.get("artifacts")
    if artifacts is not None and (artifacts["type"] == "CODEPIPELINE") != (
        (source or artifacts)["type"] == "CODEPIPELINE"
    ):
        raise exceptions.InvalidInputException("Invalid artifacts: CODEPIPELINE goes with a CODEPIPELINE source only")
    if artifacts is not None and artifacts["type"] == "NO_ARTIFACTS" and artifacts.get("location"):
        raise exceptions.InvalidInputException(
            "Invalid artifacts: artifact type NO_ARTIFACTS should have null location"
        )
    for name, least, most in (("timeoutInMinutes", 5, 2160), ("queuedTimeoutInMinutes", 5, 480)):
        if name in asked and not least <= asked[name] <= most:
            raise exceptions.InvalidInputException(f"Invalid {name}: must be between {least} and {most}")


def _bare(name: str) -> str:
    """AWS takes a project's ARN for its name."""
    return name.rpartition(":project/")[2]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(_bare(name)):
        raise exceptions.InvalidInputException("Only alphanumeric characters, dash, and underscore are supported")
