output "name" {
  description = "Name of the repository."
  value       = aws_ecr_repository.this.name
}

output "arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.this.arn
}

output "repository_url" {
  description = "Registry host and repository name for `docker pull`, without a tag."
  value       = aws_ecr_repository.this.repository_url
}

output "registry_id" {
  description = "Account id of the repository's registry."
  value       = aws_ecr_repository.this.registry_id
}
