variable "name" {
  description = "Full name of the repository, with its prefix, such as `docker-hub/library/nginx`."
  type        = string
  nullable    = false

  # The provider does not check names, so a wrong one would fail only in the middle of an apply.
  validation {
    condition     = length(var.name) >= 2 && length(var.name) <= 256
    error_message = "The repository name `${var.name}` must have 2 to 256 characters."
  }

  validation {
    condition     = can(regex("^[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*$", var.name))
    error_message = "The repository name `${var.name}` must be lower-case letters and digits, joined by `.`, `_`, `__`, `-` or `/`."
  }
}

variable "tag_mutability" {
  description = "Whether a tag may be moved to another image: `MUTABLE` or `IMMUTABLE`."
  type        = string
  default     = "MUTABLE"
  nullable    = false

  validation {
    condition     = contains(["MUTABLE", "IMMUTABLE"], var.tag_mutability)
    error_message = "The tag mutability `${var.tag_mutability}` must be `MUTABLE` or `IMMUTABLE`."
  }
}

variable "tag_mutability_exclusions" {
  description = "At most 5 tag patterns, with `*` for any text, for which the opposite of `tag_mutability` holds. They need the AWS provider 6.8 and the file in `provider-6.8`."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = length(var.tag_mutability_exclusions) <= 5
    error_message = "ECR accepts at most 5 `tag_mutability_exclusions`."
  }

  validation {
    condition     = alltrue([for tag in var.tag_mutability_exclusions : can(regex("^[A-Za-z0-9._*-]{1,128}$", tag)) && length(regexall("[*]", tag)) <= 2])
    error_message = "Each of the `tag_mutability_exclusions` must have 1 to 128 letters, digits, `.`, `_`, `-` and at most two `*`."
  }
}

variable "scan_on_push" {
  description = "Whether ECR scans an image for vulnerabilities when it is pushed."
  type        = bool
  default     = true
  nullable    = false
}

variable "encryption_type" {
  description = "`AES256`, or `KMS` for a KMS key. ECR cannot change it later: another value replaces the repository."
  type        = string
  default     = "AES256"
  nullable    = false

  validation {
    condition     = contains(["AES256", "KMS"], var.encryption_type)
    error_message = "The encryption type `${var.encryption_type}` must be `AES256` or `KMS`."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key, only with `encryption_type = \"KMS\"`. Null means the key that AWS manages for ECR."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key))
    error_message = "The KMS key `${coalesce(var.kms_key, "null")}` must be the ARN of a key; an alias or a bare id would differ from what ECR reports and replace the repository."
  }
}

variable "expire_untagged_after_days" {
  description = "Days after which ECR deletes an image without a tag. Null means never: there is no lifecycle policy."
  type        = number
  default     = null

  validation {
    condition     = var.expire_untagged_after_days == null ? true : var.expire_untagged_after_days >= 1 && floor(var.expire_untagged_after_days) == var.expire_untagged_after_days
    error_message = "Untagged images must expire after a whole number of days, 1 or more."
  }
}

variable "pull_principals" {
  description = "Who else may pull: ARNs of IAM principals, or account ids of 12 digits for whole accounts."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for principal in var.pull_principals :
      can(regex("^([0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]+)|arn:aws[a-z-]*:sts::[0-9]{12}:(assumed-role|federated-user)/[A-Za-z0-9_+=,.@/-]+)$", principal))
    ])
    error_message = "Every pull principal must be the ARN of an IAM principal or an account id of 12 digits; wildcards are not accepted."
  }
}

variable "organization_id" {
  description = "Id of the AWS organization, such as `o-a1b2c3d4e5`, whose accounts may all pull. Null means none."
  type        = string
  default     = null

  validation {
    condition     = var.organization_id == null || can(regex("^o-[a-z0-9]{10,32}$", var.organization_id))
    error_message = "The organization id `${coalesce(var.organization_id, "null")}` must be `o-` and 10 to 32 lower-case letters or digits."
  }
}

variable "policy_statements" {
  description = <<-EOT
    Further statements of the repository policy:
    - `sid`: id of the statement; null for none;
    - `effect`: `Allow` or `Deny`;
    - `principals`: `aws` for account ids and ARNs of IAM principals, or `*` for everybody; `services` for AWS services;
    - `actions`: actions of ECR;
    - `conditions`: values by operator and key.
  EOT
  type = list(object({
    sid    = optional(string)
    effect = optional(string, "Allow")
    principals = object({
      aws      = optional(list(string), [])
      services = optional(list(string), [])
    })
    actions    = list(string)
    conditions = optional(map(map(list(string))), {})
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for statement in var.policy_statements : contains(["Allow", "Deny"], statement.effect)])
    error_message = "The effect of every statement must be `Allow` or `Deny`."
  }

  validation {
    condition     = alltrue([for statement in var.policy_statements : length(statement.principals.aws) + length(statement.principals.services) > 0])
    error_message = "Every statement must have `principals`, in `aws` or in `services`."
  }

  validation {
    condition = alltrue([
      for statement in var.policy_statements :
      statement.effect == "Deny" || !contains(statement.principals.aws, "*") || length(statement.conditions) > 0
    ])
    error_message = "A statement that allows something to everybody must have conditions."
  }

  validation {
    condition     = alltrue([for action in flatten(var.policy_statements[*].actions) : can(regex("^ecr:[A-Za-z0-9*?]+$", action))])
    error_message = "Every action must be an action of ECR, such as `ecr:BatchGetImage`."
  }
}

variable "force_delete" {
  description = "Whether destroying the repository deletes the images in it; otherwise a repository with images cannot be destroyed."
  type        = bool
  default     = false
  nullable    = false
}

variable "tags" {
  description = "AWS resource tags of the repository (not image tags)."
  type        = map(string)
  default     = {}
  nullable    = false
}
