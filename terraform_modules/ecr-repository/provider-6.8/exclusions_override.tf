# Terraform merges this file into main.tf when it is beside it. Provider 5 refuses the block below even if it is unused.
locals {
  takes_exclusions = true
}

resource "aws_ecr_repository" "this" {
  dynamic "image_tag_mutability_exclusion_filter" {
    for_each = var.tag_mutability_exclusions

    content {
      filter      = image_tag_mutability_exclusion_filter.value
      filter_type = "WILDCARD"
    }
  }
}
