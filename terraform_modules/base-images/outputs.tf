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

output "refresh" {
  description = "ARN of the CodeBuild project that refreshes, and of the SNS topic of its alarms; null without `refresh`."
  value       = one([for refresh in module.refresh : { project = refresh.project_arn, topic = refresh.topic_arn }])
}
