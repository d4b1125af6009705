mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/platform-web" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/platform-web-codebuild-eu-west-1" }
  }
}

variables {
  name        = "platform-web"
  buildspec   = "version: 0.2\n"
  source_code = { type = "GITHUB", location = "https://github.com/acme/web.git" }
}

run "a_build_pulls_its_repositories_and_writes_its_logs" {
  variables {
    repository_arns = [
      "arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub/library/nginx",
      "arn:aws:ecr:eu-west-1:123456789012:repository/base/python",
    ]
    readable_secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"]
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this["this"].policy) == {
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "WriteOwnLogs"
          Effect = "Allow"
          Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = [
            "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/platform-web",
            "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/platform-web:*",
          ]
        },
        {
          Sid      = "LogInToRegistry"
          Effect   = "Allow"
          Action   = ["ecr:GetAuthorizationToken"]
          Resource = ["*"]
        },
        {
          Sid    = "PullImages"
          Effect = "Allow"
          Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [
            "arn:aws:ecr:eu-west-1:123456789012:repository/base/python",
            "arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub/library/nginx",
          ]
        },
        {
          Sid      = "ReadSecretsByCommand"
          Effect   = "Allow"
          Action   = ["secretsmanager:GetSecretValue"]
          Resource = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"]
        },
      ]
    }
    error_message = "the role must be able to write its own logs and to pull from exactly the repositories named"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["this"].assume_role_policy) == {
      Version = "2012-10-17"
      Statement = [{
        Effect    = "Allow"
        Principal = { Service = "codebuild.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          StringEquals = {
            "aws:SourceAccount" = "123456789012"
            "aws:SourceArn"     = "arn:aws:codebuild:eu-west-1:123456789012:project/platform-web"
          }
        }
      }]
    }
    error_message = "only CodeBuild, and only for this project, may take the role"
  }

  assert {
    condition     = aws_iam_role.this["this"].name == "platform-web-codebuild-eu-west-1" && aws_iam_role.this["this"].permissions_boundary == null
    error_message = "the role must be named after project and region"
  }

  assert {
    condition     = one(values(aws_cloudwatch_log_group.this)).name == "/aws/codebuild/platform-web" && one(values(aws_cloudwatch_log_group.this)).retention_in_days == 30
    error_message = "the log group must be the project's own, kept for 30 days"
  }

  assert {
    condition = (
      aws_codebuild_project.this.service_role == aws_iam_role.this["this"].arn
      && aws_codebuild_project.this.build_timeout == 60
      && aws_codebuild_project.this.queued_timeout == 480
      && aws_codebuild_project.this.source_version == null
      && one(aws_codebuild_project.this.artifacts).type == "NO_ARTIFACTS"
      && one(one(aws_codebuild_project.this.logs_config).cloudwatch_logs).group_name == "/aws/codebuild/platform-web"
    )
    error_message = "the project must use the role and the log group made for it"
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.source).type == "GITHUB"
      && one(aws_codebuild_project.this.source).location == "https://github.com/acme/web.git"
      && one(aws_codebuild_project.this.source).buildspec == "version: 0.2\n"
    )
    error_message = "the source and the buildspec must reach the project"
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.environment).privileged_mode
      && one(aws_codebuild_project.this.environment).type == "LINUX_CONTAINER"
      && one(aws_codebuild_project.this.environment).compute_type == "BUILD_GENERAL1_SMALL"
      && one(aws_codebuild_project.this.environment).image_pull_credentials_type == "CODEBUILD"
      && length(one(aws_codebuild_project.this.environment).environment_variable) == 0
    )
    error_message = "by default the build must run privileged in CodeBuild's own image"
  }

  assert {
    condition = (
      output.name == "platform-web"
      && output.arn == aws_codebuild_project.this.arn
      && output.role_name == aws_iam_role.this["this"].name
      && output.role_arn == aws_iam_role.this["this"].arn
      && output.log_group_name == "/aws/codebuild/platform-web"
    )
    error_message = "the outputs must be those of the resources"
  }
}

run "every_setting_reaches_its_resource" {
  variables {
    description            = "The web shop"
    source_code            = { type = "BITBUCKET", location = "https://bitbucket.org/acme/web.git", version = "main", git_clone_depth = 1 }
    compute_type           = "BUILD_GENERAL1_LARGE"
    environment_type       = "ARM_CONTAINER"
    environment_image      = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/builder:7"
    environment_variables  = { TOOLKIT_ECR_REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com", A = "$${not a template}" }
    privileged_mode        = false
    build_timeout_minutes  = 2160
    queued_timeout_minutes = 5
    log_retention_days     = 0
    permissions_boundary   = "arn:aws:iam::123456789012:policy/boundary"
    tags                   = { team = "platform" }
  }

  assert {
    condition = (
      aws_codebuild_project.this.description == "The web shop"
      && aws_codebuild_project.this.source_version == "main"
      && aws_codebuild_project.this.build_timeout == 2160
      && aws_codebuild_project.this.queued_timeout == 5
      && one(aws_codebuild_project.this.source).type == "BITBUCKET"
      && one(aws_codebuild_project.this.source).git_clone_depth == 1
      && one(values(aws_cloudwatch_log_group.this)).retention_in_days == 0
      && aws_iam_role.this["this"].permissions_boundary == "arn:aws:iam::123456789012:policy/boundary"
    )
    error_message = "a setting was lost on the way"
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.environment).compute_type == "BUILD_GENERAL1_LARGE"
      && one(aws_codebuild_project.this.environment).type == "ARM_CONTAINER"
      && !one(aws_codebuild_project.this.environment).privileged_mode
      && [for variable in one(aws_codebuild_project.this.environment).environment_variable : "${variable.name}=${variable.value}"] == [
        "A=$${not a template}",
        "TOOLKIT_ECR_REGISTRY=123456789012.dkr.ecr.eu-west-1.amazonaws.com",
      ]
    )
    error_message = "a setting of the environment was lost on the way"
  }

  assert {
    condition     = one(aws_codebuild_project.this.environment).image_pull_credentials_type == "SERVICE_ROLE"
    error_message = "an image that is not CodeBuild's own must be pulled with the role"
  }

  assert {
    condition = alltrue([
      for tags in [aws_codebuild_project.this.tags, aws_iam_role.this["this"].tags, one(values(aws_cloudwatch_log_group.this)).tags] : tags == tomap({ team = "platform" })
    ])
    error_message = "every resource must carry the tags"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[2].Resource == ["arn:aws:ecr:eu-west-1:123456789012:repository/builder"]
    error_message = "the build must be able to pull the image that it runs in, and nothing else"
  }
}

run "a_dual_stack_host_of_ecr_is_ecr" {
  variables {
    environment_image = "123456789012.dkr-ecr.eu-west-1.on.aws/builder:7"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[2].Resource == ["arn:aws:ecr:eu-west-1:123456789012:repository/builder"]
    error_message = "the build must be able to pull the image that it runs in"
  }
}

run "a_fips_host_of_ecr_is_ecr" {
  variables {
    environment_image = "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com/team/builder@sha256:0123"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[2].Resource == ["arn:aws:ecr:us-east-1:123456789012:repository/team/builder"]
    error_message = "the build must be able to pull the image that it runs in"
  }
}

run "an_s3_folder_may_be_read_and_nothing_beside_it" {
  variables {
    source_code = { type = "S3", location = "acme-code/web/" }
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this["this"].policy).Statement, 1, 3) == [
      {
        Sid      = "ReadSourceObjects"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = ["arn:aws:s3:::acme-code/web/*"]
      },
      {
        Sid      = "FindSourceBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = ["arn:aws:s3:::acme-code"]
      },
    ]
    error_message = "only the folder must be readable"
  }
}

run "a_codecommit_repository_may_be_read_in_its_own_region" {
  variables {
    source_code = { type = "CODECOMMIT", location = "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/acme.web" }
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[1].Resource == ["arn:aws:codecommit:us-east-1:123456789012:acme.web"]
    error_message = "only the repository itself must be readable"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[1].Action == ["codecommit:GitPull"]
    error_message = "the source must be readable and not writable"
  }
}

run "a_long_name_gives_a_valid_role_name" {
  command = plan

  variables {
    name        = "a${join("", [for i in range(149) : "1"])}"
    source_code = { type = "NO_SOURCE" }
  }

  assert {
    condition     = length(aws_iam_role.this["this"].name) == 64 && startswith(aws_iam_role.this["this"].name, "a1111111")
    error_message = "IAM allows 64 characters"
  }

  assert {
    condition     = endswith(aws_iam_role.this["this"].name, substr(sha256("${var.name}-codebuild-eu-west-1"), 0, 8))
    error_message = "the hash of the whole name must keep two long names apart"
  }
}
