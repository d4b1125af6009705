locals {
  # Who starts builds, for which resources alone, and what else it may do. AWS wants the group of a schedule, not the schedule
  # itself ("Confused deputy prevention in EventBridge Scheduler"). The rules are known by how their names begin: a trust
  # policy has 2,048 characters at most, which is room for 20 names.
  starters = merge(
    {
      schedule = {
        service  = "scheduler.amazonaws.com"
        source   = "arn:${local.partition}:scheduler:${local.place}:schedule-group/default"
        projects = [local.project_arn]
        others   = [{ Sid = "KeepWhatFailed", Effect = "Allow", Action = ["sqs:SendMessage"], Resource = [local.queue_arn] }]
      }
    },
    length(local.rules) == 0 ? {} : {
      rebuild = {
        service  = "events.amazonaws.com"
        source   = "arn:${local.partition}:events:${local.place}:rule/${var.name}-rebuild-*"
        projects = sort(distinct(values(local.project_arns)))
        others   = []
      }
    },
  )

  role_names = {
    for kind in keys(local.starters) : kind => (
      length("${local.project_name}-${kind}-${local.region}") <= 64
      ? "${local.project_name}-${kind}-${local.region}"
      : "${substr("${local.project_name}-${kind}-${local.region}", 0, 55)}-${substr(sha256("${local.project_name}-${kind}-${local.region}"), 0, 8)}"
    )
  }
}

resource "aws_iam_role" "this" {
  for_each = local.starters

  name = local.role_names[each.key]
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = each.value.service }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account_id }
        ArnLike      = { "aws:SourceArn" = each.value.source }
      }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.starters

  name = "start"
  role = aws_iam_role.this[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{ Sid = "StartBuilds", Effect = "Allow", Action = ["codebuild:StartBuild"], Resource = each.value.projects }],
      each.value.others,
    )
  })
}
