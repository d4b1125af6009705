"""Keeps the base images of CodeBuild builds in Amazon ECR.

    manifest -> desired -> root module -> terraform plan ─┐
                      └──> observed (HEAD only) ──────────┴─> plan -> terraform apply -> seed -> report

`cli` parses and prints, `operations` are the use cases, `seed`, `terraform` and `aws` are the adapters, everything
below them is pure. A module imports only from layers below its own (`[tool.importlinter]` in `pyproject.toml`).
"""


def version() -> str:
    """The installed version; `importlib.metadata` is slow to import and rarely needed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("base-image-toolkit")
    except PackageNotFoundError:
        return "0+unknown"
