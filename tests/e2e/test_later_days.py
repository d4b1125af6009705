"""The days after the first one, with everything real but AWS: tags overwritten and moved, sources that are not there."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.conftest import Laptop
from tests.support.toolkit_run import Toolkit

HEAD = "version: 1\nname: later\naws: {region: eu-west-1}\nimages:\n"
IMAGES = """\
  - {source: "nginx:1.16", platforms: all}
  - app01:1
  - app02:1
  - {source: "redis:7", repository_settings: {tag_mutability: immutable}}
  - quay.io/acme/tool:1
"""
HUB = "docker-hub/library"


def bump(laptop: Laptop, reference: str) -> None:
    """Move a tag upstream."""
    address = f"{laptop.status['docker_hub_endpoint']}/sandbox/bump?reference={reference}"
    urllib.request.urlopen(urllib.request.Request(address, method="POST")).close()


def facts(document: dict[str, Any]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """What is decided on each image, and the codes of the notices that are not about pulls."""
    plan = document["plan"]
    decided = {seed["key"]: (seed["action"], seed["reason"]) for seed in plan["seeds"]}
    return decided, sorted(notice["code"] for notice in plan["notices"] if not notice["code"].startswith("budget."))


@pytest.mark.slow
def test_later_days(open_laptop: Callable[[str], Laptop]) -> None:
    laptop = open_laptop(HEAD + IMAGES)
    toolkit = laptop.toolkit
    first = toolkit.run("apply", "--auto-approve", "--format", "json").expect(0).document
    host = first["plan"]["account"]["registry_host"]

    # Somebody pushes over two tags, by the registry; upstream moves two others; one upstream does not speak TLS.
    for name in ("nginx:1.16", "app02:1"):
        toolkit.run("copy", "docker.io/library/app01:1", f"{host}/{HUB}/{name}").expect(0)
    for name in ("app01:1", "redis:7"):
        bump(laptop, name)
    endpoint = str(laptop.status["docker_hub_endpoint"]).replace("http:", "https:")
    known = toolkit.environment["TOOLKIT_REGISTRY_ENDPOINTS"]
    away = {**toolkit.environment, "TOOLKIT_REGISTRY_ENDPOINTS": f"quay.io={endpoint} {known}"}
    toolkit = Toolkit(laptop.folder, away)
    elsewhere = ("plan", "--detailed-exitcode", "--format", "json", "--cache-dir", "another machine")
    seen = toolkit.run(*elsewhere).expect(8).document
    decided, notices = facts(seen)
    assert decided == {
        f"{HUB}/nginx:1.16": ("move", "overwritten in ECR"),
        f"{HUB}/app01:1": ("move", "upstream moved"),
        f"{HUB}/app02:1": ("move", "overwritten in ECR"),
        f"{HUB}/redis:7": ("keep", "immutable, kept in ECR"),
        "quay/acme/tool:1": ("keep", "upstream cannot be used, kept in ECR"),
    }
    assert notices == ["source.unusable", "tag.immutable", "tag.overwritten", "tag.overwritten"]
    assert seen["plan"]["totals"]["overwritten"] == 2
    today = datetime.now(UTC).date().isoformat()
    assert all(seed["pushed_at"].startswith(today) for seed in seen["plan"]["seeds"])
    text = toolkit.run("seed", "--dry-run").expect(0).stdout
    assert "[tag.overwritten]" in text
    assert f"ECR has it since {today}" in text

    # An image that is nowhere stops the others, until it is left out; then they are done.
    laptop.write(HEAD + IMAGES.replace("app02:1", "app02:none"))
    refused = toolkit.run("apply", "--auto-approve", "--format", "json").expect(7).document
    assert refused["error"]["code"] == "source.missing"
    done = toolkit.run("apply", "--auto-approve", "--keep-going", "--format", "json").expect(6).document
    outcomes = {one["key"]: (one["status"], one["error_code"]) for one in done["report"]["outcomes"]}
    assert outcomes == {
        f"{HUB}/nginx:1.16": ("copied", None),
        f"{HUB}/app01:1": ("copied", None),
        f"{HUB}/redis:7": ("unchanged", None),
        "quay/acme/tool:1": ("unchanged", None),
        f"{HUB}/app02:none": ("failed", "source.missing"),
    }

    # The hint of the immutable tag leads to what it says, and a tag that has left the manifest is named.
    laptop.write(HEAD + IMAGES.replace("app01:1", "app01:2").replace("immutable", "mutable"))
    laptop.sandbox("up", "-f", "images.yaml")
    last = toolkit.run("apply", "--auto-approve", "--format", "json").expect(0).document
    copied = {one["key"] for one in last["report"]["outcomes"] if one["status"] == "copied"}
    assert copied == {f"{HUB}/app01:2", f"{HUB}/app02:1", f"{HUB}/redis:7"}
    assert f"ECR keeps tags of `{HUB}/app01` that the manifest does not name: `1`" in {
        notice["message"] for notice in last["plan"]["notices"]
    }
