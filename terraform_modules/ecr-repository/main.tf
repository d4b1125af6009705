locals {
  pull_actions = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
  ]

  # An account's root ARN and its bare id mean the same. One spelling, without duplicates and sorted, keeps the second
  # plan empty.
  root_of_account = "/^arn:[^:]+:iam::([0-9]{12}):root$/"
  pull_principals = distinct(sort([
    for principal in var.pull_principals : replace(principal, local.root_of_account, "$1")
  ]))

  principal_statements = length(var.pull_principals) == 0 ? [] : [{
    Sid       = "PullByPrincipals"
    Effect    = "Allow"
    Principal = { AWS = local.pull_principals }
    Action    = local.pull_actions
  }]

  organization_statements = var.organization_id == null ? [] : [{
    Sid       = "PullByOrganization"
    Effect    = "Allow"
    Principal = { AWS = "*" }
    Action    = local.pull_actions
    Condition = { StringEquals = { "aws:PrincipalOrgID" = var.organization_id } }
  }]

  extra_statements = [
    for statement in var.policy_statements : { for name, value in {
      Sid    = statement.sid
      Effect = statement.effect
      Principal = { for kind, names in {
        AWS     = [for name in statement.principals.aws : replace(name, local.root_of_account, "$1")]
        Service = statement.principals.services
      } : kind => distinct(sort(names)) if length(names) > 0 }
      Action    = statement.actions
      Condition = length(statement.conditions) > 0 ? statement.conditions : null
    } : name => value if value != null }
  ]

  # Provider 5 has no exclusion filters and refuses their block; the file in `provider-6.8` overrides this value.
  takes_exclusions = false

  tag_mutability = length(var.tag_mutability_exclusions) == 0 ? var.tag_mutability : "${var.tag_mutability}_WITH_EXCLUSION"
}

resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_51:A tag follows its upstream by default; `tag_mutability` makes it immutable.
  #checkov:skip=CKV_AWS_136:The key of S3 by default, because ECR cannot change it later; `encryption_type` takes KMS.
  #checkov:skip=CKV_AWS_163:On by default; a repository whose images are scanned elsewhere turns `scan_on_push` off.

  name                 = var.name
  image_tag_mutability = local.tag_mutability
  force_delete         = var.force_delete
  tags                 = var.tags

  encryption_configuration {
    encryption_type = var.encryption_type
    kms_key         = var.kms_key
  }

  image_scanning_configuration {
    scan_on_push = var.scan_on_push
  }

  lifecycle {
    precondition {
      condition     = length(var.tag_mutability_exclusions) == 0 || local.takes_exclusions
      error_message = "The repository `${var.name}` has `tag_mutability_exclusions`, which need the AWS provider 6.8: put the file in `provider-6.8` beside this module's main.tf."
    }

    precondition {
      condition     = var.kms_key == null || var.encryption_type == "KMS"
      error_message = "The repository `${var.name}` has a `kms_key`, so its encryption type must be `KMS`."
    }
  }
}

# Untagged images only: ECR's rules by count would also count the children of an index, and break seeded images.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = toset(var.expire_untagged_after_days == null ? [] : ["this"])

  repository = aws_ecr_repository.this.name

  # `jsonencode` instead of a data source: it saves a provider call and gives the same text every time.
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Expire untagged images after ${var.expire_untagged_after_days} days"
      selection = {
        tagStatus   = "untagged"
        countType   = "sinceImagePushed"
        countUnit   = "days"
        countNumber = var.expire_untagged_after_days
      }
      action = { type = "expire" }
    }]
  })

  # A replaced repository has the same name, so Terraform would not notice that the policy was deleted with the old one.
  lifecycle {
    replace_triggered_by = [aws_ecr_repository.this.id]
  }
}

resource "aws_ecr_repository_policy" "this" {
  # The number of principals is known at plan time even when their ARNs are not yet.
  for_each = toset(length(var.pull_principals) > 0 || var.organization_id != null || length(var.policy_statements) > 0 ? ["this"] : [])

  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = concat(local.principal_statements, local.organization_statements, local.extra_statements)
  })

  # As above: the policy is deleted with the old repository.
  lifecycle {
    replace_triggered_by = [aws_ecr_repository.this.id]
  }
}
