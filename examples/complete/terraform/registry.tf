# Put beside the generated files by `terraform.extra_files`: their modules can be used here.

output "image_urls" {
  description = "What `docker pull` wants, without a tag, by repository."
  value       = { for name, repository in module.repositories : name => repository.repository_url }
}
