"""Golden files: rendered text compared whole. `TOOLKIT_UPDATE_GOLDEN=1` writes them anew, to be reviewed as a diff."""

from __future__ import annotations

import os
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "golden"


def assert_golden(name: str, text: str) -> None:
    """Compare `text` with `tests/golden/<name>`."""
    path = _FOLDER / name
    if os.environ.get("TOOLKIT_UPDATE_GOLDEN") == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} differs"
