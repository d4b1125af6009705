variable "webhook" {
  description = <<-EOT
    Lets the Git host start builds; null for none.
    - `build_type`: `BUILD`, or `BUILD_BATCH` with `batch`;
    - `filter_groups`: a build starts when an event passes all filters of one group. A filter has a `type` and a `pattern`; with `exclude`, the event must not match.
  EOT
  type = object({
    build_type = optional(string, "BUILD")
    filter_groups = optional(list(list(object({
      type    = string
      pattern = string
      exclude = optional(bool, false)
    }))), [])
  })
  default = null

  validation {
    condition     = contains(["BUILD", "BUILD_BATCH"], try(var.webhook.build_type, "BUILD"))
    error_message = "The webhook's `build_type` must be `BUILD` or `BUILD_BATCH`."
  }

  validation {
    condition     = alltrue([for group in try(var.webhook.filter_groups, []) : length([for filter in group : filter if filter.type == "EVENT"]) == 1])
    error_message = "Every filter group of the webhook must have exactly one filter of the type `EVENT`."
  }

  validation {
    condition = alltrue([
      for filter in flatten(try(var.webhook.filter_groups, [])) :
      contains(["EVENT", "ACTOR_ACCOUNT_ID", "HEAD_REF", "BASE_REF", "FILE_PATH", "COMMIT_MESSAGE", "TAG_NAME", "RELEASE_NAME", "WORKFLOW_NAME"], filter.type) && filter.pattern != ""
    ])
    error_message = "Every filter of the webhook must have a pattern and a type for webhooks of a repository."
  }
}

variable "vpc" {
  description = "VPC of the build: its `id`, 1 to 16 `subnets`, 1 to 5 `security_groups`. Null means none."
  type = object({
    id              = string
    subnets         = set(string)
    security_groups = set(string)
  })
  default = null

  validation {
    condition     = var.vpc == null ? true : can(regex("^vpc-[0-9a-f]+$", var.vpc.id)) && alltrue([for id in var.vpc.subnets : can(regex("^subnet-[0-9a-f]+$", id))]) && alltrue([for id in var.vpc.security_groups : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "The VPC, its subnets and its security groups must be given by their ids: `vpc-…`, `subnet-…` and `sg-…`."
  }

  validation {
    condition     = var.vpc == null ? true : length(var.vpc.subnets) >= 1 && length(var.vpc.subnets) <= 16 && length(var.vpc.security_groups) >= 1 && length(var.vpc.security_groups) <= 5
    error_message = "A build in a VPC needs 1 to 16 subnets and 1 to 5 security groups."
  }
}

variable "cache" {
  description = "Cache between builds: `modes` for a cache on the build machine, or `location` (`<bucket>/<prefix>`) for a cache in S3. Null means none."
  type = object({
    modes    = optional(list(string))
    location = optional(string)
  })
  default = null

  validation {
    condition     = var.cache == null ? true : (var.cache.location == null) == try(length(var.cache.modes) > 0, false)
    error_message = "The cache must have either `modes` or a `location`."
  }

  validation {
    condition     = alltrue([for mode in coalesce(one(var.cache[*].modes), []) : contains(["LOCAL_DOCKER_LAYER_CACHE", "LOCAL_SOURCE_CACHE", "LOCAL_CUSTOM_CACHE"], mode)])
    error_message = "The modes of the cache must be `LOCAL_DOCKER_LAYER_CACHE`, `LOCAL_SOURCE_CACHE` and `LOCAL_CUSTOM_CACHE`."
  }

  validation {
    condition     = try(var.cache.location, null) == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+$", var.cache.location))
    error_message = "The location of the cache must be `<bucket>/<prefix>`."
  }
}

variable "s3_logs_location" {
  description = "`<bucket>/<prefix>` for a copy of the logs in S3. Null means none."
  type        = string
  default     = null

  validation {
    condition     = var.s3_logs_location == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+$", var.s3_logs_location))
    error_message = "The location of the logs must be `<bucket>/<prefix>`."
  }
}

variable "artifacts" {
  description = <<-EOT
    Destination in S3 of the build's output; null for none. The buildspec says which files it has.
    - `bucket`, and `path` in the bucket; null for its root;
    - `name`: name of the folder or ZIP file; null for the project's name;
    - `namespace_type`: `BUILD_ID` for one folder per build;
    - `packaging`: `ZIP` for one file;
    - `override_name`: whether the buildspec may choose the name.
  EOT
  type = object({
    bucket         = string
    path           = optional(string)
    name           = optional(string)
    namespace_type = optional(string, "NONE")
    packaging      = optional(string, "NONE")
    override_name  = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.artifacts == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.artifacts.bucket)) && contains(["NONE", "BUILD_ID"], var.artifacts.namespace_type) && contains(["NONE", "ZIP"], var.artifacts.packaging)
    error_message = "The artifacts need the name of a bucket; `namespace_type` is `NONE` or `BUILD_ID`, `packaging` `NONE` or `ZIP`."
  }
}

variable "batch" {
  description = "Allows batches of several builds, which the buildspec describes: `timeout_minutes`, `maximum_builds`, `compute_types` (null for any), `combine_artifacts`. Null means none."
  type = object({
    timeout_minutes   = optional(number, 480)
    maximum_builds    = optional(number, 100)
    compute_types     = optional(list(string))
    combine_artifacts = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.batch == null ? true : var.batch.timeout_minutes >= 5 && var.batch.timeout_minutes <= 2160 && floor(var.batch.timeout_minutes) == var.batch.timeout_minutes && var.batch.maximum_builds >= 1 && var.batch.maximum_builds <= 100 && floor(var.batch.maximum_builds) == var.batch.maximum_builds
    error_message = "A batch has 5 to 2160 minutes and 1 to 100 builds, in whole numbers."
  }
}

variable "concurrent_build_limit" {
  description = "Number of builds that may run at a time. Null means the limit of the account."
  type        = number
  default     = null

  validation {
    condition     = var.concurrent_build_limit == null ? true : var.concurrent_build_limit >= 1 && floor(var.concurrent_build_limit) == var.concurrent_build_limit
    error_message = "The limit of concurrent builds must be a whole number, 1 or more."
  }
}

variable "badge_enabled" {
  description = "Whether a public badge shows the state of the last build; not for `S3`, `CODEPIPELINE` and `NO_SOURCE`."
  type        = bool
  default     = false
  nullable    = false
}

variable "kms_key" {
  description = "ARN of the KMS key for artifacts, cache and logs in S3; the build may use it. Null means the key that AWS manages for S3."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key))
    error_message = "The KMS key `${coalesce(var.kms_key, "null")}` must be the ARN of a key."
  }
}

variable "extra_policy" {
  description = "IAM policy, as JSON, with further rights of the build. Null means none."
  type        = string
  default     = null

  validation {
    condition     = var.extra_policy == null || can(jsondecode(var.extra_policy).Statement)
    error_message = "The extra policy must be the JSON of an IAM policy with a `Statement`."
  }
}

variable "log_kms_key" {
  description = "ARN of the KMS key for the log group; its policy must let CloudWatch Logs use it. Null means AWS's own key."
  type        = string
  default     = null

  validation {
    condition     = var.log_kms_key == null || can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.log_kms_key))
    error_message = "The KMS key `${coalesce(var.log_kms_key, "null")}` of the logs must be the ARN of a key."
  }
}

variable "service_role_arn" {
  description = "ARN of an existing role for builds and batches. The module does not change it; it needs the rights in the table of the README. Null means that the module creates the roles."
  type        = string
  default     = null

  validation {
    condition     = var.service_role_arn == null || can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", var.service_role_arn))
    error_message = "The service role `${coalesce(var.service_role_arn, "null")}` must be the ARN of an IAM role."
  }
}
