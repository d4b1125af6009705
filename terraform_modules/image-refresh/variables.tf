variable "name" {
  description = "Name of the manifest. The project is called `<name>-refresh`, and so are the schedule, the queue and the topic."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 2 && length(var.name) <= 40
    error_message = "The name `${var.name}` must have 2 to 40 lower-case letters and digits, single hyphens between them, a letter first."
  }
}

variable "schedule" {
  description = "When a refresh runs, in the syntax of EventBridge Scheduler: `rate(1 day)`, `cron(0 4 * * ? *)`."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(rate|cron)[(].+[)]$", var.schedule))
    error_message = "The schedule `${var.schedule}` must be `rate(...)` or `cron(...)`."
  }
}

variable "time_zone" {
  description = "Time zone of a `cron` schedule."
  type        = string
  default     = "UTC"
  nullable    = false
}

variable "bucket" {
  description = "Bucket with the bundle, into which the runs are written. It must exist."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "The bucket `${var.bucket}` must be the name of an S3 bucket."
  }
}

variable "prefix" {
  description = "Folder in the bucket, without `/` at the ends."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", var.prefix))
    error_message = "The prefix `${var.prefix}` must be a folder in the bucket: letters, digits, `.`, `_` and `-`, with `/` between the parts."
  }
}

variable "tool" {
  description = "Where the run has `toolkit` from: `image` in ECR, for ARM, or `wheel` in S3 with its `sha256`."
  type = object({
    image  = optional(string)
    wheel  = optional(string)
    sha256 = optional(string)
  })
  nullable = false

  validation {
    condition     = (var.tool.image == null) != (var.tool.wheel == null) && (var.tool.wheel == null) == (var.tool.sha256 == null)
    error_message = "The tool must have either an `image`, or a `wheel` with its `sha256`."
  }

  validation {
    condition     = var.tool.sha256 == null || can(regex("^[a-f0-9]{64}$", var.tool.sha256))
    error_message = "The `sha256` of the wheel must be 64 digits from 0 to f."
  }
}

variable "policy" {
  description = "IAM policy, as JSON, with what `toolkit refresh` may do: what `toolkit iam-policy refresh` prints. `{account}`, `{partition}` and `{dns_suffix}` stand for those of the run."
  type        = string
  nullable    = false

  validation {
    condition     = can(jsondecode(var.policy).Statement)
    error_message = "The policy must be the JSON of an IAM policy with a `Statement`."
  }
}

variable "topic_arn" {
  description = "ARN of an SNS topic for the alarms, known when Terraform plans. Null means that the module makes a topic."
  type        = string
  default     = null

  validation {
    condition     = var.topic_arn == null || can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+$", var.topic_arn))
    error_message = "The topic `${coalesce(var.topic_arn, "null")}` must be the ARN of an SNS topic."
  }
}

variable "alarms" {
  description = "When the alarms are on: `silent_for_hours` without a refresh that succeeded, 1 to 168; an image that is `behind_days` or more; fewer than `pulls_left` pulls."
  type = object({
    silent_for_hours = optional(number, 48)
    behind_days      = optional(number, 7)
    pulls_left       = optional(number, 20)
  })
  default  = {}
  nullable = false

  # CloudWatch looks back seven days at most.
  validation {
    condition     = var.alarms.silent_for_hours >= 1 && var.alarms.silent_for_hours <= 168 && floor(var.alarms.silent_for_hours) == var.alarms.silent_for_hours
    error_message = "The alarm on silence can wait for 1 to 168 whole hours."
  }
}

variable "rebuilds" {
  description = "Builds to start when an image has moved, by name: `project_name`, and `images` (`repository:tag`) in lists, one for each rule."
  type = map(object({
    project_name = string
    images       = list(list(string))
  }))
  default  = {}
  nullable = false

  # EventBridge takes 2,048 characters, of which the rest of the pattern has fewer than 148.
  validation {
    condition     = alltrue(flatten([for rebuild in var.rebuilds : [for images in rebuild.images : length(images) > 0 && length(jsonencode(images)) <= 1900]]))
    error_message = "Each list of `images` has at least one image and at most 1,900 characters as JSON: split it."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps what the runs print."
  type        = number
  default     = 90
  nullable    = false
}

variable "tags" {
  description = "AWS resource tags of all resources."
  type        = map(string)
  default     = {}
  nullable    = false
}
