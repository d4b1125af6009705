locals {
  topic_arn = one(concat(var.topic_arn[*], values(aws_sns_topic.this)[*].arn))

  # The metrics that a refresh prints come once a run. Except for silence, an alarm keeps its state where there are none.
  toolkit = { Manifest = var.name }
  alarms = {
    silent = {
      description = "No refresh of ${var.name} has succeeded for ${var.alarms.silent_for_hours} hours."
      namespace   = "BaseImageToolkit", metric = "Refreshed", dimensions = local.toolkit
      statistic   = "Sum", comparison = "LessThanThreshold", threshold = 1
      periods     = var.alarms.silent_for_hours, missing = "breaching"
    }
    # CodeBuild's own count: it has the runs too that ended before `toolkit` began.
    failed = {
      description = "A refresh of ${var.name} has failed."
      namespace   = "AWS/CodeBuild", metric = "FailedBuilds", dimensions = { ProjectName = local.project_name }
      statistic   = "Sum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1
      periods     = 1, missing = "notBreaching"
    }
    behind = {
      description = "An image of ${var.name} has waited for ${var.alarms.behind_days} days that upstream's digest is copied."
      namespace   = "BaseImageToolkit", metric = "DaysBehind", dimensions = local.toolkit
      statistic   = "Maximum", comparison = "GreaterThanOrEqualToThreshold", threshold = var.alarms.behind_days
      periods     = 1, missing = "ignore"
    }
    gone = {
      description = "An image of ${var.name} is gone upstream."
      namespace   = "BaseImageToolkit", metric = "GoneUpstream", dimensions = local.toolkit
      statistic   = "Maximum", comparison = "GreaterThanOrEqualToThreshold", threshold = 1
      periods     = 1, missing = "ignore"
    }
    pulls = {
      description = "A registry has fewer than ${var.alarms.pulls_left} pulls left after a refresh of ${var.name}."
      namespace   = "BaseImageToolkit", metric = "PullsLeft", dimensions = local.toolkit
      statistic   = "Minimum", comparison = "LessThanThreshold", threshold = var.alarms.pulls_left
      periods     = 1, missing = "ignore"
    }
  }
}

# CloudWatch may publish to the topics of its account.
resource "aws_sns_topic" "this" {
  #checkov:skip=CKV_AWS_26:CloudWatch cannot publish to a topic under AWS's own key, and an alarm holds no secret; `topic_arn` takes a topic under a key of yours.

  for_each = toset(var.topic_arn == null ? ["this"] : [])

  name = local.project_name
  tags = var.tags
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${local.project_name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  period              = 3600
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [local.topic_arn]
  ok_actions          = [local.topic_arn]
  tags                = var.tags
}
