terraform {
  # The module itself runs on 1.6; its tests use `mock_provider`, which needs 1.7.
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7"
    }
  }
}
