from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden import assert_golden
from tests.support.plan_samples import CHANGED, MIXED, counts, texts
from toolkit.cli.render.report_view import render_report
from toolkit.report import LEFT, Report, SeedOutcome, SeedStatus

HOST = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"


def outcome(status: SeedStatus, key: str, **fields: object) -> SeedOutcome:
    values = {"digest": "sha256:" + "ab" * 32, **fields}
    return SeedOutcome(key, status, f"docker.io/{key}", f"{HOST}/{key}", **values)  # type: ignore[arg-type]  # keywords


COPIED = outcome(
    SeedStatus.COPIED,
    "docker-hub/library/nginx:1.16",
    moved_bytes=40_000_000,
    total_bytes=44_800_000,
    moved_blobs=3,
    mounted_blobs=1,
    present_blobs=2,
    document_reads=2,
    seconds=3.21,
)
UNCHANGED = outcome(SeedStatus.UNCHANGED, "docker-hub/library/redis:7", seconds=0.05)
FAILED = outcome(
    SeedStatus.FAILED,
    "base/python:3.12",
    digest=None,
    moved_bytes=1_000_000,
    total_bytes=400_000_000,
    moved_blobs=1,
    document_reads=2,
    seconds=61.0,
    error_code="oci.pull_limit_reached",
    error_message="source: `docker.io` allows no more pulls for `library/python@sha256:" + "ab" * 32 + "`",
    hint="wait for the window to pass, or sign in",
)
SKIPPED = outcome(SeedStatus.SKIPPED, "quay/prometheus/node-exporter:v1.8.2", digest=None)

SAMPLES = {
    "nothing": Report((), 1.5),
    "unchanged": Report((UNCHANGED,), 1.5),
    "done": Report((COPIED, UNCHANGED), 12.3, infra_changes=MIXED.infra_changes),
    "incomplete": Report((COPIED, FAILED, UNCHANGED, SKIPPED), 71.0),
    "spent": Report((SKIPPED,), 3.0, can_resume=False),
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [80, 120])
def test_a_report_reads_as_reviewed(name: str, width: int) -> None:
    assert_golden(f"render/report_{name}_{width}.txt", render_report(SAMPLES[name], width=width))


def test_colour_adds_codes_and_changes_no_word() -> None:
    coloured = render_report(SAMPLES["incomplete"], colour=True)
    assert coloured.count("\x1b[") > 10
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render_report(SAMPLES["incomplete"])


def test_a_failure_is_told_with_its_code_its_hint_and_what_to_do_next() -> None:
    text = render_report(SAMPLES["incomplete"])
    assert "error: base/python:3.12: source: `docker.io` allows no more" in text
    assert "[oci.pull_limit_reached]" in text
    assert "hint: wait for the window to pass" in text
    assert text.splitlines()[-1] == "Run the same command again: it continues where this one stopped."


@pytest.mark.parametrize("bad", [FAILED, SKIPPED])
def test_one_tag_that_is_not_in_place_makes_it_unfinished(bad: SeedOutcome) -> None:
    text = render_report(Report((COPIED, bad), 1.0))
    assert "Not finished after 1.0 s." in text
    assert "Run the same command again" in text


def test_images_that_are_left_share_one_remark() -> None:
    left = replace(
        SKIPPED, error_code=LEFT, error_message="the pulls left at `docker.io` do not suffice", hint="run it again"
    )
    text = render_report(Report((COPIED, left, replace(left, key="base/go:1.22")), 1.0))
    assert f"left: 2 images: the pulls left at `docker.io` do not suffice [{LEFT}]" in text
    assert text.count("run it again") == 1
    assert "error:" not in text


def test_a_whole_run_asks_for_nothing() -> None:
    assert render_report(SAMPLES["done"]).splitlines()[-1] == "Done after 12 s."


@given(
    st.lists(
        st.builds(
            SeedOutcome,
            key=texts,
            status=st.sampled_from(SeedStatus),
            source=texts,
            destination=texts,
            digest=st.none() | texts,
            moved_bytes=counts,
            total_bytes=counts,
            error_code=st.none() | texts,
            error_message=st.none() | texts,
            hint=st.none() | texts,
        ),
        max_size=4,
    ),
    st.integers(20, 200),
)
def test_whatever_failed_the_text_has_no_control_characters(outcomes: list[SeedOutcome], width: int) -> None:
    text = render_report(Report(tuple(outcomes), 1.0), width=width)
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_long_name_stays_whole_and_on_its_own_line() -> None:
    long_name = replace(COPIED, key="github/" + "very-long/" * 15 + "name:1")
    lines = render_report(Report((long_name, FAILED), 1.0), width=80).splitlines()
    assert f"copied  {long_name.key}" in lines
    assert f"failed  {FAILED.key}  1.00 MB of 400 MB  1 min 1 s" in lines


def test_unchanged_images_are_a_count() -> None:
    text = render_report(Report((COPIED, *[UNCHANGED] * 60), 1.0))
    assert UNCHANGED.key not in text
    assert "Images: 1 copied, 60 unchanged.\n" in text


def test_failures_that_share_a_hint_say_it_once() -> None:
    failed = [replace(FAILED, key=f"base/python:{number}") for number in range(60)]
    text = render_report(Report(tuple(failed), 1.0))
    assert text.count("error: base/python:") == 60
    assert text.count("hint: ") == 1


def test_infrastructure_is_counted_as_terraform_does() -> None:
    changes = CHANGED.infra_changes
    assert "Infrastructure: 5 created, 7 updated, 5 destroyed, 5 imported, 2 let go of.\n" in render_report(
        Report((), 1.0, infra_changes=changes)
    )
