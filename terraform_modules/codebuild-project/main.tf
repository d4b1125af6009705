data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition

  # `id` is the region in providers 5 and 6; `name` is deprecated in 6 and its successor is unknown to 5.
  region = data.aws_region.current.id

  # Written out, because the role must name the project before the project can name the role.
  project_arn = "arn:${local.partition}:codebuild:${local.region}:${local.account_id}:project/${var.name}"

  # Roles are global and have 64 characters: the region keeps two projects of one name apart, the hash two long names.
  full_role_name = "${var.name}-codebuild-${local.region}"
  role_name = (
    length(local.full_role_name) <= 64
    ? local.full_role_name
    : "${substr(local.full_role_name, 0, 55)}-${substr(sha256(local.full_role_name), 0, 8)}"
  )

  is_git = !contains(["S3", "NO_SOURCE"], var.source_code.type)

  # CodeBuild pulls its own images with its own rights, and any other with the role's.
  image_pull_credentials_type = startswith(var.environment_image, "aws/codebuild/") ? "CODEBUILD" : "SERVICE_ROLE"

  log_statements = [{
    Sid      = "WriteOwnLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = [aws_cloudwatch_log_group.this.arn, "${aws_cloudwatch_log_group.this.arn}:*"]
  }]

  pull_statements = length(var.repository_arns) == 0 ? [] : [
    {
      Sid      = "LogInToRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = ["*"] # AWS knows no narrower resource for this action.
    },
    {
      Sid      = "PullImages"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = sort(var.repository_arns)
    },
  ]

  readable_secret_statements = length(var.readable_secret_arns) == 0 ? [] : [{
    Sid      = "ReadSecretsByCommand"
    Effect   = "Allow"
    Action   = ["secretsmanager:GetSecretValue"]
    Resource = sort(var.readable_secret_arns)
  }]

  s3_statements = var.source_code.type != "S3" ? [] : [
    {
      Sid      = "ReadSourceObjects"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = ["arn:${local.partition}:s3:::${var.source_code.location}${endswith(var.source_code.location, "/") ? "*" : ""}"]
    },
    {
      Sid      = "FindSourceBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
      Resource = ["arn:${local.partition}:s3:::${split("/", var.source_code.location)[0]}"]
    },
  ]

  # The region of `git-codecommit.<region>.…` and the name after the last `/`.
  codecommit_statements = var.source_code.type != "CODECOMMIT" ? [] : [{
    Sid      = "ReadSourceRepository"
    Effect   = "Allow"
    Action   = ["codecommit:GitPull"]
    Resource = ["arn:${local.partition}:codecommit:${split(".", var.source_code.location)[1]}:${local.account_id}:${basename(var.source_code.location)}"]
  }]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/codebuild/${var.name}"
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "this" {
  name                 = local.role_name
  description          = "Builds of the CodeBuild project ${var.name}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account_id
          "aws:SourceArn"     = local.project_arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "build"
  role = aws_iam_role.this.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.log_statements,
      local.pull_statements,
      local.readable_secret_statements,
      local.s3_statements,
      local.codecommit_statements,
    )
  })
}

resource "aws_codebuild_project" "this" {
  name           = var.name
  description    = var.description
  service_role   = aws_iam_role.this.arn
  source_version = var.source_code.version
  build_timeout  = var.build_timeout_minutes
  queued_timeout = var.queued_timeout_minutes
  tags           = var.tags

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    compute_type                = var.compute_type
    type                        = var.environment_type
    image                       = var.environment_image
    image_pull_credentials_type = local.image_pull_credentials_type
    privileged_mode             = var.privileged_mode

    dynamic "environment_variable" {
      for_each = var.environment_variables

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }

  source {
    type            = var.source_code.type
    location        = var.source_code.location
    git_clone_depth = local.is_git ? coalesce(var.source_code.git_clone_depth, 0) : null
    buildspec       = var.buildspec
  }

  # A build may start as soon as the project exists, and then needs the role's rights.
  depends_on = [aws_iam_role_policy.this]
}
