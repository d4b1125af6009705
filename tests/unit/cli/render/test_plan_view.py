from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import plan_samples
from tests.support.golden import assert_golden
from tests.support.plan_samples import digest, hub_cost, many, plans, repository_changes, seed
from toolkit.cli.render.plan_markdown import render_plan_markdown
from toolkit.cli.render.plan_view import apply_question, render_plan
from toolkit.cli.render.result import Look, Result, render
from toolkit.oci.auth import CredentialUse
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.plan.model import InfraAction, InfraChange, Notice, Plan, Refusal, SeedAction
from toolkit.plan.on_budget import OnBudget

SIXTY_NEW = many(60, 20, builds=4)
SIXTY_KEPT = many(60, 20, action=SeedAction.KEEP, has_infra=False)
ONE_OF_SIXTY_MOVED = replace(
    SIXTY_KEPT,
    seeds=(
        replace(SIXTY_KEPT.seeds[0], action=SeedAction.MOVE, reason="upstream moved", current_digest=digest("c")),
        *SIXTY_KEPT.seeds[1:],
    ),
    pull_costs=(hub_cost(2, 3, 97),),
)
# Of three registries, in all ways that the platforms of an image may be chosen.
SIXTY_OF_ALL_KINDS = replace(
    SIXTY_NEW,
    seeds=tuple(
        replace(
            one,
            source=replace(one.source, registry=("docker.io", "quay.io", "ghcr.io")[number % 3]),
            subset=Subset(
                (None, (plan_samples.AMD64,), (plan_samples.AMD64, plan_samples.ARM64))[number // 3 % 3],
                number % 2 == 0,
            ),
            wanted_digest=one.source.digest if number % 5 else None,
        )
        for number, one in enumerate(SIXTY_NEW.seeds)
    ),
)
SAMPLES = {
    "empty": plan_samples.EMPTY,
    "no_changes": plan_samples.NO_CHANGES,
    "everything_new": plan_samples.EVERYTHING_NEW,
    "mixed": plan_samples.MIXED,
    "changed": plan_samples.CHANGED,
    "keeps_going": plan_samples.KEEPS_GOING,
    "some_seen": plan_samples.SOME_SEEN,
    "sixty_new": SIXTY_NEW,
    "one_of_sixty_moved": ONE_OF_SIXTY_MOVED,
}


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [80, 120])
def test_a_plan_reads_as_reviewed(name: str, width: int) -> None:
    assert_golden(f"render/plan_{name}_{width}.txt", render_plan(SAMPLES[name], width=width))


def test_unchanged_images_are_listed_when_asked_for() -> None:
    text = render_plan(plan_samples.MIXED, width=80, shows_unchanged=True)
    assert_golden("render/plan_mixed_unchanged_80.txt", text)


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize(
    ("plan", "lines"),
    [
        *((many(60, repositories, builds), 90) for repositories in (1, 20, 30, 60) for builds in (0, 20)),
        (SIXTY_OF_ALL_KINDS, 90),
        (ONE_OF_SIXTY_MOVED, 12),
        (SIXTY_KEPT, 6),
        (plan_samples.EMPTY, 6),
        (plan_samples.SOME_SEEN, 6),
    ],
)
def test_a_plan_fits_on_a_screen(plan: Plan, lines: int, width: int) -> None:
    assert len(render_plan(plan, width=width).splitlines()) <= lines


def test_three_hundred_new_images_take_less_than_20_kb() -> None:
    assert len(render_plan(many(300, 100, builds=20), width=80)) < 20_000


def test_a_new_image_is_one_line_even_when_its_name_is_wide() -> None:
    wide = "very-long/" * 9
    plan = many(60, 60)
    seeds = [replace(one, key=wide + one.key, repository=wide + one.repository) for one in plan.seeds]
    changes = [
        replace(one, name=wide + one.name, address=one.address.replace(one.name, wide + one.name))
        for one in plan.infra_changes
    ]
    text = render_plan(replace(plan, seeds=tuple(seeds), infra_changes=tuple(changes)), width=80)
    assert len(text.splitlines()) <= 90
    assert all(seed.key in text for seed in seeds)


@given(plans, st.integers(20, 200), st.booleans())
def test_any_plan_begins_and_ends_with_its_summary_and_tells_every_refusal(
    plan: Plan, width: int, shows_unchanged: bool
) -> None:
    text = render_plan(plan, width=width, shows_unchanged=shows_unchanged)
    lines = text.rstrip("\n").split("\n")
    assert lines[0] == lines[-1]
    assert lines[0].startswith(("Plan: ", "No changes"))
    assert all(line.isprintable() for line in lines)
    words = "".join(text.split())
    for refusal in plan.refusals:
        escaped = refusal.code if refusal.code.isprintable() else None
        assert escaped is None or f"[{''.join(escaped.split())}]" in words


def test_colour_adds_codes_and_changes_no_word() -> None:
    for name in ("mixed", "changed"):
        coloured = render_plan(SAMPLES[name], colour=True)
        assert_golden(f"render/plan_{name}_colour.txt", coloured)
        assert re.sub(r"\x1b\[\d+m", "", coloured) == render_plan(SAMPLES[name])


def test_text_of_others_is_shown_and_not_obeyed() -> None:
    plan = replace(plan_samples.MIXED, name="\x1b[2Jplatform\n")
    assert render_plan(plan).splitlines()[1].startswith(r"\x1b[2Jplatform\n: account")


@pytest.mark.parametrize("width", [1, 40, 60, 80, 120])
@pytest.mark.parametrize("name", ["mixed", "changed"])
def test_only_what_cannot_be_cut_is_wider_than_the_text(name: str, width: int) -> None:
    for line in render_plan(SAMPLES[name], width=width).split("\n"):
        longest = max(map(len, line.split()), default=0)
        is_whole = line.startswith(("Plan:", "platform:", "Images,")) or re.match(
            r"    [!+~=] \S+:\S+  \S|  To |  Changed", line
        )
        assert len(line) <= max(width, 40) or longest > width - 20 or is_whole or "--show-unchanged" in line


def test_a_moved_tag_shows_what_it_was_and_what_it_becomes() -> None:
    text = render_plan(plan_samples.MIXED)
    assert "  1 image to move; from docker.io; all platforms; upstream moved:\n" in text
    assert "    ~ docker-hub/library/nginx:1.16  cccccccccccc -> aaaaaaaaaaaa  44.8 MB\n" in text


def test_an_overwritten_tag_is_a_warning_of_its_own() -> None:
    text = " ".join(render_plan(plan_samples.CHANGED, width=80).split())
    assert "overwritten in ECR: sha256:cccccccccccc pushed 2026-11-28 03:17 by somebody else" in text
    assert "overwritten in ECR: sha256:eeeeeeeeeeee pushed by somebody else kept: immutable, kept in ECR" in text
    assert "2 overwritten in ECR." in text


def test_images_of_one_repository_stand_together() -> None:
    seeds = [seed(SeedAction.COPY, f"nginx:{tag}", "base/nginx", "not in ECR") for tag in ("1", "2")]
    other = seed(SeedAction.COPY, "redis:7", "base/redis", "not in ECR")
    text = render_plan(replace(plan_samples.EMPTY, seeds=(seeds[0], other, seeds[1])))
    names = re.findall(r"^    \+ +(\S+)", text, re.MULTILINE)
    assert names == ["base/nginx:1", ":2", "base/redis:7"]


def test_what_images_do_not_share_parts_them() -> None:
    same = seed(SeedAction.COPY, "nginx:1", "a/nginx", "not in ECR", wanted_digest=digest("a"))
    others = (
        ("from quay.io", replace(same, source=Reference.parse("quay.io/nginx/nginx:1").with_digest(digest("a")))),
        ("all platforms", replace(same, subset=WHOLE)),
        (
            "linux/amd64 without attestations",
            replace(same, subset=Subset((plan_samples.AMD64,), keeps_attestations=False)),
        ),
        ("linux/amd64 of this digest", replace(same, wanted_digest=digest("b"))),
        ("its repository is replaced", replace(same, reason="its repository is replaced")),
    )
    for fact, other in others:
        text = render_plan(replace(plan_samples.EMPTY, seeds=(same, other)))
        assert f"\n    {fact} (1):\n    + a/nginx:1  " in text
        assert re.search(r"^  2 images to copy; ", text, re.MULTILINE)


def test_what_images_share_is_said_once() -> None:
    one = seed(SeedAction.COPY, "nginx:1", "a/nginx", "its repository is new")
    text = render_plan(replace(plan_samples.EMPTY, seeds=(one, replace(one, key="a/b:2", repository="a/b"))))
    shared = "  2 images to copy; from docker.io; linux/amd64 of these digests; their repositories are new:\n"
    assert f"{shared}    + a/nginx:1  " in text


def test_images_without_facts_of_their_own_come_first() -> None:
    one = seed(SeedAction.COPY, "alpine:3", "a/alpine", "not in ECR", pulls=(9, 9))
    plan = replace(plan_samples.EMPTY, on_budget=OnBudget.WAIT, pull_costs=(hub_cost(10, 10, 3),))
    free = replace(one, key="a/free:3", pulls=(0, 0))
    text = render_plan(replace(plan, seeds=(one, free)))
    shared = "  2 images to copy; from docker.io; linux/amd64 of these digests; not in ECR:\n"
    assert f"{shared}    + a/free:3  aaaaaaaaaaaa" in text
    assert "\n    may have to wait for pulls (1):\n    + a/alpine:3  " in text


def test_a_source_that_the_name_does_not_tell_is_shown() -> None:
    seeds = (
        seed(SeedAction.COPY, "python:3", "base/python", "not in ECR"),
        seed(SeedAction.COPY, "nginx:1", "docker-hub/library/nginx", "not in ECR"),
    )
    text = render_plan(replace(plan_samples.EMPTY, seeds=seeds))
    assert "+ base/python:3  aaaaaaaaaaaa  from library/python:3\n" in text
    assert "+ docker-hub/library/nginx:1  aaaaaaaaaaaa\n" in text


def test_a_repository_created_with_its_images_is_named_once() -> None:
    text = render_plan(many(6, 2), width=200)
    assert "    + 2 repositories (4 resources), named with the images below\n" in text
    assert "their repositories are new:\n" in text
    assert text.count("service-000") == 1


def test_a_repository_created_without_images_is_named() -> None:
    plan = replace(plan_samples.EMPTY, infra_changes=repository_changes("a/b", InfraAction.CREATE))
    assert "    + repository a/b (3 resources)\n" in render_plan(plan)


@pytest.mark.parametrize("action", InfraAction)
def test_every_action_of_terraform_is_shown_and_counted(action: InfraAction) -> None:
    changes = (InfraChange("aws_x.this", "aws_x", action),)
    text = render_plan(replace(plan_samples.EMPTY, infra_changes=changes))
    assert "aws_x.this" in text
    counts = {
        InfraAction.CREATE: "1 resource to create, 0 to update, 0 to destroy;",
        InfraAction.UPDATE: "0 resources to create, 1 to update, 0 to destroy;",
        InfraAction.REPLACE: "1 resource to create, 0 to update, 1 to destroy;",
        InfraAction.DELETE: "0 resources to create, 0 to update, 1 to destroy;",
        InfraAction.FORGET: "0 resources to create, 0 to update, 0 to destroy, 1 to let go of;",
        InfraAction.IMPORT: "0 resources to create, 0 to update, 0 to destroy, 1 to import;",
    }
    assert text.splitlines()[-1].startswith(f"Plan: {counts[action]}")


def test_an_import_that_updates_counts_as_both() -> None:
    change = InfraChange("aws_x.this", "aws_x", InfraAction.UPDATE, is_imported=True)
    last = render_plan(replace(plan_samples.EMPTY, infra_changes=(change,))).splitlines()[-1]
    assert "0 resources to create, 1 to update, 0 to destroy, 1 to import;" in last


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (hub_cost(3, 3, 3), "docker.io: 3 needed, 3 of 100 left in 6 h: fits"),
        (hub_cost(3, 5, 4), "docker.io: 3 to 5 needed, 4 of 100 left in 6 h: may not fit"),
        (hub_cost(3, None, 99), "docker.io: at least 3 needed, 99 of 100 left in 6 h: may not fit"),
        (hub_cost(5, 6, 4), "docker.io: 5 to 6 needed, 4 of 100 left in 6 h: does not fit"),
        (replace(hub_cost(5, 6, 4), budget=None), "docker.io: 5 to 6 needed, no limit stated: fits"),
    ],
)
def test_pulls_are_judged_against_what_is_left(cost: plan_samples.PullCost, words: str) -> None:
    text = render_plan(replace(plan_samples.EVERYTHING_NEW, pull_costs=(cost,)))
    assert f"  Counted pulls at {words}\n" in text


@pytest.mark.parametrize(
    ("on_budget", "words"),
    [
        (OnBudget.REFUSE, None),
        (OnBudget.WAIT, "may have to wait for pulls"),
        (OnBudget.PARTIAL, "may be left for the next run"),
    ],
)
def test_an_image_without_room_in_the_budget_says_what_becomes_of_it(on_budget: OnBudget, words: str | None) -> None:
    plan = replace(plan_samples.EVERYTHING_NEW, pull_costs=(hub_cost(6, 7, 4),), on_budget=on_budget)
    text = render_plan(plan, width=200)
    assert (f"linux/amd64 of this digest; not in ECR; {words} (1):\n    + docker-hub/library/alpine:3.20" in text) == (
        words is not None
    )
    assert text.count("may be") + text.count("may have") == (1 if words else 0)


def test_bytes_from_another_registry_are_named() -> None:
    elsewhere = Repository("public.ecr.aws", "docker/library/nginx")
    plan = replace(
        plan_samples.EMPTY, seeds=(seed(SeedAction.COPY, "nginx:1", "a/nginx", "new", bytes_from=elsewhere),)
    )
    assert "to copy; from docker.io; bytes from public.ecr.aws, which costs no counted pull; " in render_plan(
        plan, width=200
    )


def test_says_where_ecr_has_an_image_already_and_what_keeps_the_old_one() -> None:
    keeper = "kept.1.27.8adbdcb969e2"
    moved = seed(SeedAction.MOVE, "nginx:1", "a/nginx", "another digest is admitted", current_digest=digest("a"))
    moved = replace(moved, wanted_digest=digest("b"), size=0, stored_as=keeper, keeper="kept.1.aaaaaaaaaaaa")
    untagged = replace(moved, tag="2", key="a/nginx:2", stored_as=str(digest("b")), keeper=None)
    plan = replace(plan_samples.EMPTY, seeds=(moved, untagged))
    text = render_plan(plan, width=200)
    assert "to move; ECR has it already: only the tag moves; " in text
    assert f"in ECR as {keeper}  the old one stays as kept.1.aaaaaaaaaaaa" in text
    assert "in ECR untagged" in text
    table = render_plan_markdown(plan)
    assert "another digest is admitted; ECR has it as `kept.1.27.8adbdcb969e2`: only the tag moves" in table
    assert "the old one stays as `kept.1.aaaaaaaaaaaa`" in table
    page = render(Result("seed", 0, {"plan": plan}), "html", Look()) or ""
    assert f"as {keeper}: only the tag moves" in page


def test_a_tag_that_two_names_share_counts_its_bytes_once() -> None:
    twice = tuple(seed(SeedAction.COPY, f"nginx:{tag}", "a/nginx", "not in ECR", size=500) for tag in ("1", "1.16"))
    assert "Together at most 500 B;" in render_plan(replace(plan_samples.EMPTY, seeds=twice))


def test_companions_are_counted_where_they_are_new_and_named_where_they_move() -> None:
    tag = f"sha256-{'b' * 64}.sig"
    fields = {"subset": WHOLE, "subject": digest("b")}
    new = seed(SeedAction.COPY, f"nginx:{tag}", "base/nginx", "signature of bbbbbbbbbbbb: not in ECR", **fields)
    moved = replace(new, action=SeedAction.MOVE, repository="base/go", key=f"base/go:{tag}", current_digest=digest("c"))
    text = render_plan(replace(plan_samples.EMPTY, seeds=(new, moved)))
    assert "    + 1 companion (signature) in base/nginx\n" in text
    assert "1 image to move; from docker.io; signature; not in ECR:\n" in text
    assert f"    ~ base/go:{tag}  cccccccccccc -> made of aaaaaaaaaaaa\n" in text
    assert "platforms" not in text


def test_refusals_that_share_a_hint_say_it_once() -> None:
    refusals = tuple(
        Refusal("source.denied", f"images[{n}]: `quay.io/acme/{n}:1` is denied", "log in") for n in range(60)
    )
    lines = render_plan(replace(plan_samples.EMPTY, refusals=refusals), width=80).splitlines()
    assert sum(line.startswith("refused: images[") for line in lines) == 60
    assert lines.count("hint: log in") == 1
    assert len(lines) <= 66
    assert lines[-1] == lines[0]
    assert lines[0].endswith("Refused for 60 reasons.")


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (plan_samples.NO_CHANGES, "No changes. Infrastructure and images match the manifest; 0 counted pulls."),
        (plan_samples.SOME_SEEN, "No changes in the 2 images that were looked at; 48 were left out by --only."),
        (replace(plan_samples.SOME_SEEN, unseen_images=0), "No changes in the 2 images that were looked at."),
        (
            replace(
                plan_samples.SOME_SEEN,
                unseen_images=1,
                seeds=plan_samples.NO_CHANGES.seeds[:1],
                notices=(Notice("a.b", "c"),),
            ),
            "No changes in the 1 image that was looked at; 1 notice; 1 was left out by --only.",
        ),
        (
            replace(plan_samples.NO_CHANGES, refusals=plan_samples.KEEPS_GOING.refusals, keeps_going=True),
            "No changes in the infrastructure and the 2 images that were looked at; "
            "3 images are skipped (--keep-going).",
        ),
        (replace(plan_samples.NO_CHANGES, notices=(Notice("a.b", "c"),)), "No changes to make; 1 notice."),
        (replace(plan_samples.EMPTY, is_destroy=True), "No changes. There is nothing left to destroy."),
        (
            replace(plan_samples.SOME_SEEN, seeds=(), refusals=plan_samples.MIXED.refusals[:1]),
            "Plan: 48 were left out by --only. Refused for 1 reason.",
        ),
        (
            replace(plan_samples.EMPTY, covers_infra=False, refusals=plan_samples.MIXED.refusals[:1]),
            "Plan: refused for 1 reason.",
        ),
    ],
)
def test_a_verdict_speaks_of_what_was_looked_at(plan: Plan, words: str) -> None:
    assert render_plan(plan, width=80).splitlines()[-1] == words


def test_without_terraform_there_is_no_word_on_infrastructure() -> None:
    plan = replace(ONE_OF_SIXTY_MOVED, covers_infra=False, unseen_images=240)
    text = render_plan(plan)
    assert "resource" not in text
    assert "nfrastructure" not in text
    assert text.startswith("Plan: 0 images to copy, 1 to move, 59 unchanged; 240 were left out by --only.\n")


def test_a_refused_plan_without_changes_is_not_called_a_match() -> None:
    plan = replace(plan_samples.NO_CHANGES, refusals=plan_samples.MIXED.refusals[:1])
    last = render_plan(plan).splitlines()[-1]
    assert "No changes" not in last
    assert last.endswith("Refused for 1 reason.")


def test_what_keeps_going_skips_images_and_refuses_the_rest() -> None:
    whole = Refusal("budget.too_small", "too few pulls")
    plan = replace(plan_samples.KEEPS_GOING, refusals=(*plan_samples.KEEPS_GOING.refusals, whole))
    text = render_plan(plan)
    assert text.count("skipped: ") == 3
    assert "refused: too few pulls [budget.too_small]\n" in text
    assert text.splitlines()[-1].endswith("3 images are skipped (--keep-going). Refused for 1 reason.")


@pytest.mark.parametrize(
    ("plan", "question"),
    [
        (plan_samples.EVERYTHING_NEW, "Apply to 123456789012 in ap-northeast-1: 10 to create, 4 images?"),
        (ONE_OF_SIXTY_MOVED, "Apply to 123456789012 in ap-northeast-1: 1 image?"),
        (
            plan_samples.MIXED,
            "Apply to 123456789012 in ap-northeast-1: 1 to create, 3 to update, 4 to destroy, 3 to import, "
            "1 to let go of, 2 images?",
        ),
    ],
)
def test_the_question_names_the_account_the_region_and_what_is_not_zero(plan: Plan, question: str) -> None:
    assert apply_question(plan) == question


def test_a_plan_names_which_credential_goes_where() -> None:
    uses = (
        CredentialUse("docker.io", "auth.docker.io", "docker config (`docker.io`)"),
        CredentialUse("quay.io", "quay.io", "variables `TOOLKIT_REGISTRY_USER` and `TOOLKIT_REGISTRY_TOKEN`"),
    )
    lines = render_plan(replace(plan_samples.NO_CHANGES, credentials=uses), width=200).splitlines()
    assert "Credential for docker.io: docker config (`docker.io`), sent to auth.docker.io" in lines
    named = "variables `TOOLKIT_REGISTRY_USER` and `TOOLKIT_REGISTRY_TOKEN`"
    assert f"Credential for quay.io: {named}, sent to quay.io" in lines
