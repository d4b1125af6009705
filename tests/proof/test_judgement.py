"""What the proof takes for proven: a judge that lets everything pass would never be noticed elsewhere."""

from __future__ import annotations

import pytest

from tests.proof.cases import CASES
from tests.proof.cells import Cell
from tests.proof.registries import ECR_HOST
from tests.proof.room import Outcome
from tests.proof.said import Said, ask_scan
from tests.proof.suites import NEW, OLD
from tests.proof.trap import Contact, count
from tests.support.real_parts import require
from toolkit.codebuild.coverage import Builder, Verdict
from toolkit.manifest.strategy import OnMiss, Strategy

HOME, ENDS, WRONG, LEAVES = Verdict.STAYS, Verdict.REFUSED, Verdict.WRONG, Verdict.LEAVES
AT_ECR = Contact("http", ECR_HOST, "GET /v2/")


def cell(
    name: str = "tag", strategy: Strategy = Strategy.RETAG, on_miss: OnMiss = "upstream", docker: str = OLD
) -> Cell:
    case = next(case for case in CASES if case.name == name)
    return Cell(case, docker, strategy, on_miss, Builder.BUILDKIT)


def outcome(status: int = 0, *contacts: Contact, **origins: str) -> Outcome:
    return Outcome({"build": status}, "", (AT_ECR, *contacts), origins)


def test_counts_contacts_except_those_with_ecr() -> None:
    contacts = [AT_ECR, Contact("dns", ECR_HOST), Contact("dns", "docker.io"), Contact("tls", "quay.io")]
    assert count(contacts) == {"dns": 1, "tls": 1, "http": 0}


@pytest.mark.parametrize("kind", ["dns", "tls", "http"])
def test_takes_any_contact_for_leaving(kind: str) -> None:
    seen = outcome(0, Contact(kind, "auth.docker.io"), origin="ecr docker.io/library/nginx:1.16 linux/amd64")
    assert cell().judge(seen) is LEAVES


def test_a_failed_build_that_asked_nobody_ends_at_home() -> None:
    assert cell().judge(outcome(1)) is ENDS


def test_refuses_bytes_of_docker_hub_without_a_contact() -> None:
    seen = outcome(
        0, origin="ecr docker.io/library/nginx:1.16 linux/amd64", build="hub docker.io/library/node:20 linux/amd64"
    )
    with pytest.raises(AssertionError, match=r"hub docker\.io/library/node:20"):
        cell().judge(seen)


def test_an_image_without_a_mark_cannot_be_explained() -> None:
    with pytest.raises(AssertionError, match="no mark of origin"):
        cell().judge(outcome(0))


def test_an_image_for_another_platform_is_wrong() -> None:
    assert cell("platform-other").judge(outcome(0, origin="ecr docker.io/library/nginx:1.16 linux/amd64")) is WRONG
    assert cell("platform-other").judge(outcome(0, origin="ecr docker.io/library/nginx:1.16 linux/arm64")) is HOME


@pytest.mark.parametrize("said", [HOME, ENDS, WRONG])
@pytest.mark.parametrize("on_miss", ["upstream", "fail"])
def test_only_what_was_said_is_allowed(said: Verdict, on_miss: OnMiss) -> None:
    allowed = [
        seen for seen in (HOME, ENDS, WRONG, LEAVES) if Said(said, frozenset()).allows(seen, cell(on_miss=on_miss))
    ]
    assert allowed == [said]


def test_sees_what_leaves_or_the_end_of_the_build() -> None:
    hub, quay = Said(LEAVES, frozenset({"docker.io"})), Said(LEAVES, frozenset({"quay.io"}))
    verdicts = (HOME, ENDS, WRONG, LEAVES, None)
    assert [seen for seen in verdicts if hub.allows(seen, cell())] == [LEAVES]
    assert [seen for seen in verdicts if hub.allows(seen, cell(on_miss="fail"))] == [ENDS]
    assert [seen for seen in verdicts if quay.allows(seen, cell(on_miss="fail"))] == [ENDS, LEAVES]


def test_the_scan_is_asked_about_the_very_cell() -> None:
    require("busybox", "the digests of the mirror are those of images made of it")
    assert ask_scan(cell("digest")).verdict is LEAVES
    assert ask_scan(cell("digest", Strategy.HOSTS, docker=NEW)).verdict is HOME
    assert ask_scan(cell("digest", Strategy.HOSTS, docker=OLD)).verdict is ENDS
    assert ask_scan(cell("quay", Strategy.NONE)).registries == {"quay.io"}
    assert ask_scan(cell("sbom", Strategy.NONE, docker=NEW)).verdict is ENDS
