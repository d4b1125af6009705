"""A stand-in for AWS, Docker Hub and ECR on loopback; the product knows nothing of it but an environment."""
