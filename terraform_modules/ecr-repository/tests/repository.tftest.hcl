mock_provider "aws" {}

variables {
  name = "docker-hub/library/nginx"
}

run "defaults_make_a_scanned_mutable_repository_and_nothing_else" {
  assert {
    condition     = aws_ecr_repository.this.name == "docker-hub/library/nginx"
    error_message = "the name must be passed on as it is"
  }

  assert {
    condition = (
      aws_ecr_repository.this.image_tag_mutability == "MUTABLE"
      && aws_ecr_repository.this.force_delete == false
      && one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
      && one(aws_ecr_repository.this.encryption_configuration).encryption_type == "AES256"
    )
    error_message = "the defaults must be mutable, scanned, AES256 and safe to delete"
  }

  assert {
    condition     = length(aws_ecr_lifecycle_policy.this) == 0
    error_message = "without days there must be no lifecycle policy"
  }

  assert {
    condition     = length(aws_ecr_repository_policy.this) == 0
    error_message = "without anybody else to pull there must be no repository policy"
  }

  assert {
    condition = (
      output.name == aws_ecr_repository.this.name
      && output.arn == aws_ecr_repository.this.arn
      && output.repository_url == aws_ecr_repository.this.repository_url
      && output.registry_id == aws_ecr_repository.this.registry_id
    )
    error_message = "the outputs must be those of the repository"
  }
}

run "every_setting_reaches_the_repository" {
  command = plan

  variables {
    tag_mutability  = "IMMUTABLE"
    scan_on_push    = false
    encryption_type = "KMS"
    kms_key         = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    force_delete    = true
    tags            = { team = "platform" }
  }

  assert {
    condition = (
      aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE"
      && aws_ecr_repository.this.force_delete
      && !one(aws_ecr_repository.this.image_scanning_configuration).scan_on_push
      && one(aws_ecr_repository.this.encryption_configuration).encryption_type == "KMS"
      && one(aws_ecr_repository.this.encryption_configuration).kms_key == var.kms_key
      && aws_ecr_repository.this.tags == tomap({ team = "platform" })
    )
    error_message = "a setting was lost on the way"
  }
}

run "untagged_images_expire_after_the_days_asked_for" {
  command = plan

  variables {
    expire_untagged_after_days = 14
  }

  assert {
    condition = jsondecode(aws_ecr_lifecycle_policy.this["this"].policy) == {
      rules = [{
        rulePriority = 1
        description  = "Expire untagged images after 14 days"
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 14 }
        action       = { type = "expire" }
      }]
    }
    error_message = "the lifecycle policy must expire untagged images after 14 days, and no others"
  }
}

run "principals_may_pull_and_nothing_more" {
  command = plan

  variables {
    pull_principals = [
      "arn:aws:iam::210987654321:root",
      "arn:aws:iam::123456789012:role/ci/builder",
      "210987654321",
    ]
  }

  assert {
    condition = jsondecode(aws_ecr_repository_policy.this["this"].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "PullByPrincipals"
        Effect    = "Allow"
        Principal = { AWS = ["210987654321", "arn:aws:iam::123456789012:role/ci/builder"] }
        Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      }]
    }
    error_message = "the policy must name each principal once, in order, and only the actions of a pull"
  }
}

run "an_organization_may_pull_through_its_condition" {
  command = plan

  variables {
    organization_id = "o-a1b2c3d4e5"
  }

  assert {
    condition = jsondecode(aws_ecr_repository_policy.this["this"].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "PullByOrganization"
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Condition = { StringEquals = { "aws:PrincipalOrgID" = "o-a1b2c3d4e5" } }
      }]
    }
    error_message = "everybody may pull only with the condition on the organization"
  }
}

run "principals_and_an_organization_are_two_statements" {
  command = plan

  variables {
    pull_principals = ["210987654321"]
    organization_id = "o-a1b2c3d4e5"
  }

  assert {
    condition     = jsondecode(aws_ecr_repository_policy.this["this"].policy).Statement[*].Sid == ["PullByPrincipals", "PullByOrganization"]
    error_message = "both must be in the policy"
  }
}

run "extra_statements_come_after_ours_with_what_they_say_and_no_more" {
  command = plan

  variables {
    pull_principals = ["210987654321"]
    policy_statements = [
      { principals = { services = ["codebuild.amazonaws.com"] }, actions = ["ecr:BatchGetImage"] },
      {
        sid        = "OnlyCi"
        effect     = "Deny"
        principals = { aws = ["arn:aws:iam::345678901234:root", "210987654321"] }
        actions    = ["ecr:PutImage", "ecr:BatchDeleteImage"]
        conditions = { StringNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/ci-*"] } }
      },
    ]
  }

  assert {
    condition = slice(jsondecode(aws_ecr_repository_policy.this["this"].policy).Statement, 1, 3) == [
      { Effect = "Allow", Principal = { Service = ["codebuild.amazonaws.com"] }, Action = ["ecr:BatchGetImage"] },
      {
        Sid       = "OnlyCi"
        Effect    = "Deny"
        Principal = { AWS = ["210987654321", "345678901234"] }
        Action    = ["ecr:PutImage", "ecr:BatchDeleteImage"]
        Condition = { StringNotLike = { "aws:PrincipalArn" = ["arn:aws:iam::123456789012:role/ci-*"] } }
      },
    ]
    error_message = "a statement must be in the policy as it was given"
  }
}

run "extra_statements_alone_make_a_policy" {
  command = plan

  variables {
    policy_statements = [{ effect = "Deny", principals = { aws = ["*"] }, actions = ["ecr:*"] }]
  }

  assert {
    condition     = jsondecode(aws_ecr_repository_policy.this["this"].policy).Statement == [{ Effect = "Deny", Principal = { AWS = ["*"] }, Action = ["ecr:*"] }]
    error_message = "the policy must be that statement"
  }
}
