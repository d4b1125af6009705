locals {
  # A pattern has at most 2,048 characters, so that a build with many images has several rules. A dot is in no name of a
  # build. Names have at most 64 characters, and a hash keeps long ones distinct.
  rules = merge([
    for build, rebuild in var.rebuilds : {
      for number, images in rebuild.images :
      (number == 0 ? build : "${build}.${number + 1}") => { project = rebuild.project_name, images = images }
    }
  ]...)
  rule_names = {
    for key in keys(local.rules) : key => (
      length("${var.name}-rebuild-${key}") <= 64
      ? "${var.name}-rebuild-${key}"
      : "${substr("${var.name}-rebuild-${key}", 0, 55)}-${substr(sha256("${var.name}-rebuild-${key}"), 0, 8)}"
    )
  }
  project_arns = {
    for key, rule in local.rules : key => "arn:${local.partition}:codebuild:${local.place}:project/${rule.project}"
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name        = local.rule_names[each.key]
  description = "Starts ${each.value.project} when one of its base images has moved"
  tags        = var.tags

  event_pattern = jsonencode({
    source        = ["base-image-toolkit"]
    "detail-type" = ["base image moved"]
    detail        = { manifest = [var.name], image = each.value.images }
  })
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.this[each.key].name
  target_id = "build"
  arn       = local.project_arns[each.key]
  role_arn  = aws_iam_role.this["rebuild"].arn

  depends_on = [aws_iam_role_policy.this]
}
