"""What `apply` asks on a terminal, after the plan that it is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.conftest import Laptop
from tests.support.terminal import on_a_terminal
from tests.support.toolkit_run import TOOLKIT

MANIFEST = """\
version: 1
name: shop
aws: {region: ap-northeast-1}
images: [nginx:1.16]
"""


@pytest.mark.slow
def test_apply_asks_with_account_region_and_counts(
    open_laptop: Callable[[str], Laptop], monkeypatch: pytest.MonkeyPatch
) -> None:
    laptop = open_laptop(MANIFEST)
    for name, value in laptop.toolkit.environment.items():
        monkeypatch.setenv(name, value)
    code, output = on_a_terminal(TOOLKIT, "apply", until="[y/N]", keys=b"n\n", folder=laptop.folder)
    assert code == 7
    assert "Apply to 123456789012 in ap-northeast-1: 2 to create, 1 image? [y/N]" in output
    summary = "Plan: 2 resources to create, 0 to update, 0 to destroy; 1 image to copy, 0 to move, 0 unchanged."
    assert output.count(summary) == 2
    assert "the plan was not approved; nothing was changed" in output
