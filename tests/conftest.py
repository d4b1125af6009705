"""Where every test finds the AWS provider: as the product does, once for the whole session."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

from toolkit.terraform.provider_mirror import find

# How long an example takes is the machine's affair: a deadline is a timed assertion, and fails when others work there.
settings.register_profile("without the clock", deadline=None)
settings.load_profile("without the clock")


def pytest_configure() -> None:
    """Name the mirror that the product would find, so that tests which run Terraform by themselves use it too."""
    if "TOOLKIT_PROVIDER_MIRROR" not in os.environ:
        mirror = find(os.environ, Path.home())
        if mirror is not None:
            os.environ["TOOLKIT_PROVIDER_MIRROR"] = str(mirror)
