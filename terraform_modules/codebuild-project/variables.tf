variable "name" {
  description = "Name of the CodeBuild project; the log group and the role are named after it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{1,149}$", var.name))
    error_message = "The project name `${var.name}` must have 2 to 150 letters, digits, `-` or `_`, and start with a letter or digit."
  }
}

variable "description" {
  description = "Description of the project for its users."
  type        = string
  default     = "Builds with base images from Amazon ECR"
  nullable    = false

  validation {
    condition     = length(var.description) <= 255
    error_message = "The project description must have at most 255 characters."
  }
}

variable "source_code" {
  description = <<-EOT
    Source of the code to build:
    - `type`: `GITHUB`, `GITHUB_ENTERPRISE`, `GITLAB`, `GITLAB_SELF_MANAGED`, `BITBUCKET`, `CODECOMMIT`, `S3`, `CODEPIPELINE` or `NO_SOURCE`;
    - `location`: clone URL, or `<bucket>/<key>` for S3; null for `CODEPIPELINE` and `NO_SOURCE`;
    - `version`: branch, tag, commit or S3 object version; null for the default;
    - `git_clone_depth`: number of commits to fetch; null or 0 for the whole history;
    - `fetch_submodules`: whether Git submodules are fetched too; not for GitLab;
    - `report_build_status`: whether the Git host receives the status of each build;
    - `connection`: ARN of an AWS CodeConnections connection to the Git host; null for the account's default credential;
    - `secret`: instead of a connection, ARN of a Secrets Manager secret with a token in CodeBuild's format; not for GitLab;
    - `pipeline_bucket`: the artifact store of the pipeline, only with `CODEPIPELINE`;
    - `pipeline`: name of the pipeline, to whose folder in that bucket the build is limited; null for the whole bucket.
  EOT
  type = object({
    type                = string
    location            = optional(string)
    version             = optional(string)
    git_clone_depth     = optional(number)
    fetch_submodules    = optional(bool, false)
    report_build_status = optional(bool, false)
    connection          = optional(string)
    secret              = optional(string)
    pipeline_bucket     = optional(string)
    pipeline            = optional(string)
  })
  nullable = false

  validation {
    condition = contains(
      ["GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED", "BITBUCKET", "CODECOMMIT", "S3", "CODEPIPELINE", "NO_SOURCE"],
      var.source_code.type,
    )
    error_message = "The source type `${var.source_code.type}` must be `GITHUB`, `GITHUB_ENTERPRISE`, `GITLAB`, `GITLAB_SELF_MANAGED`, `BITBUCKET`, `CODECOMMIT`, `S3`, `CODEPIPELINE` or `NO_SOURCE`."
  }

  validation {
    condition     = contains(["CODEPIPELINE", "NO_SOURCE"], var.source_code.type) != try(length(var.source_code.location) > 0, false)
    error_message = "The source needs a `location`, and `CODEPIPELINE` and `NO_SOURCE` must not have one."
  }

  validation {
    condition     = var.source_code.type != "CODECOMMIT" || can(regex("^https://git-codecommit(-fips)?[.][a-z0-9-]+[.][a-z0-9.]+/v1/repos/[A-Za-z0-9._-]+$", var.source_code.location))
    error_message = "The location of a `CODECOMMIT` source must be its HTTPS clone URL, `https://git-codecommit.<region>.amazonaws.com/v1/repos/<name>`."
  }

  validation {
    condition     = var.source_code.type != "S3" || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+$", var.source_code.location))
    error_message = "The location of an `S3` source must be `<bucket>/<key>`, with a `/` at the end for a folder."
  }

  validation {
    condition     = var.source_code.git_clone_depth == null ? true : var.source_code.git_clone_depth >= 0 && floor(var.source_code.git_clone_depth) == var.source_code.git_clone_depth && !contains(["S3", "CODEPIPELINE", "NO_SOURCE"], var.source_code.type)
    error_message = "The `git_clone_depth` must be a whole number, 0 or more, of a Git source."
  }

  # The provider leaves this out for GitLab, so every further plan would show a change.
  validation {
    condition     = !var.source_code.fetch_submodules || contains(["GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET", "CODECOMMIT"], var.source_code.type)
    error_message = "Submodules can be fetched from `GITHUB`, `GITHUB_ENTERPRISE`, `BITBUCKET` and `CODECOMMIT` only."
  }

  validation {
    condition     = !(var.source_code.report_build_status || var.source_code.connection != null) || contains(["GITHUB", "GITHUB_ENTERPRISE", "GITLAB", "GITLAB_SELF_MANAGED", "BITBUCKET"], var.source_code.type)
    error_message = "A connection, and reports of the build status, need a source at GitHub, GitLab or Bitbucket."
  }

  validation {
    condition     = var.source_code.secret == null || contains(["GITHUB", "GITHUB_ENTERPRISE", "BITBUCKET"], var.source_code.type) && var.source_code.connection == null
    error_message = "A secret is for a source at GitHub or Bitbucket that has no connection."
  }

  validation {
    condition     = var.source_code.connection == null || can(regex("^arn:aws[a-z-]*:(codeconnections|codestar-connections):[a-z0-9-]+:[0-9]{12}:connection/[A-Za-z0-9-]+$", var.source_code.connection))
    error_message = "The `connection` must be the ARN of a CodeConnections connection."
  }

  validation {
    condition     = var.source_code.secret == null || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.source_code.secret))
    error_message = "The `secret` must be the full ARN of a Secrets Manager secret, which ends in a hyphen and six characters."
  }

  validation {
    condition     = (var.source_code.type == "CODEPIPELINE") == can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.source_code.pipeline_bucket))
    error_message = "A `CODEPIPELINE` source needs the name of its artifact store as `pipeline_bucket`; no other source may have one."
  }

  validation {
    condition     = var.source_code.pipeline == null || (var.source_code.type == "CODEPIPELINE" && can(regex("^[A-Za-z0-9.@_-]{1,100}$", var.source_code.pipeline)))
    error_message = "The `pipeline` of the source must be the name of a pipeline; only a `CODEPIPELINE` source may have one."
  }
}

variable "buildspec" {
  description = "Text of the buildspec, or its path in the source."
  type        = string
  nullable    = false

  validation {
    condition     = trimspace(var.buildspec) != ""
    error_message = "The buildspec must not be empty."
  }
}

variable "repository_arns" {
  description = "ARNs of the only ECR repositories that the build may pull from."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.repository_arns :
      can(regex("^arn:aws[a-z-]*:ecr:[a-z0-9-]+:[0-9]{12}:repository/[a-z0-9][a-z0-9._/-]+$", arn))
    ])
    error_message = "Every repository ARN must name one ECR repository, without wildcards."
  }
}

variable "readable_secret_arns" {
  description = "ARNs of the only Secrets Manager secrets that the build's own commands may read."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.readable_secret_arns :
      can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))
    ])
    error_message = "Every secret ARN must name one Secrets Manager secret, without wildcards."
  }
}

variable "compute_type" {
  description = "Size of the build machine."
  type        = string
  default     = "BUILD_GENERAL1_SMALL"
  nullable    = false

  validation {
    condition     = can(regex("^BUILD_GENERAL1_(SMALL|MEDIUM|LARGE|XLARGE|2XLARGE)$", var.compute_type))
    error_message = "The compute type `${var.compute_type}` must be `BUILD_GENERAL1_` and `SMALL`, `MEDIUM`, `LARGE`, `XLARGE` or `2XLARGE`."
  }
}

variable "environment_type" {
  description = "Kind of build machine; only kinds that can run Docker. `…_EC2` builds on the machine itself, without a container, in the sizes `SMALL`, `MEDIUM` and `LARGE`."
  type        = string
  default     = "LINUX_CONTAINER"
  nullable    = false

  validation {
    condition     = contains(["LINUX_CONTAINER", "LINUX_GPU_CONTAINER", "ARM_CONTAINER", "LINUX_EC2", "ARM_EC2"], var.environment_type)
    error_message = "The environment type `${var.environment_type}` must be `LINUX_CONTAINER`, `LINUX_GPU_CONTAINER`, `ARM_CONTAINER`, `LINUX_EC2` or `ARM_EC2`."
  }
}

variable "fleet" {
  description = "ARN of a fleet of reserved machines of this kind and size. Null means machines on demand."
  type        = string
  default     = null

  validation {
    condition     = var.fleet == null || can(regex("^arn:aws[a-z-]*:codebuild:[a-z0-9-]+:[0-9]{12}:fleet/[A-Za-z0-9_:-]+$", var.fleet))
    error_message = "The fleet must be the ARN of a CodeBuild fleet."
  }
}

variable "environment_image" {
  description = "Image that the build runs in. Names that begin with `aws/codebuild/` are CodeBuild's own images. The project's role pulls any other image, and has the right to do so if the image is in ECR."
  type        = string
  default     = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
  nullable    = false

  validation {
    condition     = can(regex("^[^[:space:]]+$", var.environment_image))
    error_message = "The environment image `${var.environment_image}` must be an image name without spaces."
  }
}

variable "environment_variables" {
  description = "Environment variables of the build, in plain text. They must not be secrets: everybody who may read the project can read them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name in keys(var.environment_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !startswith(name, "CODEBUILD_")
    ])
    error_message = "Every environment variable must be named with letters, digits and `_`, not begin with a digit, and not with `CODEBUILD_`, which is AWS's."
  }
}

variable "parameter_variables" {
  description = "Environment variables from Systems Manager's Parameter Store: parameter names of this account by variable. The build may read exactly these parameters."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name in keys(var.parameter_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !startswith(name, "CODEBUILD_")
    ])
    error_message = "Every environment variable must be named with letters, digits and `_`, not begin with a digit, and not with `CODEBUILD_`, which is AWS's."
  }

  validation {
    condition     = alltrue([for name in values(var.parameter_variables) : can(regex("^[A-Za-z0-9_./-]+$", name))])
    error_message = "Every parameter name must have only letters, digits, `_`, `.`, `-` and `/`, as in the Parameter Store."
  }
}

variable "secret_variables" {
  description = "Environment variables from Secrets Manager: a secret's name or full ARN by variable, followed by `:<JSON key>:<stage>:<version>` for a part of it. The build may read exactly these secrets."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for name in keys(var.secret_variables) : can(regex("^[A-Za-z_][A-Za-z0-9_]*$", name)) && !startswith(name, "CODEBUILD_")
    ])
    error_message = "Every environment variable must be named with letters, digits and `_`, not begin with a digit, and not with `CODEBUILD_`, which is AWS's."
  }

  validation {
    condition = alltrue([
      for value in values(var.secret_variables) :
      can(regex("^([A-Za-z0-9/_+=.@-]+|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6})(:[^:]*){0,3}$", value))
    ])
    error_message = "Every secret must be the name or full ARN of a secret in Secrets Manager, optionally followed by `:<JSON key>:<stage>:<version>`."
  }
}

variable "privileged_mode" {
  description = "Whether the build container is privileged, as the Docker daemon needs it. Set it to false for a build without Docker, and on `LINUX_EC2` and `ARM_EC2`, which have no container."
  type        = bool
  default     = true
  nullable    = false
}

variable "build_timeout_minutes" {
  description = "Minutes after which CodeBuild stops a running build."
  type        = number
  default     = 60
  nullable    = false

  validation {
    condition     = var.build_timeout_minutes >= 5 && var.build_timeout_minutes <= 2160 && floor(var.build_timeout_minutes) == var.build_timeout_minutes
    error_message = "The build timeout must be a whole number of minutes, 5 to 2160."
  }
}

variable "queued_timeout_minutes" {
  description = "Minutes after which CodeBuild cancels a build that is still queued."
  type        = number
  default     = 480
  nullable    = false

  validation {
    condition     = var.queued_timeout_minutes >= 5 && var.queued_timeout_minutes <= 480 && floor(var.queued_timeout_minutes) == var.queued_timeout_minutes
    error_message = "The queued timeout must be a whole number of minutes, 5 to 480."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the build's logs; 0 means for ever."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = contains(
      [0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "CloudWatch keeps logs for 0 (ever), 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary of the role. Null means none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary))
    error_message = "The permissions boundary `${coalesce(var.permissions_boundary, "null")}` must be the ARN of an IAM policy."
  }
}

variable "tags" {
  description = "AWS resource tags of the project, its role and its log group."
  type        = map(string)
  default     = {}
  nullable    = false
}
