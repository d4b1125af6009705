data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  place      = "${local.region}:${local.account_id}"

  project_name = "${var.name}-refresh"
  # Composed from their parts: a plan does not know the ARN of what is new, and could then show no right to it.
  project_arn = "arn:${local.partition}:codebuild:${local.place}:project/${local.project_name}"
  queue_arn   = "arn:${local.partition}:sqs:${local.place}:${local.project_name}"

  # `toolkit` knows neither the account nor the partition before it runs.
  policy = replace(replace(replace(var.policy,
  "{account}", local.account_id), "{partition}", local.partition), "{dns_suffix}", data.aws_partition.current.dns_suffix)

  # The values are variables, so that no shell reads them as code. Each text is one command, in one shell.
  # `TOOLKIT_SHARD` comes from a batch: `report`, or the number of a shard.
  run = <<-EOT
    set -eu
    case "$${TOOLKIT_SHARD-}" in
      "") toolkit refresh --bundle "$TOOLKIT_REFRESH_BUNDLE" --no-progress ;;
      report) toolkit report "$TOOLKIT_PLAN" ;;
      *) toolkit apply "$TOOLKIT_PLAN" --shard "$TOOLKIT_SHARD" --no-progress ;;
    esac
  EOT

  install = <<-EOT
    set -eu
    wheel="$CODEBUILD_SRC_DIR/$${TOOLKIT_WHEEL##*/}"
    aws s3 cp --only-show-errors "$TOOLKIT_WHEEL" "$wheel"
    printf '%s  %s\n' "$TOOLKIT_WHEEL_SHA256" "$wheel" | sha256sum --check --strict
    python3 -m venv "$CODEBUILD_SRC_DIR/venv"
    "$CODEBUILD_SRC_DIR/venv/bin/pip" install --quiet --disable-pip-version-check "$wheel"
    export PATH="$CODEBUILD_SRC_DIR/venv/bin:$PATH"
  EOT

  # A buildspec is YAML, and JSON is YAML. Its version is a number: where a project has batches, CodeBuild refuses a text
  # (https://github.com/aws/aws-cdk/issues/29592).
  buildspec = jsonencode({
    version = 0.2
    phases = merge(
      var.tool.wheel == null ? {} : {
        install = { "runtime-versions" = { python = "3.12" }, commands = [local.install] }
      },
      { build = { commands = [local.run] } },
    )
  })
}

module "project" {
  source = "../codebuild-project"

  name                  = local.project_name
  description           = "Brings the base images of ${var.name} up to date"
  source_code           = { type = "NO_SOURCE" }
  buildspec             = local.buildspec
  environment_type      = "ARM_CONTAINER"
  compute_type          = "BUILD_GENERAL1_SMALL"
  environment_image     = coalesce(var.tool.image, "aws/codebuild/amazonlinux-aarch64-standard:3.0")
  privileged_mode       = false
  build_timeout_minutes = 60
  # Two refreshes cannot interleave: the second one finds the lease of the first and ends. So it need not wait.
  queued_timeout_minutes = 60
  log_retention_days     = var.log_retention_days
  extra_policy           = local.policy
  batch                  = { timeout_minutes = 2160 } # `toolkit apply PLAN --batch` sets the time of its builds.
  tags                   = var.tags

  environment_variables = merge(
    { TOOLKIT_REFRESH_BUNDLE = "s3://${var.bucket}/${var.prefix}" },
    var.tool.wheel == null ? {} : { TOOLKIT_WHEEL = var.tool.wheel, TOOLKIT_WHEEL_SHA256 = var.tool.sha256 },
  )
}

# What the schedule could not start, for two weeks.
resource "aws_sqs_queue" "this" {
  name                      = local.project_name
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:The schedule holds a name and no secret, encrypted with AWS's own key.

  name                         = local.project_name
  description                  = "Brings the base images of ${var.name} up to date"
  schedule_expression          = var.schedule
  schedule_expression_timezone = var.time_zone

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.project.arn
    role_arn = aws_iam_role.this["schedule"].arn

    dead_letter_config {
      arn = aws_sqs_queue.this.arn
    }

    # A start that AWS throttles, or for which the account has no build free, is tried again for an hour.
    retry_policy {
      maximum_event_age_in_seconds = 3600
      maximum_retry_attempts       = 10
    }
  }

  depends_on = [aws_iam_role_policy.this]
}
