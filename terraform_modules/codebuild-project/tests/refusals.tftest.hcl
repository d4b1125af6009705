mock_provider "aws" {}

# A run starts the provider anew, about a second of CPU; so one run spoils several variables, and each must be refused.
variables {
  name        = "web"
  buildspec   = "version: 0.2\n"
  source_code = { type = "GITHUB", location = "https://github.com/acme/web.git" }
}

run "what_is_too_short_or_unknown_is_refused" {
  command = plan

  variables {
    name                   = "a"
    description            = join("", [for i in range(256) : "a"])
    source_code            = { type = "GIT", location = "x" }
    buildspec              = " \n"
    repository_arns        = ["arn:aws:ecr:eu-west-1:123456789012:repository/*"]
    compute_type           = "small"
    environment_type       = "LINUX_LAMBDA_CONTAINER"
    environment_image      = ""
    environment_variables  = { "1ST" = "x" }
    build_timeout_minutes  = 4
    queued_timeout_minutes = 4
    log_retention_days     = 2
    permissions_boundary   = "boundary"
  }

  expect_failures = [var.name, var.description, var.source_code, var.buildspec, var.repository_arns, var.compute_type, var.environment_type, var.environment_image, var.environment_variables, var.build_timeout_minutes, var.queued_timeout_minutes, var.log_retention_days, var.permissions_boundary]
}

run "what_is_too_long_or_too_much_is_refused" {
  command = plan

  variables {
    name                   = join("", [for i in range(151) : "a"])
    source_code            = { type = "GITHUB", location = "" }
    repository_arns        = ["arn:aws:s3:::bucket"]
    readable_secret_arns   = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:*"]
    environment_image      = "an image"
    environment_variables  = { CODEBUILD_SRC_DIR = "x" }
    build_timeout_minutes  = 2161
    queued_timeout_minutes = 481
  }

  expect_failures = [var.name, var.source_code, var.repository_arns, var.readable_secret_arns, var.environment_image, var.environment_variables, var.build_timeout_minutes, var.queued_timeout_minutes]
}

run "a_name_with_a_slash_halves_of_minutes_and_a_codecommit_name_are_refused" {
  command = plan

  variables {
    name                   = "team/web"
    source_code            = { type = "CODECOMMIT", location = "web" }
    build_timeout_minutes  = 5.5
    queued_timeout_minutes = 5.5
  }

  expect_failures = [var.name, var.source_code, var.build_timeout_minutes, var.queued_timeout_minutes]
}

run "a_bucket_without_a_key_is_refused" {
  command = plan

  variables {
    source_code = { type = "S3", location = "acme-code" }
  }

  expect_failures = [var.source_code]
}

run "a_location_without_a_source_is_refused" {
  command = plan

  variables {
    source_code = { type = "NO_SOURCE", location = "x" }
  }

  expect_failures = [var.source_code]
}

run "a_clone_depth_without_git_is_refused" {
  command = plan

  variables {
    source_code = { type = "S3", location = "acme-code/web.zip", git_clone_depth = 1 }
  }

  expect_failures = [var.source_code]
}


run "settings_out_of_bounds_are_refused" {
  command = plan

  variables {
    source_code            = { type = "S3", location = "acme-code/web.zip", report_build_status = true }
    parameter_variables    = { "1ST" = "/a" }
    secret_variables       = { CODEBUILD_X = "a" }
    webhook                = { build_type = "RUNNER" }
    vpc                    = { id = "vpc-0a", subnets = [], security_groups = ["sg-0a"] }
    cache                  = {}
    s3_logs_location       = "acme-logs"
    artifacts              = { bucket = "Acme" }
    batch                  = { maximum_builds = 101 }
    concurrent_build_limit = 0
    fleet                  = "own"
    kms_key                = "alias/x"
    extra_policy           = "{}"
  }

  expect_failures = [var.source_code, var.parameter_variables, var.secret_variables, var.webhook, var.vpc, var.cache, var.s3_logs_location, var.artifacts, var.batch, var.concurrent_build_limit, var.fleet, var.kms_key, var.extra_policy]
}

run "settings_that_contradict_themselves_are_refused" {
  command = plan

  variables {
    source_code         = { type = "GITLAB", location = "https://gitlab.com/acme/web.git", fetch_submodules = true }
    parameter_variables = { A = "a b" }
    secret_variables    = { A = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web" }
    webhook             = { filter_groups = [[{ type = "HEAD_REF", pattern = "main" }]] }
    vpc                 = { id = "web", subnets = ["subnet-0a"], security_groups = ["sg-0a"] }
    cache               = { modes = ["LOCAL_SOURCE_CACHE"], location = "acme-cache/web" }
    artifacts           = { bucket = "acme", packaging = "TAR" }
    batch               = { timeout_minutes = 4 }
  }

  expect_failures = [var.source_code, var.parameter_variables, var.secret_variables, var.webhook, var.vpc, var.cache, var.artifacts, var.batch]
}

run "unknown_filters_and_modes_are_refused" {
  command = plan

  variables {
    source_code = { type = "GITLAB", location = "https://gitlab.com/acme/web.git", secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a" }
    webhook     = { filter_groups = [[{ type = "EVENT", pattern = "PUSH" }, { type = "BRANCH", pattern = "main" }]] }
    cache       = { modes = ["LOCAL"] }
  }

  expect_failures = [var.source_code, var.webhook, var.cache]
}

run "a_pipeline_without_its_bucket_is_refused" {
  command = plan

  variables {
    source_code = { type = "CODEPIPELINE" }
  }

  expect_failures = [var.source_code]
}

run "a_bucket_without_a_pipeline_and_a_connection_that_is_none_are_refused" {
  command = plan

  variables {
    source_code = { type = "GITHUB", location = "https://github.com/acme/web.git", pipeline_bucket = "acme", connection = "x" }
  }

  expect_failures = [var.source_code]
}

run "a_privileged_container_on_a_machine_without_containers_is_refused" {
  command = plan

  variables {
    environment_type = "LINUX_EC2"
  }

  expect_failures = [aws_codebuild_project.this]
}

run "rights_for_a_role_that_is_left_as_it_is_are_refused" {
  command = plan

  variables {
    service_role_arn = "arn:aws:iam::123456789012:role/ci/builds"
    extra_policy     = jsonencode({ Version = "2012-10-17", Statement = [] })
  }

  expect_failures = [aws_codebuild_project.this]
}

run "a_user_as_role_and_an_alias_as_key_are_refused" {
  command = plan

  variables {
    service_role_arn = "arn:aws:iam::123456789012:user/builds"
    log_kms_key      = "alias/logs"
  }

  expect_failures = [var.service_role_arn, var.log_kms_key]
}
