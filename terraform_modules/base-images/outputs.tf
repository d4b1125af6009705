output "repositories" {
  description = "ECR repositories by name: ARN, and the URL that `docker pull` wants, without a tag."
  value = {
    for name, repository in module.repositories : name => {
      arn = repository.arn
      url = repository.repository_url
    }
  }
}

output "builds" {
  description = "ARNs of the CodeBuild projects by the manifest's name for them."
  value       = { for name, build in module.builds : name => build.arn }
}
