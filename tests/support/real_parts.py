"""Real programs that tests use: a missing one skips on a laptop and fails where `TOOLKIT_REQUIRE_REAL_PARTS=1`."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require(program: str, reason: str = "") -> str:
    """The path of `program`; without it the calling test is skipped, or failed where real parts are required."""
    path = shutil.which(program)
    if path:
        return path
    missing(f"`{program}` is not installed{': ' + reason if reason else ''}")


def missing(reason: str) -> NoReturn:
    """Skip or fail the calling test because of `reason`."""
    if os.environ.get("TOOLKIT_REQUIRE_REAL_PARTS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
