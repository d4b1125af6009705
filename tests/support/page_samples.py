"""Results for the HTML page: a plan as a reviewer may meet it, of any size, and one whose every text is hostile."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tests.support.plan_samples import ACCOUNT, AMD64, ARM64, digest, in_root_module
from toolkit.cli.render.html import render_html
from toolkit.cli.render.serialise import document_of, read_result
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE, Subset
from toolkit.plan.model import (
    AttributeChange,
    Grant,
    InfraAction,
    Loss,
    Notice,
    Plan,
    PullCost,
    Refusal,
    Seed,
    SeedAction,
)
from toolkit.plan.observed import PullBudget
from toolkit.report import Report, SeedOutcome, SeedStatus

_NAMES = {
    "docker.io": "nginx:1.27 python:3.12-slim python:3.13-slim node:22 node:20 redis:7.4 postgres:17 golang:1.23 alpine:3.20 "
    "debian:bookworm-slim ubuntu:24.04 eclipse-temurin:21-jre maven:3.9 busybox:1.36 memcached:1.6 httpd:2.4 ruby:3.3 "
    "php:8.3-fpm rust:1.82 grafana/grafana:11.3 hashicorp/terraform:1.11 docker/dockerfile:1 moby/buildkit:buildx-stable-1",
    "quay.io": "prometheus/prometheus:v3.0.1 prometheus/node-exporter:v1.8.2 keycloak/keycloak:26.0 argoproj/argocd:v2.13.1",
    "ghcr.io": "astral-sh/uv:0.5.4 renovatebot/renovate:39 external-secrets/external-secrets:v0.10.7",
    "public.ecr.aws": "lambda/python:3.12 lambda/nodejs:22 aws-observability/aws-otel-collector:v0.41.1",
}
_BUILDS = ("api", "web", "worker", "reports", "search", "billing", "mail", "admin", "mobile-gateway", "etl")
_PREFIXES = {"docker.io": "docker-hub", "quay.io": "quay", "ghcr.io": "github", "public.ecr.aws": "ecr-public"}
_CHANGES = {0: SeedAction.MOVE, 3: SeedAction.COPY, 9: SeedAction.COPY, 24: SeedAction.COPY}


def reviewed(images: int = 60) -> Plan:
    """A plan of `images`: one moves, three are new, a repository is destroyed, and a build gets more rights."""
    sources = [f"{registry}/{name}" for registry, names in _NAMES.items() for name in names.split()]
    sources = (sources + [f"{text.partition(':')[0]}:{minor}.{number % 10}" for minor in range(40) for number, text in enumerate(sources)])[:images]  # fmt: skip
    seeds = tuple(_seed(number, source) for number, source in enumerate(sources))
    return Plan(
        "platform",
        replace(ACCOUNT, region="eu-west-1", registry_host="123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
        infra_changes=(
            *in_root_module(
                "repositories",
                "docker-hub/library/mysql",
                ("aws_ecr_lifecycle_policy", "aws_ecr_repository"),
                InfraAction.DELETE,
                reason="delete_because_each_key",
            ),
            *in_root_module("repositories", "docker-hub/library/node", ("aws_ecr_lifecycle_policy", "aws_ecr_repository")),
            *in_root_module(
                "builds",
                "web",
                ["aws_codebuild_project"],
                InfraAction.UPDATE,
                changes=(
                    AttributeChange("build_timeout", 60, 30),
                    AttributeChange("source[0].buildspec", "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n", "version: 0.2\nphases:\n  build:\n    commands:\n      - make all\n      - make push\n"),
                    AttributeChange('environment[0].environment_variable["TOKEN"].value', is_sensitive=True),
                ),
            ),
            *in_root_module(
                "builds",
                "web",
                ["aws_iam_role_policy"],
                InfraAction.UPDATE,
                grants=(
                    Grant("role of web: s3:* on *", is_added=True, is_widening=True),
                    Grant("role of web: s3:GetObject on arn:aws:s3:::assets/*", is_added=False),
                ),
            ),
        ),
        seeds=seeds,
        pull_costs=(PullCost("docker.io", 8, 13, PullBudget("docker.io", 100, 87, 21600)),) if seeds else (),
        notices=(
            Notice("source.missing", "images[17]: `ruby:3.3` is gone upstream; ECR keeps what it has", "move to a tag that is still published"),
        ),
        drift=in_root_module(
            "repositories",
            "docker-hub/library/nginx",
            ["aws_ecr_repository"],
            InfraAction.UPDATE,
            changes=(AttributeChange("image_scanning_configuration[0].scan_on_push", before=True, after=False),),
        ),
        losses=(Loss("repository", "docker-hub/library/mysql", 612_000_000, (digest("9"),), "2026-08-02T12:00:00+00:00"),),
    )  # fmt: skip


def _seed(number: int, source: str) -> Seed:
    reference = Reference.parse(source)
    action = _CHANGES.get(number, SeedAction.KEEP)
    repository = f"{_PREFIXES[reference.registry]}/{reference.repository}"
    new, old = Digest.of(f"new {source}".encode()), Digest.of(source.encode())
    return Seed(
        f"{repository}:{reference.tag}",
        action,
        {SeedAction.MOVE: "upstream moved", SeedAction.COPY: "not in ECR", SeedAction.KEEP: "same digest"}[action],
        reference.with_digest(old if action is SeedAction.KEEP else new),
        repository,
        reference.tag or "",
        WHOLE if number % 3 else Subset((AMD64, ARM64)),
        wanted_digest=old if action is SeedAction.KEEP else new,
        current_digest=None if action is SeedAction.COPY else old,
        size=23_000_000 + 9_700_000 * (number * 7 % 41) if action is not SeedAction.KEEP else None,
        pulls=(2, 3) if action is not SeedAction.KEEP else (0, 0),
        pushed_at=None
        if action is SeedAction.COPY
        else f"2026-{1 + number % 11:02}-{1 + number % 28:02}T03:17:09+00:00",
        used_by=tuple(sorted({_BUILDS[number % 10], _BUILDS[number * number % 10]})) if number % 4 != 3 else (),
    )


def page(document: Mapping[str, Any]) -> str:
    """The page of a result, as `toolkit show` makes it of the result's JSON."""
    return render_html(read_result(json.dumps(document).encode()))


def plan_result(plan: Plan, **fields: Any) -> dict[str, Any]:
    """The document of a run that ended with `plan`."""
    return _result("plan", plan=document_of("plan", plan), **fields)


def failed_apply() -> dict[str, Any]:
    """The document of an apply after which one image is not in place and one was not tried."""
    plan = reviewed()
    status = {0: SeedStatus.FAILED, 3: SeedStatus.COPIED, 9: SeedStatus.SKIPPED, 24: SeedStatus.COPIED}
    outcomes = tuple(
        SeedOutcome(
            seed.key,
            found := status.get(number, SeedStatus.UNCHANGED),
            str(seed.source),
            f"{plan.account.registry_host}/{seed.key}",
            digest=str(seed.wanted_digest) if found in (SeedStatus.COPIED, SeedStatus.UNCHANGED) else None,
            moved_bytes=38_000_000 if found is SeedStatus.COPIED else 0,
            total_bytes=seed.size or 0,
            moved_blobs=5 if found is SeedStatus.COPIED else 0,
            seconds=3.2 if found is SeedStatus.COPIED else 0.1,
            error_code="oci.pull_limit_reached" if found is SeedStatus.FAILED else None,
            error_message="source: `docker.io` allows no more pulls" if found is SeedStatus.FAILED else None,
            hint="wait for the window to pass, or sign in" if found is SeedStatus.FAILED else None,
        )
        for number, seed in enumerate(plan.seeds)
    )
    report = Report(outcomes, 71.0, plan.infra_changes, {}, plan)
    error = {"code": "seed.incomplete", "message": "2 images are not in place", "hint": "run the same command again"}
    return _result("apply", exit_code=6, error=error, report=document_of("report", report))


def refused() -> dict[str, Any]:
    """The document of a plan that must not be applied."""
    plan = replace(
        reviewed(),
        refusals=(
            Refusal("infra.destroys_repository", "Terraform would destroy the repository `docker-hub/library/mysql`", "use --allow-destroy to lose its images"),
            Refusal("tag.immutable", "images[4]: `docker-hub/library/go:1.22` is immutable", image="docker-hub/library/go:1.22", source="docker.io/library/golang:1.22"),
        ),
    )  # fmt: skip
    return plan_result(plan, exit_code=7)


HOSTILE = (
    "</script><script>window.hacked=1</script>",
    "\"><img src=https://example.com/x onerror=\"window.hacked=1\">",
    "' onfocus='window.hacked=1' autofocus='",
    "<!--<script>",
    "\u202etxt.exe\u2066",
    "שלום/עולם",
    "\x00\x1b[31m\ud83d\ude00",
    "a b\tc\nd%2F#?&amp;",
    "]]>{{ 7*7 }}{% raw %}",
    "long-" * 1000,
)  # fmt: skip


def hostile() -> dict[str, Any]:
    """A plan in whose every free text somebody tries to break out."""
    plan = document_of("plan", reviewed(12))
    texts = iter(HOSTILE * 1000)

    def spoil(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: inner if name == "source" else spoil(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [spoil(inner, key) for inner in value]
        is_free = key in _FREE and isinstance(value, str)
        return f"{next(texts)}{value}" if is_free else value

    spoiled = spoil(plan)
    return _result("plan", plan=json.loads(json.dumps(spoiled)))


_FREE = frozenset(
    [
        "account_id",
        "address",
        "after",
        "before",
        "code",
        "hint",
        "key",
        "last_pulled",
        "message",
        "name",
        "path",
        "pushed_at",
        "reason",
        "region",
        "registry_host",
        "repository",
        "resource_type",
        "statement",
        "tag",
        "used_by",
    ]
)


def _result(command: str, *, exit_code: int = 0, **fields: Any) -> dict[str, Any]:
    return {"schema_version": 1, "command": command, "exit_code": exit_code, **fields}
