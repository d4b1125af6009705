"""What holds for every test: where the AWS provider is, as the product finds it, and which secrets are masked."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from toolkit.oci import masking
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
    # What a run writes depends on the service that runs it; the tests say themselves which.
    services = ("CI", "CODEBUILD_BUILD_ID", "GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE")
    for name in services:
        os.environ.pop(name, None)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage among what stays to the end: 4 s of CPU for 10,000 tests, and 0.5 s at each later look."""
    gc.disable()
    found = yield
    gc.freeze()
    gc.enable()
    return found


@pytest.fixture(autouse=True)
def _masks_of_its_own() -> Iterator[None]:
    """A password stays masked for the whole process, so that `secret` of one test would spoil the messages of others."""
    passwords, tokens = set(masking._passwords), list(masking._tokens)
    yield
    masking._passwords.clear()
    masking._passwords.update(passwords)
    masking._tokens.clear()
    masking._tokens.extend(tokens)
