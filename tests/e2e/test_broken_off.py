"""`apply` interrupted or killed at a bad moment: nothing is corrupted, and the next run ends where the first should have."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Laptop

MANIFEST = """\
version: 1
name: {name}
aws: {{region: eu-west-1}}
images: [{images}]
builds:
  - name: web
    source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}
    images: [app01:1]
"""
IMAGES = ", ".join(f"app{number:02}:1" for number in range(1, 7))

in_terraform = ("infra_change_finished", "in Terraform")
while_seeding = ("image_finished", "while seeding")


@pytest.mark.slow
@pytest.mark.parametrize("moment", [in_terraform, while_seeding], ids=lambda moment: moment[1])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_the_next_apply_converges(
    open_laptop: Callable[[str], Laptop], number: signal.Signals, moment: tuple[str, str]
) -> None:
    laptop = open_laptop(MANIFEST.format(name="broken", images=IMAGES))

    def is_the_moment(event: dict[str, Any]) -> bool:
        return bool(event["type"] == moment[0])

    finished, events = laptop.toolkit.run_until(is_the_moment, (number,), "apply", "--auto-approve")
    if number is signal.SIGKILL:
        assert finished.code == -signal.SIGKILL
    else:
        assert finished.code == 130, finished.stderr
        assert events[-1]["type"] == "run_finished"
        assert events[-1]["exit_code"] == 130

    again = laptop.toolkit.run("apply", "--auto-approve", "--format", "json").expect(0).document
    assert len(again["report"]["outcomes"]) == 6
    laptop.toolkit.run("plan", "--detailed-exitcode").expect(0)


def test_five_faults_are_five_problems_and_nothing_is_written(open_laptop: Callable[[str], Laptop]) -> None:
    laptop = open_laptop("version: 1\nname: faulty\naws: {region: eu-west-1}\nimages: [app01:1]\n")
    laptop.write(
        "version: 1\n"
        "name: Faulty Name\n"
        "aws: {region: eu-west-1, account_id: 123}\n"
        "images:\n"
        "  - nginx\n"
        "  - {source: redis:7, platform: linux/amd64}\n"
        "builds:\n"
        "  - {name: web, source: {type: GITHUB, location: https://github.com/acme/web.git}, images: [alpine:3.20]}\n"
    )
    before = sorted(str(path) for path in laptop.folder.rglob("*") if "sandbox" not in path.parts)
    done = laptop.toolkit.run("apply", "--auto-approve", "--format", "json").expect(3)
    issues = done.document["error"]["issues"]
    assert [(issue["line"], issue["path"]) for issue in issues] == [
        (2, "name"),
        (3, "aws.account_id"),
        (5, "images[0]"),
        (6, "images[1].platform"),
        (8, "builds[0].images[0]"),
    ]
    after = sorted(str(path) for path in laptop.folder.rglob("*") if "sandbox" not in path.parts)
    assert after == before
