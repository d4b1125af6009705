"""The comments on a plan and on a report: what is said first, how they are cut, and that nothing in them is markup."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import plan_samples
from tests.support.golden import assert_golden
from tests.support.plan_samples import CHANGED, EVERYTHING_NEW, MIXED, REVIEWED, in_root_module, many, plans, seed
from tests.support.rendered_markdown import RenderedMarkdown
from tests.unit.cli.render.test_markdown import HOSTILE
from tests.unit.cli.render.test_report_view import COPIED, FAILED
from tests.unit.cli.render.test_report_view import SAMPLES as REPORTS
from toolkit.cli.render.plan_markdown import render_plan_markdown
from toolkit.cli.render.report_markdown import render_report_markdown
from toolkit.cli.render.result import Look, Result, render
from toolkit.plan.model import AttributeChange, Grant, InfraAction, Loss, Notice, Plan, Refusal, SeedAction
from toolkit.report import CopyPreview, Report, SeedStatus

PLANS = {
    "reviewed": REVIEWED,
    "changed": CHANGED,
    "mixed": MIXED,
    "everything_new": EVERYTHING_NEW,
    "no_changes": plan_samples.NO_CHANGES,
    "some_seen": plan_samples.SOME_SEEN,
    "keeps_going": plan_samples.KEEPS_GOING,
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_reads_as_reviewed(name: str) -> None:
    text = render_plan_markdown(PLANS[name])
    assert RenderedMarkdown(text).faults == []
    assert_golden(f"render/plan_{name}.md", text)


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_as_reviewed(name: str) -> None:
    text = render_report_markdown(REPORTS[name])
    assert RenderedMarkdown(text).faults == []
    assert_golden(f"render/report_{name}.md", text)


def lines_of(plan: Plan) -> list[str]:
    """The visible lines of a comment: the verdict, and what is dangerous."""
    mark, verdict, _, danger, *_ = render_plan_markdown(plan).split("\n")
    assert mark == "<!-- toolkit:plan name=platform region=ap-northeast-1 -->"
    return [verdict, danger]


def test_the_verdict_is_the_first_line_and_dangers_the_second() -> None:
    assert lines_of(REVIEWED) == [
        "Copies 1 image, moves 1 image, updates 1 build, destroys 1 repository, costs 4–6 of 97 pulls left.",
        "**Dangerous:** destroys repository `base/old` (1 image, 231 MB, last pulled 2026-03-01 12:00); "
        "widens rights: `role of web: s3:* on *`.",
    ]
    harmless = replace(REVIEWED, infra_changes=(), losses=())
    assert lines_of(harmless) == [
        "Copies 1 image, moves 1 image, costs 4–6 of 97 pulls left; nothing is destroyed.",
        "No rights are widened; no tag in ECR was overwritten by somebody else.",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (in_root_module("repositories", "a", ["aws_ecr_repository_policy"], InfraAction.DELETE), "destroys 1 resource"),
        (
            in_root_module("builds", "a", ["aws_codebuild_project"], InfraAction.REPLACE),
            "destroys and creates again build `a`",
        ),
        (
            in_root_module(
                "builds",
                "a",
                ["aws_iam_role_policy"],
                InfraAction.UPDATE,
                grants=(Grant("role of a: iam:PassRole on *", is_added=True, is_widening=True),),
            ),
            "widens rights: `role of a: iam:PassRole on *`",
        ),
    ],
)
def test_a_danger_is_named(change: tuple, said: str) -> None:  # type: ignore[type-arg]
    _, danger = lines_of(replace(plan_samples.NO_CHANGES, infra_changes=change))
    assert danger.startswith("**Dangerous:**")
    assert said in danger


def test_nothing_is_said_of_what_was_not_looked_at() -> None:
    verdict, danger = lines_of(replace(REVIEWED, infra_changes=(), losses=(), covers_infra=False))
    assert "destroyed" not in verdict
    assert "rights" not in danger


def test_a_thousand_images_fit_and_the_ones_that_move_stand_first() -> None:
    moved = seed(
        SeedAction.MOVE,
        "nginx:1.27",
        "docker-hub/library/nginx",
        "upstream moved",
        wanted_digest=plan_samples.digest("a"),
    )
    text = render_plan_markdown(replace(plan := many(1000, 300, builds=20), seeds=(*plan.seeds, moved)))
    assert 50_000 < len(text) <= 60_000
    assert RenderedMarkdown(text).faults == []
    images = text[text.index("**Images**") :].splitlines()
    assert images[4].startswith("| `docker-hub/library/nginx:1.27` |")
    assert re.search(r"(?m)^and \d+ more$", text)


def test_a_thousand_unchanged_images_are_folded() -> None:
    text = render_plan_markdown(many(1000, 300, action=SeedAction.KEEP, has_infra=False))
    assert len(text) <= 60_000
    assert text.index("<details>") < 600
    assert RenderedMarkdown(text).details == 1


hostile = st.sampled_from(HOSTILE)


def fill(plan: Plan, text: str) -> Plan:
    """`plan` with `text` in every place that is not ours."""
    one = replace(
        plan.seeds[0],
        key=text,
        repository=text,
        tag=text,
        reason=text,
        used_by=(text, text),
        pushed_at=text,
        is_overwritten=True,
    )
    kept = replace(one, action=SeedAction.KEEP, is_overwritten=False)
    return replace(
        plan,
        name=text,
        account=replace(plan.account, account_id=text, region=text),
        seeds=(one, replace(one, is_overwritten=False), kept),
        infra_changes=(
            *in_root_module("builds", text, ["aws_codebuild_project"], InfraAction.DELETE, reason=text),
            *in_root_module(
                "repositories",
                text,
                ["aws_ecr_repository"],
                InfraAction.UPDATE,
                changes=(AttributeChange(text, text, text + "x"), AttributeChange(text, {text: [text]}, None)),
                grants=(Grant(text, is_added=True, is_widening=True), Grant(text + "x", is_added=False)),
            ),
        ),
        drift=in_root_module("builds", text, [text], InfraAction.UPDATE),
        losses=(Loss("repository", text, 5, (), text),),
        adopted=(plan_samples.Adopted(text, {text: [text]}),),
        refusals=(Refusal(text, text, text), Refusal("a.b", f"`{text}` is {text}")),
        notices=(Notice(text, text, text), Notice("a.b", f"`{text}` `{text}`", f"use `{text}`")),
    )


@given(text=hostile | st.text(max_size=30))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_of_a_plan_is_markup_or_a_command(text: str) -> None:
    plain, comment = (render_plan_markdown(fill(REVIEWED, one)) for one in ("x", text))
    shown, usual = RenderedMarkdown(comment), RenderedMarkdown(plain)
    assert shown.faults == []
    assert shown.tables == usual.tables
    assert shown.details == usual.details
    assert len(shown.comments) == 1
    assert comment.count("<!--") == 1
    assert "##[" not in comment
    assert not re.search(r"(?m)^(/|\s*::)", comment)


@given(plans)
@settings(max_examples=60)
def test_every_plan_has_a_comment_of_whole_tables(plan: Plan) -> None:
    shown = RenderedMarkdown(render_plan_markdown(plan))
    assert shown.faults == []
    assert all(len(set(table)) == 1 for table in shown.tables)


@given(text=hostile | st.text(max_size=30))
@settings(max_examples=40)
def test_no_text_of_a_report_is_markup_or_a_command(text: str) -> None:
    failed = replace(FAILED, key=text, error_code=text, error_message=text, hint=text, digest=text)
    report = Report((failed, replace(COPIED, key=text, digest=text)), 1.0, plan=replace(REVIEWED, name=text))
    comment = render_report_markdown(report)
    shown = RenderedMarkdown(comment)
    assert shown.faults == []
    assert [len(table) for table in shown.tables] == [2]
    assert comment.count("<!--") == 1


def test_a_report_of_a_thousand_images_fits() -> None:
    outcomes = [replace(COPIED if number % 2 else FAILED, key=f"base/service-{number}:1") for number in range(1000)]
    text = render_report_markdown(Report(tuple(outcomes), 900.0))
    assert len(text) <= 60_000
    assert text.startswith(
        "<!-- toolkit:report -->\n**Not finished:** 500 of 1000 images are not in place; copied 500 images"
    )
    assert RenderedMarkdown(text).faults == []


def test_a_report_says_what_to_do_next() -> None:
    left = replace(COPIED, status=SeedStatus.SKIPPED)
    for resumes, said in (
        (True, "**Next:** Run the same command again"),
        (False, "**Next:** Plan again with `toolkit plan --out FILE`"),
    ):
        assert render_report_markdown(Report((left,), 1.0, can_resume=resumes)).split("\n")[3].startswith(said)


FAULT = {"code": "manifest.invalid", "message": "`x` has 1 problem", "hint": "correct `it`"}
ISSUE = {"file": "images.yaml", "line": 3, "path": "images[0]", "message": "`nginx` is wrong"}


def test_an_error_follows_what_was_shown_and_begins_a_comment_without_it() -> None:
    alone = render(Result("plan", 3, {}, {**FAULT, "issues": [ISSUE]}), "markdown", Look())
    assert alone == (
        "<!-- toolkit:plan -->\n**Failed:** `x` has 1 problem `manifest.invalid` *Hint:* correct `it`\n\n"
        "**Problems**\n\n- `images.yaml:3` `images[0]` `nginx` is wrong"
    )
    behind = render(Result("plan", 7, {"plan": REVIEWED}, FAULT), "markdown", Look())
    assert behind is not None
    assert behind.endswith("\n\n**Failed:** `x` has 1 problem `manifest.invalid` *Hint:* correct `it`")
    assert behind.count("<!--") == 1


def test_the_longest_comment_with_an_error_fits() -> None:
    issues = [{**ISSUE, "line": number, "message": "x" * 200} for number in range(1000)]
    error = {**FAULT, "message": "m" * 5000, "hint": "h" * 5000, "issues": issues}
    for values in ({}, {"plan": many(1000, 300, builds=20)}):
        text = render(Result("plan", 3, values, error), "markdown", Look())
        assert text is not None
        assert len(text) <= 60_000
        assert RenderedMarkdown(text).faults == []


@given(text=hostile | st.text(max_size=30))
@settings(max_examples=40)
def test_no_text_of_an_error_or_a_preview_is_markup(text: str) -> None:
    error = {
        "code": text,
        "message": text,
        "hint": text,
        "issues": [{**ISSUE, "file": text, "path": text, "message": text}],
    }
    previews = (
        CopyPreview(text, text, SeedAction.COPY, text),
        CopyPreview(text, text, error_code=text, error_message=text, hint=text),
    )
    shown = RenderedMarkdown(render(Result("copy", 7, {"preview": previews}, error), "markdown", Look()) or "")
    assert shown.faults == []
    assert shown.tables == [[4, 4]]
    assert len(shown.comments) == 1
