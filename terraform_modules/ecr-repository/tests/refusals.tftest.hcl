mock_provider "aws" {}

# A run starts the provider anew, about a second of CPU; so one run spoils several variables, and each must be refused.
variables {
  name = "nginx"
}

run "what_is_too_short_or_unknown_is_refused" {
  command = plan

  variables {
    name                       = "a"
    tag_mutability             = "mutable"
    encryption_type            = "DES"
    kms_key                    = "alias/images"
    expire_untagged_after_days = 0
    pull_principals            = ["*"]
    organization_id            = "ou-a1b2-c3d4e5f6"
  }

  expect_failures = [var.name, var.tag_mutability, var.encryption_type, var.kms_key, var.expire_untagged_after_days, var.pull_principals, var.organization_id]
}

run "a_name_too_long_half_a_day_and_a_principal_with_a_wildcard_are_refused" {
  command = plan

  variables {
    name                       = join("", [for i in range(257) : "a"])
    expire_untagged_after_days = 1.5
    pull_principals            = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.name, var.expire_untagged_after_days, var.pull_principals]
}

run "a_name_in_upper_case_and_an_account_id_of_eleven_digits_are_refused" {
  command = plan

  variables {
    name            = "Nginx"
    pull_principals = ["12345678901"]
  }

  expect_failures = [var.name, var.pull_principals]
}

run "a_name_with_two_separators_in_a_row_is_refused" {
  command = plan

  variables {
    name = "a//nginx"
  }

  expect_failures = [var.name]
}

run "a_name_with_a_tag_is_refused" {
  command = plan

  variables {
    name = "nginx:1.16"
  }

  expect_failures = [var.name]
}

run "a_key_without_kms_encryption_is_refused" {
  command = plan

  variables {
    kms_key = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }

  expect_failures = [aws_ecr_repository.this]
}

run "statements_that_let_everybody_in_or_name_nobody_are_refused" {
  command = plan

  variables {
    policy_statements = [
      { principals = { aws = ["*"] }, actions = ["ecr:BatchGetImage"] },
      { effect = "allow", principals = {}, actions = ["s3:GetObject"] },
    ]
    tag_mutability_exclusions = ["a*b*c*"]
  }

  expect_failures = [var.policy_statements, var.tag_mutability_exclusions]
}

run "exclusions_without_the_file_for_provider_6_are_refused" {
  command = plan

  variables {
    tag_mutability_exclusions = ["latest"]
  }

  expect_failures = [aws_ecr_repository.this]
}

# The edge of ECR's grammar, so that the refusals above do not refuse too much.
run "a_long_name_with_every_separator_is_accepted" {
  command = plan

  variables {
    name = "a1.b_c__d-e--f---g/h/${join("", [for i in range(235) : "0"])}"
  }

  assert {
    condition     = length(aws_ecr_repository.this.name) == 256
    error_message = "ECR allows these 256 characters"
  }
}
