from __future__ import annotations

import pytest

from toolkit.oci.credential_variables import LIST, hosts_of, may_hold_credential, without_secrets


@pytest.mark.parametrize(
    ("name", "listed", "may"),
    [
        ("TOOLKIT_REGISTRY_HUB_TOKEN", "", True),
        ("HUB_TOKEN", "", False),
        ("TOOLKIT_PLAN_KEY", "", False),
        ("HUB_TOKEN", "HUB_USER,HUB_TOKEN", True),
        ("HUB_TOKEN", " HUB_USER  HUB_TOKEN@docker.io ", True),
        ("HUB", "HUB_TOKEN", False),
        ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", False),
        ("GITHUB_TOKEN", "GITHUB_TOKEN@ghcr.io", False),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", False),
        ("CI_JOB_TOKEN", "CI_JOB_TOKEN", False),
    ],
)
def test_a_variable_is_for_registries_by_its_prefix_or_by_the_environments_list(
    name: str, listed: str, may: bool
) -> None:
    assert may_hold_credential(name, {LIST: listed, name: "x"}) is may


def test_the_list_may_bind_a_variable_to_registries() -> None:
    environment = {LIST: "HUB_TOKEN@docker.io, HUB_TOKEN@Mirror.example OTHER TOOLKIT_REGISTRY_X@quay.io"}
    assert hosts_of("HUB_TOKEN", environment) == {"docker.io", "mirror.example"}
    assert hosts_of("TOOLKIT_REGISTRY_X", environment) == {"quay.io"}
    assert hosts_of("OTHER", environment) is None
    assert hosts_of("TOOLKIT_REGISTRY_Y", environment) is None


def test_another_program_sees_nothing_that_is_for_registries() -> None:
    kept = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "terraform needs it"}
    hidden = {
        LIST: "HUB_TOKEN@docker.io AWS_SECRET_ACCESS_KEY",
        "HUB_TOKEN": "x",
        "TOOLKIT_REGISTRY_ANY": "x",
        "TOOLKIT_PLAN_KEY": "x",
    }
    assert without_secrets({**kept, **hidden}) == kept
