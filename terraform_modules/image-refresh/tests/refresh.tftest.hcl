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
    defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/codebuild/platform-refresh" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/platform-refresh" }
  }

  mock_resource "aws_codebuild_project" {
    defaults = { arn = "arn:aws:codebuild:eu-west-1:123456789012:project/platform-refresh" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:123456789012:platform-refresh" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:123456789012:platform-refresh" }
  }
}

variables {
  name     = "platform"
  schedule = "cron(0 4 * * ? *)"
  bucket   = "acme-base-images"
  prefix   = "platform/refresh"
  tool     = { image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tools/toolkit:1.0" }
  policy   = "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ecr:PutImage\"],\"Resource\":[\"arn:{partition}:ecr:eu-west-1:{account}:repository/nginx\"]}]}"
}

run "a_schedule_starts_the_project_and_nothing_else" {
  assert {
    condition = (
      aws_scheduler_schedule.this.schedule_expression == "cron(0 4 * * ? *)"
      && aws_scheduler_schedule.this.schedule_expression_timezone == "UTC"
      && one(aws_scheduler_schedule.this.target).arn == module.project.arn
      && one(one(aws_scheduler_schedule.this.target).dead_letter_config).arn == aws_sqs_queue.this.arn
    )
    error_message = "the schedule must start the project, and keep what failed"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this["schedule"].policy).Statement == [
      {
        Sid      = "StartBuilds"
        Effect   = "Allow"
        Action   = ["codebuild:StartBuild"]
        Resource = ["arn:aws:codebuild:eu-west-1:123456789012:project/platform-refresh"]
      },
      {
        Sid      = "KeepWhatFailed"
        Effect   = "Allow"
        Action   = ["sqs:SendMessage"]
        Resource = ["arn:aws:sqs:eu-west-1:123456789012:platform-refresh"]
      },
    ]
    error_message = "the schedule's role must have no other rights"
  }

  assert {
    condition = jsondecode(aws_iam_role.this["schedule"].assume_role_policy).Statement[0].Condition == {
      StringEquals = { "aws:SourceAccount" = "123456789012" }
      ArnLike      = { "aws:SourceArn" = "arn:aws:scheduler:eu-west-1:123456789012:schedule-group/default" }
    }
    error_message = "only schedules of this account may take the role"
  }

  assert {
    condition     = keys(aws_iam_role.this) == ["schedule"] && length(aws_cloudwatch_event_rule.this) == 0
    error_message = "without rebuilds there is no rule, and no role for one"
  }

  assert {
    condition     = jsondecode(local.policy).Statement[0].Resource == ["arn:aws:ecr:eu-west-1:123456789012:repository/nginx"]
    error_message = "the policy must name this account and this partition"
  }

  assert {
    condition     = keys(jsondecode(local.buildspec).phases) == ["build"] && strcontains(local.buildspec, "\"version\":0.2")
    error_message = "an image has the tool already, and batches want a number as version"
  }

  assert {
    condition     = output.topic_arn == aws_sns_topic.this["this"].arn && keys(output.alarm_arns) == ["behind", "failed", "gone", "pulls", "silent"]
    error_message = "every alarm must be there, with a topic"
  }
}

run "silence_is_an_alarm_and_no_data_keep_the_others_as_they_are" {
  variables {
    alarms    = { silent_for_hours = 12, behind_days = 3, pulls_left = 5 }
    topic_arn = "arn:aws:sns:eu-west-1:123456789012:ops"
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => [alarm.treat_missing_data, alarm.evaluation_periods, alarm.threshold] } == {
      silent = ["breaching", 12, 1]
      failed = ["notBreaching", 1, 1]
      behind = ["ignore", 1, 3]
      gone   = ["ignore", 1, 1]
      pulls  = ["ignore", 1, 5]
    }
    error_message = "the alarms must have the manifest's limits"
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.this : alarm.alarm_actions == toset([var.topic_arn])]) && length(aws_sns_topic.this) == 0
    error_message = "a given topic must be used, and none made"
  }
}

run "a_wheel_is_checked_before_it_is_installed" {
  variables {
    tool = { wheel = "s3://acme-tools/toolkit-1.0-py3-none-any.whl", sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" }
  }

  assert {
    condition     = strcontains(jsondecode(local.buildspec).phases.install.commands[0], "sha256sum --check --strict\npython3 -m venv")
    error_message = "the wheel's hash must be checked first"
  }
}

run "a_rule_starts_exactly_the_builds_that_use_what_moved" {
  variables {
    rebuilds = {
      web                                          = { project_name = "platform-web", images = [["nginx:1.27"], ["redis:7"]] }
      (join("", [for number in range(100) : "a"])) = { project_name = "platform-a", images = [["nginx:1.27"]] }
    }
  }

  assert {
    condition = jsondecode(aws_cloudwatch_event_rule.this["web.2"].event_pattern) == {
      source        = ["base-image-toolkit"]
      "detail-type" = ["base image moved"]
      detail        = { manifest = ["platform"], image = ["redis:7"] }
    }
    error_message = "each list of images is a rule"
  }

  assert {
    condition = (
      aws_cloudwatch_event_rule.this["web"].name == "platform-rebuild-web"
      && alltrue([for rule in aws_cloudwatch_event_rule.this : length(rule.name) <= 64])
      && aws_cloudwatch_event_target.this["web.2"].arn == "arn:aws:codebuild:eu-west-1:123456789012:project/platform-web"
    )
    error_message = "rules have names that EventBridge takes, and start their project"
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.this["rebuild"].policy).Statement == [{
      Sid    = "StartBuilds"
      Effect = "Allow"
      Action = ["codebuild:StartBuild"]
      Resource = [
        "arn:aws:codebuild:eu-west-1:123456789012:project/platform-a",
        "arn:aws:codebuild:eu-west-1:123456789012:project/platform-web",
      ]
    }]
    error_message = "the rules' role must start exactly these projects"
  }
}

run "iam_has_room_for_the_trust_in_many_rules" {
  variables {
    rebuilds = {
      for number in range(60) : "build-${number}" => { project_name = "platform-build-${number}", images = [["nginx:1.27"]] }
    }
  }

  assert {
    condition     = length(aws_iam_role.this["rebuild"].assume_role_policy) <= 2048 && length(aws_cloudwatch_event_rule.this) == 60
    error_message = "a trust policy has 2,048 characters"
  }
}

run "what_aws_would_refuse_is_refused" {
  command = plan

  variables {
    name      = "Platform"
    schedule  = "daily"
    bucket    = "B"
    prefix    = "/refresh"
    tool      = { image = "a", wheel = "b" }
    policy    = "{}"
    alarms    = { silent_for_hours = 200 }
    rebuilds  = { web = { project_name = "platform-web", images = [[]] } }
    topic_arn = "ops"
  }

  expect_failures = [
    var.name, var.schedule, var.bucket, var.prefix, var.tool, var.policy, var.alarms, var.rebuilds, var.topic_arn,
  ]
}
