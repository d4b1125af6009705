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
    defaults = { arn = "arn:aws:iam::123456789012:role/a-role" }
  }
}

variables {
  name        = "platform-web"
  buildspec   = "version: 0.2\n"
  source_code = { type = "GITHUB", location = "https://github.com/acme/web.git" }
}

run "by_default_there_is_nothing_that_was_not_asked_for" {
  assert {
    condition = (
      length(aws_codebuild_webhook.this) == 0 && length(aws_iam_role.batch) == 0 && length(aws_iam_role_policy.extra) == 0
      && length(aws_codebuild_project.this.build_batch_config) == 0 && length(aws_codebuild_project.this.vpc_config) == 0
      && length(aws_codebuild_project.this.cache) == 0 && length(one(aws_codebuild_project.this.logs_config).s3_logs) == 0
      && length(one(aws_codebuild_project.this.environment).fleet) == 0 && length(one(aws_codebuild_project.this.source).auth) == 0 && length(one(aws_codebuild_project.this.source).git_submodules_config) == 0
      && one(aws_codebuild_project.this.artifacts).type == "NO_ARTIFACTS" && !aws_codebuild_project.this.badge_enabled
    )
    error_message = "a project must be what was asked for"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[*].Sid == ["WriteOwnLogs"]
    error_message = "a build without repositories must be able to write its logs and nothing else"
  }
}

run "a_connection_authorises_the_source_and_starts_builds" {
  variables {
    source_code = {
      type                = "GITLAB"
      location            = "https://gitlab.com/acme/tools/web.git"
      report_build_status = true
      connection          = "arn:aws:codestar-connections:eu-west-1:123456789012:connection/0a1b"
    }
    badge_enabled = true
    webhook = {
      filter_groups = [
        [{ type = "EVENT", pattern = "PUSH" }, { type = "HEAD_REF", pattern = "^refs/heads/main$" }],
        [{ type = "EVENT", pattern = "PULL_REQUEST_CREATED" }, { type = "FILE_PATH", pattern = "^docs/", exclude = true }],
      ]
    }
  }

  assert {
    condition = (
      one(one(aws_codebuild_project.this.source).auth) == { type = "CODECONNECTIONS", resource = var.source_code.connection }
      && one(aws_codebuild_project.this.source).report_build_status && aws_codebuild_project.this.badge_enabled
    )
    error_message = "the source must be read through the connection"
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this["this"].policy).Statement, 1, 3) == [
      {
        Sid      = "ReadSourceConnection"
        Effect   = "Allow"
        Action   = ["codestar-connections:GetConnection", "codestar-connections:GetConnectionToken"]
        Resource = ["arn:aws:codestar-connections:eu-west-1:123456789012:connection/0a1b"]
      },
      {
        Sid       = "UseSourceConnection"
        Effect    = "Allow"
        Action    = ["codestar-connections:UseConnection"]
        Resource  = ["arn:aws:codestar-connections:eu-west-1:123456789012:connection/0a1b"]
        Condition = { StringEqualsIgnoreCaseIfExists = { "codestar-connections:FullRepositoryId" = "acme/tools/web" } }
      },
    ]
    error_message = "the role must be able to use the connection, by the prefix that it has, and for its own repository"
  }

  assert {
    condition = (
      aws_codebuild_webhook.this["this"].project_name == "platform-web" && aws_codebuild_webhook.this["this"].build_type == "BUILD"
      && toset([for group in aws_codebuild_webhook.this["this"].filter_group : join(" ", [for filter in group.filter : "${filter.type}=${filter.pattern},${filter.exclude_matched_pattern}"])])
      == toset(["EVENT=PUSH,false HEAD_REF=^refs/heads/main$,false", "EVENT=PULL_REQUEST_CREATED,false FILE_PATH=^docs/,true"])
    )
    error_message = "the webhook must have its filters, in their groups"
  }
}

run "a_secret_authorises_the_source_and_fills_variables" {
  variables {
    source_code = {
      type             = "BITBUCKET"
      location         = "https://bitbucket.org/acme/web.git"
      fetch_submodules = true
      secret           = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:git-AbCdEf"
    }
    environment_variables = { A = "a" }
    parameter_variables   = { P = "/web/license", Q = "license" }
    secret_variables = {
      S = "web/token:json-key"
      T = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf:json-key:AWSCURRENT:"
      U = "web/token"
    }
  }

  assert {
    condition = (
      one(one(aws_codebuild_project.this.source).auth) == { type = "SECRETS_MANAGER", resource = var.source_code.secret }
      && one(one(aws_codebuild_project.this.source).git_submodules_config).fetch_submodules
      && [for variable in one(aws_codebuild_project.this.environment).environment_variable : "${variable.name} ${variable.type} ${variable.value}"] == [
        "A PLAINTEXT a",
        "P PARAMETER_STORE /web/license",
        "Q PARAMETER_STORE license",
        "S SECRETS_MANAGER web/token:json-key",
        "T SECRETS_MANAGER arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf:json-key:AWSCURRENT:",
        "U SECRETS_MANAGER web/token",
      ]
    )
    error_message = "secrets and parameters must be named, never read"
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this["this"].policy).Statement, 1, 3) == [
      {
        Sid    = "ReadSecrets"
        Effect = "Allow"
        Action = ["secretsmanager:GetSecretValue"]
        Resource = [
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:git-AbCdEf",
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf",
          "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web/token-??????",
        ]
      },
      {
        Sid    = "ReadParameters"
        Effect = "Allow"
        Action = ["ssm:GetParameters"]
        Resource = [
          "arn:aws:ssm:eu-west-1:123456789012:parameter/license",
          "arn:aws:ssm:eu-west-1:123456789012:parameter/web/license",
        ]
      },
    ]
    error_message = "exactly the secrets and parameters that are named must be readable"
  }
}

run "a_pipeline_s_build_exchanges_artifacts_with_its_bucket" {
  variables {
    source_code = { type = "CODEPIPELINE", pipeline_bucket = "acme-pipeline", pipeline = "a-name-of-more-than-20-characters" }
    kms_key     = "arn:aws:kms:eu-west-1:123456789012:key/0a1b"
  }

  assert {
    condition     = one(aws_codebuild_project.this.source).type == "CODEPIPELINE" && one(aws_codebuild_project.this.artifacts).type == "CODEPIPELINE" && aws_codebuild_project.this.encryption_key == var.kms_key
    error_message = "source and artifacts must both be the pipeline's"
  }

  assert {
    condition = slice(jsondecode(aws_iam_role_policy.this["this"].policy).Statement, 1, 5) == [
      {
        Sid      = "ExchangePipelineArtifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
        Resource = ["arn:aws:s3:::acme-pipeline/a-name-of-more-than-/*"]
      },
      {
        Sid      = "FindPipelineBucket"
        Effect   = "Allow"
        Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
        Resource = ["arn:aws:s3:::acme-pipeline"]
      },
      {
        Sid      = "LookAtKey"
        Effect   = "Allow"
        Action   = ["kms:DescribeKey"]
        Resource = ["arn:aws:kms:eu-west-1:123456789012:key/0a1b"]
      },
      {
        Sid       = "UseKeyThroughS3"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = ["arn:aws:kms:eu-west-1:123456789012:key/0a1b"]
        Condition = { StringEquals = { "kms:ViaService" = "s3.eu-west-1.amazonaws.com" } }
      },
    ]
    error_message = "the build must be able to use its pipeline's part of the bucket, and its key through S3"
  }
}

run "the_cache_of_pull_requests_is_apart" {
  variables {
    source_code = { type = "GITHUB", location = "https://github.com/acme/web.git" }
    cache       = { location = "acme-cache/web/" }
    webhook     = { filter_groups = [[{ type = "EVENT", pattern = "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED" }]] }
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.cache).location == "acme-cache/web/pull-requests"
      && jsondecode(aws_iam_role_policy.this["this"].policy).Statement[1].Resource == ["arn:aws:s3:::acme-cache/web/pull-requests/*"]
    )
    error_message = "a pull request must not be able to write what other builds read"
  }
}

run "cache_logs_and_artifacts_in_s3_have_their_own_folders" {
  variables {
    cache            = { location = "acme-cache/web" }
    s3_logs_location = "acme-logs/builds/"
    artifacts        = { bucket = "acme-out", path = "/web/", name = "site.zip", namespace_type = "BUILD_ID", packaging = "ZIP", override_name = true }
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.cache).type == "S3" && one(aws_codebuild_project.this.cache).location == "acme-cache/web"
      && one(one(aws_codebuild_project.this.logs_config).s3_logs).location == "acme-logs/builds/" && one(one(aws_codebuild_project.this.logs_config).s3_logs).status == "ENABLED"
      && one(aws_codebuild_project.this.artifacts).type == "S3" && one(aws_codebuild_project.this.artifacts).location == "acme-out"
      && one(aws_codebuild_project.this.artifacts).path == "/web/" && one(aws_codebuild_project.this.artifacts).name == "site.zip"
      && one(aws_codebuild_project.this.artifacts).namespace_type == "BUILD_ID" && one(aws_codebuild_project.this.artifacts).packaging == "ZIP"
      && one(aws_codebuild_project.this.artifacts).override_artifact_name
    )
    error_message = "a setting was lost on the way"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.this["this"].policy).Statement : "${join(" ", statement.Action)} ${join(" ", statement.Resource)}" if statement.Sid != "WriteOwnLogs"] == [
      "s3:GetObject s3:PutObject arn:aws:s3:::acme-cache/web/*",
      "s3:GetBucketLocation s3:ListBucket arn:aws:s3:::acme-cache",
      "s3:PutObject arn:aws:s3:::acme-logs/builds/*",
      "s3:GetBucketAcl s3:GetBucketLocation arn:aws:s3:::acme-logs",
      "s3:PutObject arn:aws:s3:::acme-out/web/*",
      "s3:GetBucketAcl s3:GetBucketLocation arn:aws:s3:::acme-out",
    ]
    error_message = "each folder must be usable, and nothing beside it"
  }
}

run "a_local_cache_needs_no_rights" {
  variables {
    cache = { modes = ["LOCAL_SOURCE_CACHE", "LOCAL_DOCKER_LAYER_CACHE"] }
  }

  assert {
    condition     = one(aws_codebuild_project.this.cache).type == "LOCAL" && one(aws_codebuild_project.this.cache).modes == tolist(["LOCAL_SOURCE_CACHE", "LOCAL_DOCKER_LAYER_CACHE"])
    error_message = "the modes must be the project's"
  }

  assert {
    condition     = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[*].Sid == ["WriteOwnLogs"]
    error_message = "a cache on the build machine needs nothing of the role"
  }
}

run "a_build_in_a_vpc_may_handle_interfaces_in_its_subnets_only" {
  variables {
    vpc = { id = "vpc-0a1b", subnets = ["subnet-0b", "subnet-0a"], security_groups = ["sg-0a"] }
  }

  assert {
    condition     = one(aws_codebuild_project.this.vpc_config).vpc_id == "vpc-0a1b" && one(aws_codebuild_project.this.vpc_config).subnets == toset(["subnet-0a", "subnet-0b"]) && one(aws_codebuild_project.this.vpc_config).security_group_ids == toset(["sg-0a"])
    error_message = "the project must be in the VPC"
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this["this"].policy).Statement : statement.Sid if contains(statement.Resource, "*")] == ["LookAtNetwork"]
    error_message = "only looking at the network may be unbounded"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[2] == {
      Sid    = "CreateNetworkInterfaces"
      Effect = "Allow"
      Action = ["ec2:CreateNetworkInterface"]
      Resource = [
        "arn:aws:ec2:eu-west-1:123456789012:network-interface/*",
        "arn:aws:ec2:eu-west-1:*:security-group/sg-0a",
        "arn:aws:ec2:eu-west-1:*:subnet/subnet-0a",
        "arn:aws:ec2:eu-west-1:*:subnet/subnet-0b",
      ]
    }
    error_message = "interfaces must be made in these subnets and groups only"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this["this"].policy).Statement[4] == {
      Sid      = "LendNetworkInterfaces"
      Effect   = "Allow"
      Action   = ["ec2:CreateNetworkInterfacePermission"]
      Resource = ["arn:aws:ec2:eu-west-1:123456789012:network-interface/*"]
      Condition = {
        StringEquals = { "ec2:AuthorizedService" = "codebuild.amazonaws.com" }
        ArnLike      = { "ec2:Subnet" = ["arn:aws:ec2:eu-west-1:*:subnet/subnet-0a", "arn:aws:ec2:eu-west-1:*:subnet/subnet-0b"] }
      }
    }
    error_message = "interfaces must be lent to CodeBuild only"
  }
}

run "a_batch_is_run_by_a_role_that_can_do_just_that" {
  variables {
    buildspec              = "buildspec.yml"
    batch                  = { timeout_minutes = 30, maximum_builds = 4, compute_types = ["BUILD_GENERAL1_SMALL"], combine_artifacts = true }
    webhook                = { build_type = "BUILD_BATCH" }
    concurrent_build_limit = 2
    fleet                  = "arn:aws:codebuild:eu-west-1:123456789012:fleet/own:0a1b"
    permissions_boundary   = "arn:aws:iam::123456789012:policy/boundary"
  }

  assert {
    condition = (
      one(aws_codebuild_project.this.build_batch_config).service_role == aws_iam_role.batch["this"].arn
      && one(aws_codebuild_project.this.build_batch_config).timeout_in_mins == 30 && one(aws_codebuild_project.this.build_batch_config).combine_artifacts
      && one(one(aws_codebuild_project.this.build_batch_config).restrictions).maximum_builds_allowed == 4
      && one(one(aws_codebuild_project.this.build_batch_config).restrictions).compute_types_allowed == tolist(["BUILD_GENERAL1_SMALL"])
      && one(one(aws_codebuild_project.this.environment).fleet).fleet_arn == var.fleet
      && aws_codebuild_project.this.concurrent_build_limit == 2 && one(aws_codebuild_project.this.source).buildspec == "buildspec.yml"
      && aws_codebuild_webhook.this["this"].build_type == "BUILD_BATCH" && length(aws_codebuild_webhook.this["this"].filter_group) == 0
    )
    error_message = "a setting was lost on the way"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.batch["this"].policy).Statement == [{
      Sid      = "RunBuildsOfBatch"
      Effect   = "Allow"
      Action   = ["codebuild:RetryBuild", "codebuild:StartBuild", "codebuild:StopBuild"]
      Resource = ["arn:aws:codebuild:eu-west-1:123456789012:project/platform-web"]
    }]
    error_message = "the batch's role must be able to run this project's builds and nothing else"
  }

  assert {
    condition     = aws_iam_role.batch["this"].name == "platform-web-batch-eu-west-1" && aws_iam_role.batch["this"].assume_role_policy == aws_iam_role.this["this"].assume_role_policy && aws_iam_role.batch["this"].permissions_boundary == var.permissions_boundary
    error_message = "the batch's role must be as bounded and as trusting as the project's"
  }
}

run "what_else_a_build_may_do_is_a_policy_of_its_own" {
  variables {
    extra_policy = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\"],\"Resource\":[\"arn:aws:s3:::a/b\"]}]}"
  }

  assert {
    condition     = aws_iam_role_policy.extra["this"].policy == var.extra_policy && aws_iam_role_policy.extra["this"].role == aws_iam_role.this["this"].name
    error_message = "the policy must be the role's, as it was given"
  }
}

run "an_existing_role_is_used_and_none_is_made" {
  variables {
    service_role_arn = "arn:aws:iam::123456789012:role/ci/builds"
    batch            = {}
    log_kms_key      = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }

  assert {
    condition = (
      aws_codebuild_project.this.service_role == var.service_role_arn
      && one(aws_codebuild_project.this.build_batch_config).service_role == var.service_role_arn
      && output.role_arn == var.service_role_arn && output.role_name == null
    )
    error_message = "builds and batches must run as the given role"
  }

  assert {
    condition     = length(aws_iam_role.this) + length(aws_iam_role.batch) + length(aws_iam_role_policy.this) + length(aws_iam_role_policy.extra) + length(aws_iam_role_policy.batch) == 0
    error_message = "no role and no policy may be made"
  }

  assert {
    condition     = one(values(aws_cloudwatch_log_group.this)).kms_key_id == var.log_kms_key
    error_message = "the log group must be encrypted with the key"
  }
}

run "a_machine_builds_in_no_container" {
  command = plan

  variables {
    environment_type  = "ARM_EC2"
    compute_type      = "BUILD_GENERAL1_LARGE"
    environment_image = "aws/codebuild/ami/amazonlinux-arm-base:latest"
    privileged_mode   = false
  }

  assert {
    condition     = one(aws_codebuild_project.this.environment).type == "ARM_EC2" && !one(aws_codebuild_project.this.environment).privileged_mode
    error_message = "the machine must be as asked for"
  }
}
