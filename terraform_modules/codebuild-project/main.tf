data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  log_group = one(values(aws_cloudwatch_log_group.this))

  # `id` is the region in providers 5 and 6; `name` is deprecated in 6 and its successor is unknown to 5.
  region = data.aws_region.current.id

  # Composed from its parts, because the role must name the project before the project can name the role.
  project_arn = "arn:${local.partition}:codebuild:${local.region}:${local.account_id}:project/${var.name}"

  is_pipeline   = var.source_code.type == "CODEPIPELINE"
  is_git        = !contains(["S3", "NO_SOURCE", "CODEPIPELINE"], var.source_code.type)
  has_artifacts = var.artifacts != null

  # CodeBuild pulls its own images with its own rights, and other images with the role's.
  image_pull_credentials_type = startswith(var.environment_image, "aws/codebuild/") ? "CODEBUILD" : "SERVICE_ROLE"

  # Sorted by name within each kind: another order would be a change in the next plan.
  environment_variables = concat(
    [for name, value in var.environment_variables : { name = name, value = value, type = "PLAINTEXT" }],
    [for name, value in var.parameter_variables : { name = name, value = value, type = "PARAMETER_STORE" }],
    [for name, value in var.secret_variables : { name = name, value = value, type = "SECRETS_MANAGER" }],
  )

  source_auth = (
    var.source_code.connection != null ? [{ type = "CODECONNECTIONS", resource = var.source_code.connection }] :
    var.source_code.secret != null ? [{ type = "SECRETS_MANAGER", resource = var.source_code.secret }] : []
  )
}

# The key is its name, so that the group of a renamed project can leave the state and keep its logs.
resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_158:CloudWatch encrypts with its own key by default; `log_kms_key` takes another one.
  #checkov:skip=CKV_AWS_338:The output of a build is no audit log; `log_retention_days` keeps it longer.

  for_each = toset(["/aws/codebuild/${var.name}"])

  name              = each.key
  retention_in_days = var.log_retention_days
  kms_key_id        = var.log_kms_key
  tags              = var.tags
}

resource "aws_codebuild_project" "this" {
  #checkov:skip=CKV_AWS_147:AWS's key for S3 by default; `kms_key` takes another one.
  #checkov:skip=CKV_AWS_316:The Docker daemon in the build's container needs it; `privileged_mode` is false where no Docker is used.

  name                   = var.name
  description            = var.description
  service_role           = local.role_arn
  source_version         = var.source_code.version
  build_timeout          = var.build_timeout_minutes
  queued_timeout         = var.queued_timeout_minutes
  concurrent_build_limit = var.concurrent_build_limit
  badge_enabled          = var.badge_enabled
  encryption_key         = var.kms_key
  tags                   = var.tags

  artifacts {
    type                   = local.is_pipeline ? "CODEPIPELINE" : local.has_artifacts ? "S3" : "NO_ARTIFACTS"
    location               = one(var.artifacts[*].bucket)
    path                   = one(var.artifacts[*].path)
    name                   = one(var.artifacts[*].name)
    namespace_type         = one(var.artifacts[*].namespace_type)
    packaging              = one(var.artifacts[*].packaging)
    override_artifact_name = local.has_artifacts ? var.artifacts.override_name : false
  }

  environment {
    compute_type                = var.compute_type
    type                        = var.environment_type
    image                       = var.environment_image
    image_pull_credentials_type = local.image_pull_credentials_type
    privileged_mode             = var.privileged_mode

    dynamic "fleet" {
      for_each = var.fleet[*]

      content {
        fleet_arn = var.fleet
      }
    }

    dynamic "environment_variable" {
      for_each = local.environment_variables

      content {
        name  = environment_variable.value.name
        value = environment_variable.value.value
        type  = environment_variable.value.type
      }
    }
  }

  dynamic "build_batch_config" {
    for_each = var.batch[*]

    content {
      service_role      = local.batch_role_arn
      combine_artifacts = var.batch.combine_artifacts
      timeout_in_mins   = var.batch.timeout_minutes

      restrictions {
        maximum_builds_allowed = var.batch.maximum_builds
        compute_types_allowed  = var.batch.compute_types
      }
    }
  }

  dynamic "cache" {
    for_each = var.cache[*]

    content {
      type     = var.cache.location != null ? "S3" : "LOCAL"
      location = local.cache_location
      modes    = var.cache.modes
    }
  }

  dynamic "vpc_config" {
    for_each = var.vpc[*]

    content {
      vpc_id             = var.vpc.id
      subnets            = var.vpc.subnets
      security_group_ids = var.vpc.security_groups
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = local.log_group.name
    }

    dynamic "s3_logs" {
      for_each = var.s3_logs_location[*]

      content {
        status   = "ENABLED"
        location = var.s3_logs_location
      }
    }
  }

  source {
    type                = var.source_code.type
    location            = var.source_code.location
    git_clone_depth     = local.is_git ? coalesce(var.source_code.git_clone_depth, 0) : null
    report_build_status = var.source_code.report_build_status
    buildspec           = var.buildspec

    dynamic "auth" {
      for_each = local.source_auth

      content {
        type     = auth.value.type
        resource = auth.value.resource
      }
    }

    dynamic "git_submodules_config" {
      for_each = var.source_code.fetch_submodules ? ["this"] : []

      content {
        fetch_submodules = true
      }
    }
  }

  lifecycle {
    precondition {
      condition     = !endswith(var.environment_type, "_EC2") || !var.privileged_mode && startswith(var.environment_image, "aws/codebuild/ami/") && contains(["SMALL", "MEDIUM", "LARGE"], trimprefix(var.compute_type, "BUILD_GENERAL1_"))
      error_message = "The project `${var.name}` builds on a machine, in no container: it has no `privileged_mode`, an image that begins with `aws/codebuild/ami/` and the size `SMALL`, `MEDIUM` or `LARGE`."
    }

    precondition {
      condition     = var.service_role_arn == null || var.extra_policy == null && var.permissions_boundary == null
      error_message = "The project `${var.name}` has a `service_role_arn`: that role is left as it is, so `extra_policy` and `permissions_boundary` would have no effect."
    }
  }

  # A build may start as soon as the project exists, and then needs the role's rights; CodeBuild itself tries them out
  # when the project is in a VPC.
  depends_on = [aws_iam_role_policy.this, aws_iam_role_policy.extra, aws_iam_role_policy.batch]
}

resource "aws_codebuild_webhook" "this" {
  for_each = toset(var.webhook == null ? [] : ["this"])

  project_name = aws_codebuild_project.this.name
  build_type   = var.webhook.build_type

  dynamic "filter_group" {
    for_each = var.webhook.filter_groups

    content {
      dynamic "filter" {
        for_each = filter_group.value

        content {
          type                    = filter.value.type
          pattern                 = filter.value.pattern
          exclude_matched_pattern = filter.value.exclude
        }
      }
    }
  }
}
