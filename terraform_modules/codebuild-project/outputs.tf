output "name" {
  description = "Name of the project."
  value       = aws_codebuild_project.this.name
}

output "arn" {
  description = "ARN of the project."
  value       = aws_codebuild_project.this.arn
}

output "role_name" {
  description = "Name of the role that the build runs as, for policies of your own; null with `service_role_arn`."
  value       = one(values(aws_iam_role.this)[*].name)
}

output "role_arn" {
  description = "ARN of the role that the build runs as."
  value       = local.role_arn
}

output "log_group_name" {
  description = "CloudWatch log group of the builds."
  value       = local.log_group.name
}

output "badge_url" {
  description = "URL of the badge; empty without `badge_enabled`."
  value       = aws_codebuild_project.this.badge_url
}

output "webhook_payload_url" {
  description = "URL to which GitHub Enterprise must send its events; null without a webhook."
  value       = one(values(aws_codebuild_webhook.this)[*].payload_url)
}
