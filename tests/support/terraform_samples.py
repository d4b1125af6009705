"""A manifest's wishes with a bit of everything that Terraform is given."""

from __future__ import annotations

from toolkit.plan.desired import BuildImage, Desired, DesiredBuild, DesiredRepository

NGINX = "docker-hub/library/nginx"

WEB = DesiredBuild(
    name="web",
    project_name="platform-web",
    source_type="GITHUB",
    source_location="https://github.com/acme/web.git",
    source_version=None,
    buildspec_commands=(),
    images=(
        BuildImage("nginx:1.16", NGINX, "1.16"),
        BuildImage("nginx:1.17", NGINX, "1.17"),
        BuildImage("python:3.12-slim", "base/python", "3.12-slim"),
    ),
    compute_type="BUILD_GENERAL1_SMALL",
    environment_type="LINUX_CONTAINER",
    environment_image="aws/codebuild/amazonlinux-x86_64-standard:5.0",
    environment_variables={"GREETING": 'hello ${USER} "%{x}"'},
    timeout_minutes=60,
    log_retention_days=30,
)

DOCS = DesiredBuild(
    name="docs",
    project_name="platform-docs",
    source_type="S3",
    source_location="acme-source/docs.zip",
    source_version="v1",
    buildspec_commands=("make docs",),
    images=(),
    compute_type="BUILD_GENERAL1_MEDIUM",
    environment_type="ARM_CONTAINER",
    environment_image="aws/codebuild/amazonlinux-aarch64-standard:3.0",
    environment_variables={},
    timeout_minutes=5,
    log_retention_days=0,
)

DESIRED = Desired(
    name="platform",
    region="ap-northeast-1",
    account_id="123456789012",
    resource_tags={"team": "platform", "costs": "${x} %{y} 中"},
    repositories=(
        DesiredRepository(
            "base/python",
            tag_mutability="IMMUTABLE",
            scan_on_push=False,
            expire_untagged_after_days=None,
            pull_principals=("210987654321",),
            organization_id="o-a1b2c3d4e5",
            force_delete=True,
        ),
        DesiredRepository(NGINX),
    ),
    builds=(WEB, DOCS),
)
