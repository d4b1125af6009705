output "repositories" {
  description = "ARN of each ECR repository, and its URL for `docker pull`, without a tag; by name."
  value = {
    for name, repository in module.repositories : name => {
      arn = repository.arn
      url = repository.repository_url
    }
  }
}

output "builds" {
  description = "ARNs of the CodeBuild projects, by their names in the manifest."
  value       = { for name, build in module.builds : name => build.arn }
}
