# A root module that was there before: its own backend, provider and resources.
terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "base_images" {
  # Outside of this repository: "git::https://<where it is>//terraform_modules/base-images?ref=<its tag>".
  source = "../../terraform_modules/base-images"
  input  = jsondecode(file("${path.module}/base-images.json"))
}

# What is made is there for the rest of the module.
resource "aws_iam_policy" "pull_nginx" {
  name = "shop-pull-nginx"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      Resource = [module.base_images.repositories["mirror/docker-hub/library/nginx"].arn]
    }]
  })
}

output "web_project" {
  value = module.base_images.builds["web"]
}
