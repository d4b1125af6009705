"""The input of the module `base-images` for one build: the arguments of the module `codebuild-project`.

Their type in `base-images` is `any`, because `codebuild-project` declares and checks the types itself.
"""

from __future__ import annotations

import json

from toolkit.codebuild.buildspec import render_buildspec
from toolkit.plan.desired import BuildSettings, DesiredBuild


def build_values(build: DesiredBuild, *, region: str, account_id: str | None = None) -> dict[str, object]:
    """JSON values by argument name; `region` and `account_id` are those of ECR."""
    settings = build.settings
    mirror = settings.environment_mirror
    repositories = {image.repository for image in (*build.images, *([mirror] if mirror else []))}
    return {
        "project_name": build.project_name,
        "description": build.description or None,  # null: the module's default
        "source_code": _source_values(build),
        "buildspec": settings.buildspec_path or render_buildspec(build, region=region, account_id=account_id),
        "repositories": sorted(repositories),
        "readable_secret_arns": [build.docker_hub_secret] if build.docker_hub_secret else [],
        "compute_type": build.compute_type,
        "environment_type": build.environment_type,
        "privileged_mode": settings.is_privileged,
        "fleet": settings.fleet,
        "environment_image": build.environment_image,
        "environment_repository": mirror.repository if mirror else None,
        "environment_variables": dict(build.environment_variables),
        "parameter_variables": dict(settings.parameter_variables),
        "secret_variables": dict(settings.secret_variables),
        "vpc": settings.vpc and settings.vpc.model_dump(mode="json"),
        "cache": _cache_values(settings),
        "build_timeout_minutes": build.timeout_minutes,
        "queued_timeout_minutes": settings.queued_timeout_minutes,
        "concurrent_build_limit": settings.concurrent_build_limit,
        "batch": settings.batch and settings.batch.model_dump(mode="json"),
        "webhook": settings.webhook and settings.webhook.model_dump(mode="json", exclude={"allow_forks"}),
        "badge_enabled": settings.has_badge,
        "artifacts": _artifact_values(build),
        "log_retention_days": build.log_retention_days,
        "s3_logs_location": settings.s3_logs,
        "log_kms_key": settings.log_kms_key,
        "kms_key": settings.kms_key,
        "service_role_arn": settings.service_role_arn,
        "extra_policy": _policy(settings),
        "permissions_boundary": settings.permissions_boundary,
        "tags": dict(settings.resource_tags),
    }


def _source_values(build: DesiredBuild) -> dict[str, object]:
    values: dict[str, object] = {
        "type": build.source_type,
        "location": build.source_location or None,
        "version": build.source_version,
    }
    source = build.settings.source
    if source is not None:
        values |= {
            "git_clone_depth": source.clone_depth,
            "fetch_submodules": source.submodules,
            "report_build_status": source.report_build_status,
            "connection": source.connection,
            "secret": source.secret,
            "pipeline_bucket": source.pipeline_bucket,
            "pipeline": source.pipeline,
        }
    return values


def _cache_values(settings: BuildSettings) -> dict[str, object] | None:
    cache = settings.cache
    return None if cache is None else {"modes": list(cache.modes) or None, "location": cache.location}


def _artifact_values(build: DesiredBuild) -> dict[str, object] | None:
    """By default the artifacts go to a folder named after the project: the build may write to that folder only."""
    artifacts = build.settings.artifacts
    if artifacts is None:
        return None
    return artifacts.model_dump(mode="json", exclude={"files"}) | {"path": artifacts.path or build.project_name}


def _policy(settings: BuildSettings) -> str | None:
    """The policy as JSON, the same text for the same statements."""
    if not settings.policy_statements:
        return None
    statements = []
    for statement in settings.policy_statements:
        values: dict[str, object] = {"Sid": statement.sid} if statement.sid else {}
        values |= {
            "Effect": statement.effect,
            "Action": list(statement.actions),
            "Resource": list(statement.resources),
        }
        if statement.conditions:
            values["Condition"] = {
                operator: {key: list(texts) for key, texts in keys.items()}
                for operator, keys in statement.conditions.items()
            }
        statements.append(values)
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, ensure_ascii=False)
