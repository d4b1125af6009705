# Printed by `toolkit iam-policy`.

data "aws_iam_policy_document" "platform-build-release" {
  statement {
    sid    = "WriteOwnLogs"
    effect = "Allow"
    actions = [
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ]
    resources = [
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-release",
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-release:*",
    ]
  }

  statement {
    sid    = "LogInToRegistry"
    effect = "Allow"
    actions = [
      "ecr:GetAuthorizationToken",
    ]
    resources = [
      "*",
    ]
  }

  statement {
    sid    = "PullImages"
    effect = "Allow"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/docker/buildkit-syft-scanner",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/docker/dockerfile",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/library/nginx",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/moby/buildkit",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/tonistiigi/binfmt",
    ]
  }

  statement {
    sid    = "ReadSecrets"
    effect = "Allow"
    actions = [
      "secretsmanager:GetSecretValue",
    ]
    resources = [
      "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:git/release-AbCdEf",
    ]
  }

  statement {
    sid    = "RunBuildsOfBatch"
    effect = "Allow"
    actions = [
      "codebuild:RetryBuild",
      "codebuild:StartBuild",
      "codebuild:StopBuild",
    ]
    resources = [
      "arn:aws:codebuild:ap-northeast-1:123456789012:project/platform-release",
    ]
  }
}

resource "aws_iam_policy" "platform-build-release" {
  name   = "platform-build-release"
  policy = data.aws_iam_policy_document.platform-build-release.json
}
