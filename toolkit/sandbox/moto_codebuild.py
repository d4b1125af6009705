"""moto's CodeBuild and log groups, completed: projects keep their fields, can be updated and have webhooks.

The key of a log group can be changed and removed.

moto's own classes are changed, in the server process only. moto drops half of a project's fields, has no UpdateProject
and no webhooks, and refuses sources and environments that AWS accepts.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from moto.codebuild import exceptions, responses
from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import unix_time
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse
from moto.utilities.utils import get_partition

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,149}")
_WITHOUT_LOCATION = frozenset({"NO_SOURCE", "CODEPIPELINE"})
_SOURCES = frozenset(
    {"BITBUCKET", "CODECOMMIT", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED", "S3"}
    | _WITHOUT_LOCATION
)
_HOSTS = frozenset({"BITBUCKET", "GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED"})
"""Sources that have webhooks and receive the build status."""
_NOT_AS_SENT = frozenset({"artifacts", "badgeEnabled", "environment", "name"})
# The values by which a caller removes a field that is not a text.
_TAKEN_BACK: Mapping[str, Any] = {"buildBatchConfig": {}, "concurrentBuildLimit": -1, "vpcConfig": {}}
# The values that AWS fills in.
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
    responses.CodeBuildResponse.create_webhook = _create_webhook
    responses.CodeBuildResponse.update_webhook = _update_webhook
    responses.CodeBuildResponse.delete_webhook = _delete_webhook


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
    project = _project(response, asked["name"])
    _check(response, asked)
    return _keep(response, project, asked)


def _delete_project(response: Any) -> Any:
    response.codebuild_backend.delete_project(_bare(json.loads(response.body)["name"]))
    return EmptyResult()


def _create_webhook(response: Any) -> Any:
    asked = json.loads(response.body)
    project = _project(response, asked["projectName"])
    kept = project.project_metadata
    if "webhook" in kept:
        raise exceptions.ResourceAlreadyExistsException(f"Webhook already exists for project {kept['name']}")
    if kept["source"]["type"] not in _HOSTS:
        raise exceptions.InvalidInputException(f"Source type {kept['source']['type']} does not support webhooks")
    location = kept["source"]["location"].removesuffix(".git")
    webhook = {
        "url": f"{location}/hooks/1",
        "payloadUrl": f"https://codebuild.{response.region}.amazonaws.com/webhooks?t=sandbox-{kept['name']}",
        "lastModifiedSecret": unix_time(),
    }
    secret = {"secret": secrets.token_urlsafe(32)} if kept["source"]["type"] == "GITHUB_ENTERPRISE" else {}
    return _keep_webhook(project, webhook, asked, secret)


def _update_webhook(response: Any) -> Any:
    asked = json.loads(response.body)
    project = _webhook_owner(response, asked["projectName"])
    return _keep_webhook(project, project.project_metadata["webhook"], asked, {})


def _delete_webhook(response: Any) -> Any:
    project = _webhook_owner(response, json.loads(response.body)["projectName"])
    project.project_metadata = {name: value for name, value in project.project_metadata.items() if name != "webhook"}
    return EmptyResult()


def _keep_webhook(project: Any, webhook: Mapping[str, Any], asked: Mapping[str, Any], secret: Mapping[str, str]) -> Any:
    """Only the response to CreateWebhook has the secret."""
    for group in asked.get("filterGroups", ()):
        if [spec["type"] for spec in group].count("EVENT") != 1:
            raise exceptions.InvalidInputException("A filter group must contain exactly one EVENT filter")
    sent = {name: asked[name] for name in ("branchFilter", "buildType", "filterGroups") if name in asked}
    fresh: Mapping[str, Any] = {"buildType": "BUILD"} | {**webhook, **sent}
    project.project_metadata = project.project_metadata | {"webhook": fresh}
    return ActionResult({"webhook": {**fresh, **secret}})


def _project(response: Any, name: str) -> Any:
    project = response.codebuild_backend.codebuild_projects.get(_bare(name))
    if project is None:
        region, account = response.region, response.current_account
        arn = f"arn:{get_partition(region)}:codebuild:{region}:{account}:project/{_bare(name)}"
        raise exceptions.ResourceNotFoundException(f"Project cannot be found: {arn}")
    return project


def _webhook_owner(response: Any, name: str) -> Any:
    project = _project(response, name)
    if "webhook" not in project.project_metadata:
        raise exceptions.ResourceNotFoundException(f"Webhook for project {name} could not be found")
    return project


def _keep(response: Any, project: Any, asked: Mapping[str, Any]) -> Any:
    """Set the fields that were sent on `project`; the other fields stay."""
    kept = project.project_metadata
    # A new dictionary, because another thread may be reading the old one.
    fresh = kept | {name: value for name, value in asked.items() if name not in _NOT_AS_SENT}
    if "environment" in asked:
        fresh["environment"] = _ENVIRONMENT_DEFAULTS | asked["environment"]
    if "artifacts" in asked:
        fresh["artifacts"] = _artifact_defaults(fresh["name"], asked["artifacts"]["type"]) | asked["artifacts"]
    if "badgeEnabled" in asked:
        fresh["badge"] = _badge(response.region, fresh["name"], asked["badgeEnabled"])
    # An empty text removes a field.
    fresh = {name: value for name, value in fresh.items() if value not in ("", _TAKEN_BACK.get(name, ""))}
    if "encryptionKey" not in fresh:
        region, account = response.region, response.current_account
        fresh["encryptionKey"] = f"arn:{get_partition(region)}:kms:{region}:{account}:alias/aws/s3"
    fresh["lastModified"] = unix_time()
    project.project_metadata = fresh
    project.service_role = fresh["serviceRole"]
    project.tags = fresh.get("tags")
    return ActionResult({"project": fresh})


def _artifact_defaults(project: str, kind: str) -> dict[str, Any]:
    match kind:
        case "S3":
            return {"name": project, "packaging": "NONE", "namespaceType": "NONE"}
        case "CODEPIPELINE":
            return {"name": project, "packaging": "NONE"}
        case _:
            return {}


def _badge(region: str, name: str, enabled: bool) -> dict[str, Any]:
    url = f"https://codebuild.{region}.amazonaws.com/badges?uuid=sandbox-{name}&branch=master"
    return {"badgeEnabled": enabled} | ({"badgeRequestUrl": url} if enabled else {})


def _check(response: Any, asked: Mapping[str, Any]) -> None:
    """Refuse the fields that AWS would refuse."""
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
        if "reportBuildStatus" in source and source["type"] not in _HOSTS:
            raise exceptions.InvalidInputException(f"Source type {source['type']} does not support ReportBuildStatus")
        if asked.get("badgeEnabled") and source["type"] in ("S3", *_WITHOUT_LOCATION):
            raise exceptions.InvalidInputException(f"Source type {source['type']} does not support badges")
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
    """The name itself: AWS also accepts a project's ARN as its name."""
    return name.rpartition(":project/")[2]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(_bare(name)):
        raise exceptions.InvalidInputException("Only alphanumeric characters, dash, and underscore are supported")


def complete_logs() -> None:
    """Change moto's classes."""
    LogsResponse.associate_kms_key = _associate_kms_key
    LogsResponse.disassociate_kms_key = _disassociate_kms_key


def _associate_kms_key(response: Any) -> str:
    _group(response).kms_key_id = response._get_param("kmsKeyId")
    return ""


def _disassociate_kms_key(response: Any) -> str:
    _group(response).kms_key_id = None
    return ""


def _group(response: Any) -> Any:
    group = response.logs_backend.groups.get(response._get_param("logGroupName"))
    if group is None:
        raise ResourceNotFoundException
    return group
