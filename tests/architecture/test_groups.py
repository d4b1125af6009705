from __future__ import annotations

import os

import pytest


@pytest.mark.xdist_group("groups")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="needs workers: -n 2 --dist loadgroup")
def test_tests_of_one_story_stay_on_one_worker(request: pytest.FixtureRequest) -> None:
    """pytest-xdist puts the group behind the name, which other versions of pytest do not let it."""
    if request.config.getoption("loadgroup"):
        assert request.node.nodeid.endswith("@groups")
