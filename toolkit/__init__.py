"""Keeps the base images of CodeBuild builds in Amazon ECR.

    manifest -> desired -> root module -> terraform plan ─┐
                      └──> observed (HEAD only) ──────────┴─> plan -> terraform apply -> seed -> report

`cli` parses and prints, `operations` are the use cases, `seed`, `terraform` and `aws` are the adapters, everything
below them is pure. A module imports only from layers below its own (`[tool.importlinter]` in `pyproject.toml`).
"""

__version__ = "0.1.0"
