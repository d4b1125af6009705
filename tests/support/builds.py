"""A build project for the tests of its buildspec."""

from __future__ import annotations

from dataclasses import replace

from toolkit.manifest.strategy import Strategy
from toolkit.oci.digest import Digest
from toolkit.plan.desired import BuildImage, DesiredBuild, Upstream

REGION = "eu-west-1"

NGINX = BuildImage("nginx:1.16", "docker-hub/library/nginx", "1.16")
LONG_NGINX = BuildImage("docker.io/library/nginx:1.16", "docker-hub/library/nginx", "1.16")
EXPORTER = BuildImage("quay.io/prometheus/node-exporter:v1.8.2", "quay/prometheus/node-exporter", "v1.8.2")
_DIGEST = Digest.parse("sha256:" + "ab" * 32)
PINNED = BuildImage(f"alpine:3.20@{_DIGEST}", "docker-hub/library/alpine", "3.20", _DIGEST)
BUILDKIT = BuildImage("moby/buildkit:buildx-stable-1", "docker-hub/moby/buildkit", "buildx-stable-1")

WEB = DesiredBuild(
    name="web",
    project_name="Platform_web",
    source_type="GITHUB",
    source_location="https://github.com/acme/web.git",
    source_version=None,
    buildspec_commands=(),
    images=(NGINX, LONG_NGINX, EXPORTER),
    compute_type="BUILD_GENERAL1_SMALL",
    environment_type="LINUX_CONTAINER",
    environment_image="aws/codebuild/amazonlinux-x86_64-standard:5.0",
    environment_variables={},
    timeout_minutes=60,
    log_retention_days=30,
    upstreams=(Upstream("docker.io", "docker-hub"), Upstream("quay.io", "quay")),
)

LOGIN = replace(
    WEB,
    strategy=Strategy.LOGIN,
    images=(),
    docker_hub_secret="arn:aws:secretsmanager:eu-central-1:123456789012:secret:hub-AbCdEf",
)
