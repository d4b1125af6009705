# Printed by `toolkit iam-policy`.

data "aws_iam_policy_document" "platform-build-pipeline" {
  statement {
    sid    = "WriteOwnLogs"
    effect = "Allow"
    actions = [
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ]
    resources = [
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-pipeline",
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-pipeline:*",
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
    sid    = "ExchangePipelineArtifacts"
    effect = "Allow"
    actions = [
      "s3:GetObject",
      "s3:GetObjectVersion",
      "s3:PutObject",
    ]
    resources = [
      "arn:aws:s3:::acme-pipeline-artifacts/web/*",
    ]
  }

  statement {
    sid    = "FindPipelineBucket"
    effect = "Allow"
    actions = [
      "s3:GetBucketAcl",
      "s3:GetBucketLocation",
    ]
    resources = [
      "arn:aws:s3:::acme-pipeline-artifacts",
    ]
  }
}

resource "aws_iam_policy" "platform-build-pipeline" {
  name   = "platform-build-pipeline"
  policy = data.aws_iam_policy_document.platform-build-pipeline.json
}
