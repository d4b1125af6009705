mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_resource "aws_ecr_repository" {
    defaults = {
      arn            = "arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub/library/nginx"
      repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/docker-hub/library/nginx"
    }
  }
}

variables {
  input = jsondecode(file("tests/input.json"))
}

run "the_input_is_what_toolkit_writes" {
  command = plan

  assert {
    condition = (
      keys(module.repositories) == ["docker-hub/library/nginx"]
      && keys(module.builds) == ["web"]
      && keys(module.refresh) == ["refresh"]
      && keys(output.repositories) == keys(module.repositories)
      && keys(output.builds) == keys(module.builds)
    )
    error_message = "there must be one module for each repository and each build"
  }
}

run "a_mirror_elsewhere_is_named_without_asking_it" {
  command = plan

  variables {
    input = merge(jsondecode(file("tests/input.json")), {
      repositories = {}
      mirror       = { account_id = "210987654321", region = "eu-west-1" }
    })
  }

  assert {
    condition     = local.registry_arn == "arn:aws:ecr:eu-west-1:210987654321:repository"
    error_message = "the build must pull from the other account's repository"
  }

  assert {
    condition     = local.registry_hosts["docker-hub/library/nginx"] == "210987654321.dkr.ecr.eu-west-1.amazonaws.com"
    error_message = "the build must log in to the other account's registry"
  }
}

run "nothing_is_wanted" {
  command = plan

  variables {
    input = { format = 1, repositories = {}, builds = {}, refresh = {}, mirror = null, resource_tags = {} }
  }

  assert {
    condition     = output.repositories == {} && output.builds == {}
    error_message = "an empty manifest must make nothing"
  }
}

run "another_format_is_refused" {
  command = plan

  variables {
    input = merge(jsondecode(file("tests/input.json")), { format = 0 })
  }

  expect_failures = [var.input]
}

run "builds_that_are_a_list_are_refused" {
  command = plan

  variables {
    input = { format = 1, repositories = {}, builds = [], refresh = {}, mirror = null, resource_tags = {} }
  }

  expect_failures = [var.input]
}
