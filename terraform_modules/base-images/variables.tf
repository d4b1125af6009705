variable "input" {
  description = <<-EOT
    The resources to create: `jsondecode(file("base-images.json"))` of the file that `toolkit render --module` writes.
    - `format`: version of the fields; `toolkit` and this module must have the same;
    - `repositories`: ECR repositories by name;
    - `builds`: CodeBuild projects by their names in the manifest. The type is `any`, because the module
      `codebuild-project` declares and checks the types;
    - `refresh`: the schedule, by the name `refresh`, or nothing; `any` too, because `image-refresh` declares its types;
    - `mirror`: account and region of the registry that the builds pull from; null for the repositories above;
    - `resource_tags`: AWS tags of all resources; `toolkit` finds its own resources by them.
  EOT
  type = object({
    format = number
    repositories = map(object({
      tag_mutability             = string
      tag_mutability_exclusions  = list(string)
      scan_on_push               = bool
      encryption_type            = string
      kms_key                    = string
      expire_untagged_after_days = number
      pull_principals            = list(string)
      organization_id            = string
      policy_statements = list(object({
        sid        = string
        effect     = string
        principals = object({ aws = list(string), services = list(string) })
        actions    = list(string)
        conditions = map(map(list(string)))
      }))
      force_delete = bool
      tags         = map(string)
    }))
    builds  = any
    refresh = any
    mirror = object({
      account_id = string
      region     = string
    })
    resource_tags = map(string)
  })
  nullable = false

  # An older module would silently drop a field that it does not know.
  validation {
    condition     = var.input.format == 1
    error_message = "The input has the format ${var.input.format}, and this module reads format 1: take the module and `toolkit` from the same release."
  }

  validation {
    condition     = can(keys(var.input.builds)) && can(keys(var.input.refresh))
    error_message = "The `builds` and `refresh` must be maps by name, as `toolkit render --module` writes them."
  }
}
