locals {
  # Roles are global and their names have at most 64 characters. The region keeps apart two projects with the same name,
  # and the hash two long names.
  role_names = {
    for kind in ["codebuild", "batch"] : kind => (
      length("${var.name}-${kind}-${local.region}") <= 64
      ? "${var.name}-${kind}-${local.region}"
      : "${substr("${var.name}-${kind}-${local.region}", 0, 55)}-${substr(sha256("${var.name}-${kind}-${local.region}"), 0, 8)}"
    )
  }

  # The given role, or the roles below.
  role_arn       = one(concat(var.service_role_arn[*], values(aws_iam_role.this)[*].arn))
  batch_role_arn = one(concat(var.service_role_arn[*], values(aws_iam_role.batch)[*].arn))

  # Only CodeBuild, and only for this project.
  trust_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account_id
          "aws:SourceArn"     = local.project_arn
        }
      }
    }]
  })

  log_statements = [{
    Sid      = "WriteOwnLogs"
    Effect   = "Allow"
    Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    Resource = [local.log_group.arn, "${local.log_group.arn}:*"]
  }]

  # The environment image, if it is in ECR: its name has the account, the region and the repository.
  environment_repository_arns = [
    for part in regexall("^([0-9]{12})[.]dkr[.-]ecr(?:-fips)?[.]([a-z0-9-]+)[.][a-z.]+/([^:@]+)", var.environment_image) :
    "arn:${local.partition}:ecr:${part[1]}:${part[0]}:repository/${part[2]}"
  ]
  pulled_arns = sort(distinct(concat(tolist(var.repository_arns), local.environment_repository_arns)))

  pull_statements = length(local.pulled_arns) == 0 ? [] : [
    {
      Sid      = "LogInToRegistry"
      Effect   = "Allow"
      Action   = ["ecr:GetAuthorizationToken"]
      Resource = ["*"] # AWS has no narrower resource for this action.
    },
    {
      Sid      = "PullImages"
      Effect   = "Allow"
      Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = local.pulled_arns
    },
  ]

  readable_secret_statements = length(var.readable_secret_arns) == 0 ? [] : [{
    Sid      = "ReadSecretsByCommand"
    Effect   = "Allow"
    Action   = ["secretsmanager:GetSecretValue"]
    Resource = sort(var.readable_secret_arns)
  }]

  s3 = "arn:${local.partition}:s3:::"

  s3_statements = var.source_code.type != "S3" ? [] : [
    {
      Sid      = "ReadSourceObjects"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion"]
      Resource = ["${local.s3}${var.source_code.location}${endswith(var.source_code.location, "/") ? "*" : ""}"]
    },
    {
      Sid      = "FindSourceBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
      Resource = ["${local.s3}${split("/", var.source_code.location)[0]}"]
    },
  ]

  # The region of `git-codecommit.<region>.…` and the name after the last `/`.
  codecommit_statements = var.source_code.type != "CODECOMMIT" ? [] : [{
    Sid      = "ReadSourceRepository"
    Effect   = "Allow"
    Action   = ["codecommit:GitPull"]
    Resource = ["arn:${local.partition}:codecommit:${split(".", var.source_code.location)[1]}:${local.account_id}:${basename(var.source_code.location)}"]
  }]

  # The pipeline's artifact store holds the input and output of the build, below the first 20 characters of the pipeline's
  # name. A bucket is often the store of several pipelines.
  pipeline_folder = var.source_code.pipeline == null ? "" : "${substr(var.source_code.pipeline, 0, 20)}/"
  pipeline_statements = !local.is_pipeline ? [] : [
    {
      Sid      = "ExchangePipelineArtifacts"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
      Resource = ["${local.s3}${coalesce(var.source_code.pipeline_bucket, "-")}/${local.pipeline_folder}*"]
    },
    {
      Sid      = "FindPipelineBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
      Resource = ["${local.s3}${coalesce(var.source_code.pipeline_bucket, "-")}"]
    },
  ]

  # The actions have the same prefix as the connection's ARN; older connections have the older prefix.
  connection_service = split(":", coalesce(var.source_code.connection, "arn:aws:codeconnections"))[2]
  # AWS knows the repository for `UseConnection` alone, and not in each of its requests.
  repository_id = try(trimsuffix(trim(regex("^https://[^/]+/(.+)$", var.source_code.location)[0], "/"), ".git"), "-")
  connection_token_statements = var.source_code.connection == null ? [] : [{
    Sid      = "ReadSourceConnection"
    Effect   = "Allow"
    Action   = ["${local.connection_service}:GetConnection", "${local.connection_service}:GetConnectionToken"]
    Resource = [var.source_code.connection]
  }]
  connection_statements = var.source_code.connection == null ? [] : [{
    Sid       = "UseSourceConnection"
    Effect    = "Allow"
    Action    = ["${local.connection_service}:UseConnection"]
    Resource  = [var.source_code.connection]
    Condition = { StringEqualsIgnoreCaseIfExists = { "${local.connection_service}:FullRepositoryId" = local.repository_id } }
  }]

  # A variable names a secret by its name or whole ARN, then `:<JSON key>:<stage>:<version>`. AWS puts a hyphen and six
  # characters behind a secret's name, which the name alone does not tell.
  secret_arns = [
    for value in values(var.secret_variables) : (
      startswith(value, "arn:")
      ? join(":", slice(split(":", value), 0, 7))
      : "arn:${local.partition}:secretsmanager:${local.region}:${local.account_id}:secret:${split(":", value)[0]}-??????"
    )
  ]
  read_secret_arns = sort(distinct(compact(concat(local.secret_arns, [var.source_code.secret]))))
  secret_statements = length(local.read_secret_arns) == 0 ? [] : [{
    Sid      = "ReadSecrets"
    Effect   = "Allow"
    Action   = ["secretsmanager:GetSecretValue"]
    Resource = local.read_secret_arns
  }]

  parameter_statements = length(var.parameter_variables) == 0 ? [] : [{
    Sid    = "ReadParameters"
    Effect = "Allow"
    Action = ["ssm:GetParameters"]
    Resource = sort(distinct([
      for name in values(var.parameter_variables) :
      "arn:${local.partition}:ssm:${local.region}:${local.account_id}:parameter/${trimprefix(name, "/")}"
    ]))
  }]

  # What a pull request leaves in a cache must not get into the builds of `main`. A project that builds pull requests alone
  # has a folder of its own, also where others have the same location.
  webhook_events = [
    for event in flatten([
      for filter in flatten(try(var.webhook.filter_groups, [])) : split(",", filter.pattern) if filter.type == "EVENT"
    ]) : trimspace(event)
  ]
  builds_pull_requests_alone = length(local.webhook_events) > 0 && alltrue([
    for event in local.webhook_events : startswith(event, "PULL_REQUEST_")
  ])

  # CodeBuild writes a cache object below the prefix; without ListBucket a cache that is not there yet looks forbidden.
  cache_location = one([
    for location in var.cache[*].location :
    local.builds_pull_requests_alone ? "${trimsuffix(location, "/")}/pull-requests" : location if location != null
  ])
  cache_statements = local.cache_location == null ? [] : [
    {
      Sid      = "KeepCache"
      Effect   = "Allow"
      Action   = ["s3:GetObject", "s3:PutObject"]
      Resource = ["${local.s3}${trimsuffix(local.cache_location, "/")}/*"]
    },
    {
      Sid      = "FindCacheBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
      Resource = ["${local.s3}${split("/", local.cache_location)[0]}"]
    },
  ]

  s3_log_statements = var.s3_logs_location == null ? [] : [
    {
      Sid      = "WriteLogObjects"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = ["${local.s3}${trimsuffix(var.s3_logs_location, "/")}/*"]
    },
    {
      Sid      = "FindLogBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
      Resource = ["${local.s3}${split("/", var.s3_logs_location)[0]}"]
    },
  ]

  artifact_statements = !local.has_artifacts ? [] : [
    {
      Sid      = "WriteArtifacts"
      Effect   = "Allow"
      Action   = ["s3:PutObject"]
      Resource = [join("/", compact(["${local.s3}${var.artifacts.bucket}", trim(coalesce(var.artifacts.path, "/"), "/"), "*"]))]
    },
    {
      Sid      = "FindArtifactBucket"
      Effect   = "Allow"
      Action   = ["s3:GetBucketAcl", "s3:GetBucketLocation"]
      Resource = ["${local.s3}${var.artifacts.bucket}"]
    },
  ]

  # Artifacts, cache and logs are in S3, so that the key is used through S3 in its own region and in no other way.
  key_look_statements = var.kms_key == null ? [] : [{
    Sid      = "LookAtKey"
    Effect   = "Allow"
    Action   = ["kms:DescribeKey"]
    Resource = [var.kms_key]
  }]
  key_statements = var.kms_key == null ? [] : [{
    Sid      = "UseKeyThroughS3"
    Effect   = "Allow"
    Action   = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
    Resource = [var.kms_key]
    Condition = {
      StringEquals = { "kms:ViaService" = "s3.${split(":", var.kms_key)[3]}.${data.aws_partition.current.dns_suffix}" }
    }
  }]

  # The subnets and groups of a shared VPC belong to another account; their ids are unique without it.
  ec2         = "arn:${local.partition}:ec2:${local.region}"
  subnet_arns = var.vpc == null ? [] : sort([for id in var.vpc.subnets : "${local.ec2}:*:subnet/${id}"])
  group_arns  = var.vpc == null ? [] : sort([for id in var.vpc.security_groups : "${local.ec2}:*:security-group/${id}"])
  interfaces  = "${local.ec2}:${local.account_id}:network-interface/*"

  vpc_look_statements = var.vpc == null ? [] : [{
    Sid    = "LookAtNetwork"
    Effect = "Allow"
    Action = [
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    Resource = ["*"] # AWS has no narrower resource for EC2's Describe actions.
  }]

  vpc_create_statements = var.vpc == null ? [] : [{
    Sid      = "CreateNetworkInterfaces"
    Effect   = "Allow"
    Action   = ["ec2:CreateNetworkInterface"]
    Resource = concat([local.interfaces], local.group_arns, local.subnet_arns)
  }]

  vpc_delete_statements = var.vpc == null ? [] : [{
    Sid       = "DeleteNetworkInterfaces"
    Effect    = "Allow"
    Action    = ["ec2:DeleteNetworkInterface"]
    Resource  = [local.interfaces]
    Condition = { ArnLike = { "ec2:Subnet" = local.subnet_arns } }
  }]

  vpc_lend_statements = var.vpc == null ? [] : [{
    Sid      = "LendNetworkInterfaces"
    Effect   = "Allow"
    Action   = ["ec2:CreateNetworkInterfacePermission"]
    Resource = [local.interfaces]
    Condition = {
      StringEquals = { "ec2:AuthorizedService" = "codebuild.amazonaws.com" }
      ArnLike      = { "ec2:Subnet" = local.subnet_arns }
    }
  }]
}

resource "aws_iam_role" "this" {
  for_each = toset(var.service_role_arn == null ? ["this"] : [])

  name                 = local.role_names["codebuild"]
  description          = "Builds of the CodeBuild project ${var.name}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "this" {
  for_each = aws_iam_role.this

  name = "build"
  role = each.value.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.log_statements,
      local.pull_statements,
      local.readable_secret_statements,
      local.s3_statements,
      local.codecommit_statements,
      local.pipeline_statements,
      local.connection_token_statements,
      local.connection_statements,
      local.secret_statements,
      local.parameter_statements,
      local.cache_statements,
      local.s3_log_statements,
      local.artifact_statements,
      local.key_look_statements,
      local.key_statements,
      local.vpc_look_statements,
      local.vpc_create_statements,
      local.vpc_delete_statements,
      local.vpc_lend_statements,
    )
  })
}

resource "aws_iam_role_policy" "extra" {
  for_each = toset(var.extra_policy == null || var.service_role_arn != null ? [] : ["this"])

  name   = "extra"
  role   = aws_iam_role.this["this"].name
  policy = var.extra_policy
}

# A batch has a role of its own, which starts the builds. The builds then run as the role above.
resource "aws_iam_role" "batch" {
  for_each = toset(var.batch == null || var.service_role_arn != null ? [] : ["this"])

  name                 = local.role_names["batch"]
  description          = "Batches of the CodeBuild project ${var.name}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust_policy
}

resource "aws_iam_role_policy" "batch" {
  for_each = aws_iam_role.batch

  name = "batch"
  role = each.value.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "RunBuildsOfBatch"
      Effect   = "Allow"
      Action   = ["codebuild:RetryBuild", "codebuild:StartBuild", "codebuild:StopBuild"]
      Resource = [local.project_arn]
    }]
  })
}
