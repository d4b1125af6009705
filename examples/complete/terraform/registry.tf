# Put beside the generated files by `terraform.extra_files`: what they make can be used here.

output "image_urls" {
  description = "What `docker pull` wants, without a tag, by repository."
  value       = { for name, repository in module.base_images.repositories : name => repository.url }
}
