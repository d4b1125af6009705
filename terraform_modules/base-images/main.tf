module "repositories" {
  source   = "../ecr-repository"
  for_each = var.input.repositories

  name                       = each.key
  tag_mutability             = each.value.tag_mutability
  tag_mutability_exclusions  = each.value.tag_mutability_exclusions
  scan_on_push               = each.value.scan_on_push
  encryption_type            = each.value.encryption_type
  kms_key                    = each.value.kms_key
  expire_untagged_after_days = each.value.expire_untagged_after_days
  pull_principals            = each.value.pull_principals
  organization_id            = each.value.organization_id
  policy_statements          = each.value.policy_statements
  force_delete               = each.value.force_delete
  tags                       = merge(var.input.resource_tags, each.value.tags)
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

# Computed once here: in each build, Terraform would go through all repositories again.
locals {
  # The repositories of another account's registry: this run may not read them, so their hosts come from their names.
  elsewhere = toset(var.input.mirror == null ? [] : flatten([for build in var.input.builds : build.repositories]))

  # Composed from its parts: a plan does not know the ARN of a new repository, and could then show no right of a build.
  registry_account = var.input.mirror == null ? data.aws_caller_identity.current.account_id : var.input.mirror.account_id
  registry_region  = var.input.mirror == null ? data.aws_region.current.id : var.input.mirror.region
  registry_arn     = "arn:${data.aws_partition.current.partition}:ecr:${local.registry_region}:${local.registry_account}:repository"

  # The host differs between AWS partitions. All repositories have the same host, but each has its own entry: a build
  # uses the entry of its own repository, so that another new repository does not make every build look changed.
  registry_hosts = merge(
    { for name, repository in module.repositories : name => split("/", repository.repository_url)[0] },
    {
      for name in local.elsewhere : name =>
      "${var.input.mirror.account_id}.dkr.ecr.${var.input.mirror.region}.${data.aws_partition.current.dns_suffix}"
    },
  )
}

module "builds" {
  source   = "../codebuild-project"
  for_each = var.input.builds

  name                   = each.value.project_name
  description            = each.value.description
  source_code            = each.value.source_code
  buildspec              = each.value.buildspec
  repository_arns        = [for name in each.value.repositories : "${local.registry_arn}/${name}"]
  readable_secret_arns   = each.value.readable_secret_arns
  compute_type           = each.value.compute_type
  environment_type       = each.value.environment_type
  privileged_mode        = each.value.privileged_mode
  fleet                  = each.value.fleet
  parameter_variables    = each.value.parameter_variables
  secret_variables       = each.value.secret_variables
  vpc                    = each.value.vpc
  cache                  = each.value.cache
  build_timeout_minutes  = each.value.build_timeout_minutes
  queued_timeout_minutes = each.value.queued_timeout_minutes
  concurrent_build_limit = each.value.concurrent_build_limit
  batch                  = each.value.batch
  webhook                = each.value.webhook
  badge_enabled          = each.value.badge_enabled
  artifacts              = each.value.artifacts
  log_retention_days     = each.value.log_retention_days
  s3_logs_location       = each.value.s3_logs_location
  log_kms_key            = each.value.log_kms_key
  kms_key                = each.value.kms_key
  service_role_arn       = each.value.service_role_arn
  extra_policy           = each.value.extra_policy
  permissions_boundary   = each.value.permissions_boundary
  tags                   = merge(var.input.resource_tags, each.value.tags)

  # A mirrored image is named without its host. The project can be created before the image exists: CodeBuild pulls it
  # when a build starts.
  environment_image = (
    each.value.environment_repository == null
    ? each.value.environment_image
    : "${local.registry_hosts[each.value.environment_repository]}/${each.value.environment_image}"
  )

  # The buildspec reads the registry's host from this variable.
  environment_variables = merge(
    each.value.environment_variables,
    length(each.value.repositories) == 0 ? {} : { TOOLKIT_ECR_REGISTRY = local.registry_hosts[each.value.repositories[0]] },
  )
}

module "refresh" {
  source   = "../image-refresh"
  for_each = var.input.refresh

  name      = each.value.name
  schedule  = each.value.schedule
  time_zone = each.value.time_zone
  bucket    = each.value.bucket
  prefix    = each.value.prefix
  tool      = each.value.tool
  policy    = each.value.policy
  topic_arn = each.value.topic_arn
  alarms    = each.value.alarms
  rebuilds  = each.value.rebuilds
  tags      = var.input.resource_tags
}
