variable "input" {
  description = <<-EOT
    What to make: `jsondecode(file("base-images.json"))` of what `toolkit render --module` writes.
    - `format`: which fields there are; the toolkit and this module must agree on it;
    - `repositories`: ECR repositories by name;
    - `builds`: CodeBuild projects by the manifest's name for them. Of any type, because the module `codebuild-project`
      states and checks the types of what it is given;
    - `mirror`: whose registry the builds pull from; null for the repositories above;
    - `resource_tags`: AWS tags of everything that is made here; `toolkit` finds its own resources by them.
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
    builds = any
    mirror = object({
      account_id = string
      region     = string
    })
    resource_tags = map(string)
  })
  nullable = false

  # An older module would drop, without a word, a field that it does not know.
  validation {
    condition     = var.input.format == 1
    error_message = "The input has the format ${var.input.format}, and this module reads format 1: take the module and `toolkit` from the same release."
  }

  validation {
    condition     = can(keys(var.input.builds))
    error_message = "The `builds` must be a mapping by name, as `toolkit render --module` writes them."
  }
}
