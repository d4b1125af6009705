"""The Terraform modules that come with `toolkit`: which there are, and where."""

from __future__ import annotations

from pathlib import Path

import toolkit
from toolkit.errors import ToolkitError

MODULES = ("base-images", "codebuild-project", "ecr-repository", "image-refresh")
"""The module that the root module calls, and the modules that it calls in turn, all in `modules/`."""


def modules_folder() -> Path:
    """The folder of the Terraform modules. In the wheel the modules are inside the package, in a checkout beside it."""
    package = Path(toolkit.__file__).parent
    for folder in (package / "terraform_modules", package.parent / "terraform_modules"):
        if folder.is_dir():
            return folder
    raise ToolkitError(
        "terraform.modules_missing", "the Terraform modules are not installed with `toolkit`", hint="install it again"
    )
