from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["plain", "json_lines", "plan_view", "report_view", "serialise"])
def test_rich_is_imported_for_the_live_display_only(module: str) -> None:
    program = f"import sys, toolkit.cli.render.{module}; print('rich' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown == "False\n"
