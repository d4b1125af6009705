output "project_name" {
  description = "Name of the CodeBuild project that refreshes."
  value       = module.project.name
}

output "project_arn" {
  description = "ARN of the CodeBuild project that refreshes."
  value       = module.project.arn
}

output "role_arn" {
  description = "ARN of the role that a refresh runs as."
  value       = module.project.role_arn
}

output "schedule_arn" {
  description = "ARN of the schedule."
  value       = aws_scheduler_schedule.this.arn
}

output "queue_url" {
  description = "URL of the queue that holds what the schedule could not start."
  value       = aws_sqs_queue.this.url
}

output "topic_arn" {
  description = "ARN of the SNS topic of the alarms, to which you subscribe."
  value       = local.topic_arn
}

output "alarm_arns" {
  description = "ARNs of the alarms, by `silent`, `failed`, `behind`, `gone` and `pulls`."
  value       = { for key, alarm in aws_cloudwatch_metric_alarm.this : key => alarm.arn }
}
