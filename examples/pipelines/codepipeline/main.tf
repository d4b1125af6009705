# CodePipeline: Plan, Approval, Apply. Every night a fourth build reports what has moved, and changes nothing.
#
# It needs what docs/how-to/pipelines.md makes: state in S3, images.lock.hcl and two policies; and
# - a connection to the repository (made in the console, because somebody at the host has to agree)
# - the image of the builds in ECR, with toolkit, Terraform, the AWS provider and git. Named by its digest, it pins them,
#   and nothing has to be downloaded or cached.
# - a secret in Secrets Manager whose text is the plan's key: `openssl rand -hex 32`
#
# A pipeline knows no pull requests: take the jobs `scan` and `plan` from github-actions.yml or gitlab-ci.yml for those.

terraform {
  required_version = ">= 1.10"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

variable "name" {
  description = "Name of the pipeline, and the beginning of all other names."
  type        = string
  default     = "base-images"
}

variable "connection_arn" {
  description = "ARN of the connection (CodeConnections) to the host of the repository."
  type        = string
}

variable "repository" {
  description = "The repository that has images.yaml: `acme/base-images`."
  type        = string
}

variable "repository_url" {
  description = "Where it is cloned from: `https://github.com/acme/base-images.git`. The nightly build needs it."
  type        = string
}

variable "branch" {
  description = "The branch that is applied."
  type        = string
  default     = "main"
}

variable "image" {
  description = "The image of the builds, in ECR, by digest."
  type        = string

  validation {
    condition     = can(regex("^(\\d{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.[^/]+/([^@:]+)@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image is in ECR and has its digest: ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME@sha256:…"
  }
}

variable "plan_policy" {
  description = "What `toolkit iam-policy plan` printed: the rights of the builds that plan."
  type        = string
}

variable "apply_policy" {
  description = "What `toolkit iam-policy apply` printed: the rights of the build that applies."
  type        = string
}

variable "plan_key_secret_arn" {
  description = "ARN of the secret whose text signs the plan."
  type        = string
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  arn   = "arn:${data.aws_partition.this.partition}"
  local = "${data.aws_region.this.name}:${data.aws_caller_identity.this.account_id}"
  image = regex("^(?P<account>\\d{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<name>[^@]+)@", var.image)
  # The nightly build plans with the rights of Plan.
  builds = {
    plan    = { policy = var.plan_policy, timeout = 30 }
    apply   = { policy = var.apply_policy, timeout = 120 }
    nightly = { policy = var.plan_policy, timeout = 30 }
  }
}

# Artifacts: Terraform's plan has the state in it, so they are encrypted, private, and gone after some days.

resource "aws_kms_key" "artifacts" {
  description             = "Saved plans of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 7
}

resource "aws_s3_bucket" "artifacts" {
  bucket_prefix = "${var.name}-plans-"
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "artifacts" {
  bucket                  = aws_s3_bucket.artifacts.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.artifacts.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "artifacts" {
  bucket = aws_s3_bucket.artifacts.id

  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration { days = 5 }
  }
}

# Builds.

data "aws_iam_policy_document" "codebuild" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["${local.arn}:codebuild:${local.local}:project/${var.name}-*"]
    }
  }
}

data "aws_iam_policy_document" "build" {
  for_each = local.builds

  statement {
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.build[each.key].arn}:*"]
  }
  statement {
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }
  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.artifacts.arn]
  }
  statement {
    actions   = ["codeconnections:UseConnection", "codeconnections:GetConnectionToken", "codeconnections:GetConnection"]
    resources = [var.connection_arn]
  }
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.plan_key_secret_arn]
  }
  statement {
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
  statement {
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = ["${local.arn}:ecr:${local.image.region}:${local.image.account}:repository/${local.image.name}"]
  }
}

resource "aws_cloudwatch_log_group" "build" {
  for_each = local.builds

  name              = "/aws/codebuild/${var.name}-${each.key}"
  retention_in_days = 30
}

resource "aws_iam_role" "build" {
  for_each = local.builds

  name               = "${var.name}-${each.key}"
  assume_role_policy = data.aws_iam_policy_document.codebuild.json
}

resource "aws_iam_role_policy" "toolkit" {
  for_each = local.builds

  name   = "toolkit"
  role   = aws_iam_role.build[each.key].id
  policy = each.value.policy
}

resource "aws_iam_role_policy" "build" {
  for_each = local.builds

  name   = "build"
  role   = aws_iam_role.build[each.key].id
  policy = data.aws_iam_policy_document.build[each.key].json
}

resource "aws_codebuild_project" "this" {
  for_each = local.builds

  name                   = "${var.name}-${each.key}"
  service_role           = aws_iam_role.build[each.key].arn
  build_timeout          = each.value.timeout
  encryption_key         = aws_kms_key.artifacts.arn
  concurrent_build_limit = 1

  artifacts {
    type = each.key == "nightly" ? "NO_ARTIFACTS" : "CODEPIPELINE"
  }
  environment {
    type                        = "LINUX_CONTAINER"
    compute_type                = "BUILD_GENERAL1_SMALL"
    image                       = var.image
    image_pull_credentials_type = "SERVICE_ROLE"

    environment_variable {
      name  = "BRANCH"
      value = var.branch
    }
    environment_variable {
      name  = "TOOLKIT_PLAN_KEY"
      value = var.plan_key_secret_arn
      type  = "SECRETS_MANAGER"
    }
  }
  source {
    type      = each.key == "nightly" ? "GITHUB" : "CODEPIPELINE"
    location  = each.key == "nightly" ? var.repository_url : null
    buildspec = file("${path.module}/${each.key}.buildspec.yml")

    dynamic "auth" {
      for_each = each.key == "nightly" ? [var.connection_arn] : []
      content {
        type     = "CODECONNECTIONS"
        resource = auth.value
      }
    }
  }
  source_version = each.key == "nightly" ? "refs/heads/${var.branch}" : null
  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.build[each.key].name
    }
  }
}

# The pipeline.

data "aws_iam_policy_document" "pipeline_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codepipeline.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = ["${local.arn}:codepipeline:${local.local}:${var.name}"]
    }
  }
}

data "aws_iam_policy_document" "pipeline" {
  statement {
    actions   = ["codeconnections:UseConnection"]
    resources = [var.connection_arn]
  }
  statement {
    actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${aws_s3_bucket.artifacts.arn}/*"]
  }
  statement {
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [aws_kms_key.artifacts.arn]
  }
  statement {
    actions   = ["codebuild:BatchGetBuilds", "codebuild:StartBuild"]
    resources = [aws_codebuild_project.this["plan"].arn, aws_codebuild_project.this["apply"].arn]
  }
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reviewers.arn]
  }
}

resource "aws_iam_role" "pipeline" {
  name               = "${var.name}-pipeline"
  assume_role_policy = data.aws_iam_policy_document.pipeline_trust.json
}

resource "aws_iam_role_policy" "pipeline" {
  name   = "pipeline"
  role   = aws_iam_role.pipeline.id
  policy = data.aws_iam_policy_document.pipeline.json
}

resource "aws_codepipeline" "this" {
  name           = var.name
  role_arn       = aws_iam_role.pipeline.arn
  pipeline_type  = "V2"
  execution_mode = "SUPERSEDED" # one apply at a time; of commits that wait for it, the newest is next

  artifact_store {
    type     = "S3"
    location = aws_s3_bucket.artifacts.bucket
    encryption_key {
      type = "KMS"
      id   = aws_kms_key.artifacts.arn
    }
  }

  stage {
    name = "Source"
    action {
      name             = "Source"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["Source"]
      configuration = {
        ConnectionArn        = var.connection_arn
        FullRepositoryId     = var.repository
        BranchName           = var.branch
        OutputArtifactFormat = "CODEBUILD_CLONE_REF" # a Git checkout: the plan has its commit
      }
    }
  }

  stage {
    name = "Plan"
    action {
      name             = "Plan"
      category         = "Build"
      owner            = "AWS"
      provider         = "CodeBuild"
      version          = "1"
      namespace        = "Plan"
      input_artifacts  = ["Source"]
      output_artifacts = ["Plan"]
      configuration    = { ProjectName = aws_codebuild_project.this["plan"].name }
    }
  }

  stage {
    name = "Approval"
    action {
      name     = "Approval"
      category = "Approval"
      owner    = "AWS"
      provider = "Manual"
      version  = "1"
      configuration = {
        NotificationArn = aws_sns_topic.reviewers.arn
        CustomData      = "#{Plan.VERDICT}"
      }
    }
  }

  stage {
    name = "Apply"
    action {
      name            = "Apply"
      category        = "Build"
      owner           = "AWS"
      provider        = "CodeBuild"
      version         = "1"
      input_artifacts = ["Source", "Plan"]
      configuration = {
        ProjectName   = aws_codebuild_project.this["apply"].name
        PrimarySource = "Source"
      }
    }
  }
}

# Whom the approval asks, and who hears of a night that found a difference: subscribe them to this topic.

resource "aws_sns_topic" "reviewers" {
  name = "${var.name}-reviewers"
}

data "aws_iam_policy_document" "topic" {
  statement {
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.reviewers.arn]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.difference.arn]
    }
  }
}

resource "aws_sns_topic_policy" "reviewers" {
  arn    = aws_sns_topic.reviewers.arn
  policy = data.aws_iam_policy_document.topic.json
}

# Every night.

data "aws_iam_policy_document" "events" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "start" {
  statement {
    actions   = ["codebuild:StartBuild"]
    resources = [aws_codebuild_project.this["nightly"].arn]
  }
}

resource "aws_iam_role" "start" {
  name               = "${var.name}-start-nightly"
  assume_role_policy = data.aws_iam_policy_document.events.json
}

resource "aws_iam_role_policy" "start" {
  name   = "start"
  role   = aws_iam_role.start.id
  policy = data.aws_iam_policy_document.start.json
}

resource "aws_cloudwatch_event_rule" "night" {
  name                = "${var.name}-night"
  schedule_expression = "cron(17 3 * * ? *)"
}

resource "aws_cloudwatch_event_target" "night" {
  rule     = aws_cloudwatch_event_rule.night.name
  arn      = aws_codebuild_project.this["nightly"].arn
  role_arn = aws_iam_role.start.arn
}

resource "aws_cloudwatch_event_rule" "difference" {
  name = "${var.name}-difference"
  event_pattern = jsonencode({
    source      = ["aws.codebuild"]
    detail-type = ["CodeBuild Build State Change"]
    detail      = { build-status = ["FAILED", "FAULT", "TIMED_OUT"], project-name = ["${var.name}-nightly"] }
  })
}

resource "aws_cloudwatch_event_target" "difference" {
  rule = aws_cloudwatch_event_rule.difference.name
  arn  = aws_sns_topic.reviewers.arn
}
