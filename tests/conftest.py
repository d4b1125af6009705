"""Where every test finds the AWS provider: as the product does, once for the whole session."""

from __future__ import annotations

import os
from pathlib import Path

from toolkit.terraform.provider_mirror import find


def pytest_configure() -> None:
    """Name the mirror that the product would find, so that tests which run Terraform by themselves use it too."""
    if "TOOLKIT_PROVIDER_MIRROR" not in os.environ:
        mirror = find(os.environ, Path.home())
        if mirror is not None:
            os.environ["TOOLKIT_PROVIDER_MIRROR"] = str(mirror)
