"""An event of every kind, as a run that fails half-way would tell them."""

from __future__ import annotations

from toolkit import events

DIGEST = "sha256:" + "ab" * 32
NGINX = "docker-hub/library/nginx:1.16"
REPOSITORY = 'module.repository["docker-hub/library/nginx"].aws_ecr_repository.this'

SAMPLES: list[events.Event] = [
    events.RunStarted("apply", "0.1.0"),
    events.StepStarted("terraform apply"),
    events.InfraChangeStarted(REPOSITORY, "create"),
    events.InfraChangeProgressed(REPOSITORY, "create", 10.0),
    events.InfraChangeFinished(REPOSITORY, "create", 12.3),
    events.InfraChangeFailed('module.build["web"].aws_codebuild_project.this', "update", 2.0),
    events.DiagnosticReported(
        "error",
        "creating CodeBuild Project",
        "operation error CodeBuild:\n  on main.tf line 3\n\nAccessDenied",
        'module.build["web"].aws_codebuild_project.this',
        "allow `codebuild:UpdateProject`",
    ),
    events.DiagnosticReported("warning", "Deprecated argument"),
    events.StepFinished("terraform apply", 15.2, "1 created"),
    events.StepStarted("seed", "into 123456789012.dkr.ecr.ap-northeast-1.amazonaws.com", 3),
    events.NoticeGiven("budget.may_be_small", "97 of 100 are left", "wait"),
    events.ImageStarted(NGINX, f"docker.io/library/nginx:1.16@{DIGEST}", f"123.dkr.ecr.example/{NGINX}"),
    events.RetryScheduled("registry-1.docker.io", "503 Service Unavailable", 2, 1.5),
    events.ImageProgressed(NGINX, 20_000_000, 44_800_000),
    events.ImageFinished(NGINX, "copied", DIGEST, 44_800_000, 44_800_000, 3.2),
    events.ImageFinished("quay/prometheus/node-exporter:v1.8.2", "unchanged", DIGEST, 0, 0, 0.1),
    events.ImageFailed("base/python:3.12", "source.missing", "`python:3.12` is not there", "check the tag"),
    events.BuildChanged("shop-refresh:0e7a", "shard_2", "IN_PROGRESS"),
    events.ImagePostponed("base/go:1.22", "source.pull_limit_reached", "you have reached your pull rate limit"),
    events.BudgetAwaited("docker.io", 2, 0, 100, 720.0, 21600),
    events.RunFinished(6, 21.0, "seed.incomplete", "1 of 3 images is not in place", "run the same command again"),
]
