# Printed by `toolkit iam-policy`.

data "aws_iam_policy_document" "platform-build-web" {
  statement {
    sid    = "WriteOwnLogs"
    effect = "Allow"
    actions = [
      "logs:CreateLogStream",
      "logs:PutLogEvents",
    ]
    resources = [
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-web",
      "arn:aws:logs:ap-northeast-1:123456789012:log-group:/aws/codebuild/platform-web:*",
    ]
  }

  statement {
    sid    = "LogInToRegistry"
    effect = "Allow"
    actions = [
      "ecr:GetAuthorizationToken",
    ]
    resources = [
      "*",
    ]
  }

  statement {
    sid    = "PullImages"
    effect = "Allow"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:GetDownloadUrlForLayer",
    ]
    resources = [
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/base/python",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/docker/buildkit-syft-scanner",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/docker/dockerfile",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/library/nginx",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/moby/buildkit",
      "arn:aws:ecr:ap-northeast-1:123456789012:repository/mirror/docker-hub/tonistiigi/binfmt",
    ]
  }

  statement {
    sid    = "ReadSourceConnection"
    effect = "Allow"
    actions = [
      "codeconnections:GetConnection",
      "codeconnections:GetConnectionToken",
    ]
    resources = [
      "arn:aws:codeconnections:ap-northeast-1:123456789012:connection/6b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e",
    ]
  }

  statement {
    sid    = "UseSourceConnection"
    effect = "Allow"
    actions = [
      "codeconnections:UseConnection",
    ]
    resources = [
      "arn:aws:codeconnections:ap-northeast-1:123456789012:connection/6b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e",
    ]

    condition {
      test     = "StringEqualsIgnoreCaseIfExists"
      variable = "codeconnections:FullRepositoryId"
      values   = ["acme/web"]
    }
  }

  statement {
    sid    = "ReadSecrets"
    effect = "Allow"
    actions = [
      "secretsmanager:GetSecretValue",
    ]
    resources = [
      "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:web/token-??????",
    ]
  }

  statement {
    sid    = "ReadParameters"
    effect = "Allow"
    actions = [
      "ssm:GetParameters",
    ]
    resources = [
      "arn:aws:ssm:ap-northeast-1:123456789012:parameter/web/license",
    ]
  }

  statement {
    sid    = "KeepCache"
    effect = "Allow"
    actions = [
      "s3:GetObject",
      "s3:PutObject",
    ]
    resources = [
      "arn:aws:s3:::acme-build-cache/web/*",
    ]
  }

  statement {
    sid    = "FindCacheBucket"
    effect = "Allow"
    actions = [
      "s3:GetBucketLocation",
      "s3:ListBucket",
    ]
    resources = [
      "arn:aws:s3:::acme-build-cache",
    ]
  }

  statement {
    sid    = "WriteLogObjects"
    effect = "Allow"
    actions = [
      "s3:PutObject",
    ]
    resources = [
      "arn:aws:s3:::acme-build-logs/web/*",
    ]
  }

  statement {
    sid    = "FindLogBucket"
    effect = "Allow"
    actions = [
      "s3:GetBucketAcl",
      "s3:GetBucketLocation",
    ]
    resources = [
      "arn:aws:s3:::acme-build-logs",
    ]
  }

  statement {
    sid    = "WriteArtifacts"
    effect = "Allow"
    actions = [
      "s3:PutObject",
    ]
    resources = [
      "arn:aws:s3:::acme-sites/web/*",
    ]
  }

  statement {
    sid    = "FindArtifactBucket"
    effect = "Allow"
    actions = [
      "s3:GetBucketAcl",
      "s3:GetBucketLocation",
    ]
    resources = [
      "arn:aws:s3:::acme-sites",
    ]
  }

  statement {
    sid    = "LookAtKey"
    effect = "Allow"
    actions = [
      "kms:DescribeKey",
    ]
    resources = [
      "arn:aws:kms:ap-northeast-1:123456789012:key/6b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e",
    ]
  }

  statement {
    sid    = "UseKeyThroughS3"
    effect = "Allow"
    actions = [
      "kms:Decrypt",
      "kms:Encrypt",
      "kms:GenerateDataKey*",
      "kms:ReEncrypt*",
    ]
    resources = [
      "arn:aws:kms:ap-northeast-1:123456789012:key/6b1c2d3e-4f5a-4b6c-8d7e-9f0a1b2c3d4e",
    ]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.ap-northeast-1.amazonaws.com"]
    }
  }

  statement {
    sid    = "LookAtNetwork"
    effect = "Allow"
    actions = [
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    resources = [
      "*",
    ]
  }

  statement {
    sid    = "CreateNetworkInterfaces"
    effect = "Allow"
    actions = [
      "ec2:CreateNetworkInterface",
    ]
    resources = [
      "arn:aws:ec2:ap-northeast-1:123456789012:network-interface/*",
      "arn:aws:ec2:ap-northeast-1:*:security-group/sg-0a1b2c3d4e5f60718",
      "arn:aws:ec2:ap-northeast-1:*:subnet/subnet-0a1b2c3d4e5f60718",
    ]
  }

  statement {
    sid    = "DeleteNetworkInterfaces"
    effect = "Allow"
    actions = [
      "ec2:DeleteNetworkInterface",
    ]
    resources = [
      "arn:aws:ec2:ap-northeast-1:123456789012:network-interface/*",
    ]

    condition {
      test     = "ArnLike"
      variable = "ec2:Subnet"
      values   = ["arn:aws:ec2:ap-northeast-1:*:subnet/subnet-0a1b2c3d4e5f60718"]
    }
  }

  statement {
    sid    = "LendNetworkInterfaces"
    effect = "Allow"
    actions = [
      "ec2:CreateNetworkInterfacePermission",
    ]
    resources = [
      "arn:aws:ec2:ap-northeast-1:123456789012:network-interface/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "ec2:AuthorizedService"
      values   = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "ec2:Subnet"
      values   = ["arn:aws:ec2:ap-northeast-1:*:subnet/subnet-0a1b2c3d4e5f60718"]
    }
  }

  statement {
    sid    = "Publish"
    effect = "Allow"
    actions = [
      "s3:PutObject",
    ]
    resources = [
      "arn:aws:s3:::acme-www/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "aws:RequestedRegion"
      values   = ["ap-northeast-1"]
    }
  }

  statement {
    sid    = "Deploy"
    effect = "Allow"
    actions = [
      "sts:AssumeRole",
    ]
    resources = [
      "arn:aws:iam::123456789012:role/*",
    ]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/deployed-by"
      values   = ["web"]
    }
  }
}

resource "aws_iam_policy" "platform-build-web" {
  name   = "platform-build-web"
  policy = data.aws_iam_policy_document.platform-build-web.json
}
