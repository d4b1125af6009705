"""The table of what each strategy serves, held against what was seen on real daemons."""

from __future__ import annotations

from itertools import combinations, product
from pathlib import Path

import pytest

from toolkit.codebuild.coverage import CODEBUILD, Builder, Daemon, ImageUse, Kind, Trait, Verdict, builder_of, outcome
from toolkit.manifest.strategy import Strategy

PAGE = (Path(__file__).parents[3] / "docs/explanation/strategies.md").read_text(encoding="utf-8")
OLD = Daemon("20.10.24")
CONTAINERD = Daemon("29.0.0", has_containerd_store=True)


def use(kind: Kind = Kind.FROM, *traits: Trait) -> ImageUse:
    return ImageUse(kind, frozenset(traits))


def verdicts(strategy: Strategy, subject: ImageUse, daemon: Daemon = CODEBUILD) -> str:
    """One letter a builder, in the order legacy, BuildKit, docker-container."""
    return "".join(outcome(subject, strategy, builder, daemon).verdict[0] for builder in Builder)


@pytest.mark.parametrize(
    ("kind", "traits", "expected"),
    [
        (Kind.FROM, (), "ssl"),
        (Kind.COPY_FROM, (), "ssl"),
        (Kind.ONBUILD, (), "ssl"),
        (Kind.MOUNT_FROM, (), "rsl"),
        (Kind.FROM, (Trait.PULL_ALWAYS,), "lll"),
        (Kind.FROM, (Trait.DIGEST,), "lll"),
        (Kind.FROM, (Trait.OTHER_PLATFORM,), "wll"),
        (Kind.FROM, (Trait.OTHER_PLATFORM, Trait.PULL_ALWAYS), "lll"),
        (Kind.FROM, (Trait.NOT_MIRRORED,), "lll"),
        (Kind.FROM, (Trait.HUB_BY_HOST,), "lll"),
        (Kind.FROM, (Trait.RENAMED,), "ssl"),
        (Kind.SYNTAX, (), "isl"),
        (Kind.SYNTAX, (Trait.NOT_MIRRORED,), "ill"),
        (Kind.SBOM, (), "rrl"),
        (Kind.CACHE_FROM, (Trait.NOT_MIRRORED,), "ill"),
        (Kind.RUN, (), "sss"),
        (Kind.RUN, (Trait.PULL_ALWAYS,), "lll"),
        (Kind.RUN, (Trait.OTHER_PLATFORM,), "lll"),
        (Kind.PULL, (), "lll"),
    ],
)
def test_retagged_images_do_what_was_seen_on_three_daemons(
    kind: Kind, traits: tuple[Trait, ...], expected: str
) -> None:
    for version in ("20.10.24", "26.1.5", "28.5.2"):
        assert verdicts(Strategy.RETAG, use(kind, *traits), Daemon(version)) == expected


@pytest.mark.parametrize("traits", [(), (Trait.PULL_ALWAYS,), (Trait.DIGEST,), (Trait.OTHER_PLATFORM,)])
@pytest.mark.parametrize("kind", [Kind.FROM, Kind.COPY_FROM, Kind.MOUNT_FROM, Kind.SYNTAX])
def test_hosts_serve_every_resolve_of_buildkit_from_docker_28(kind: Kind, traits: tuple[Trait, ...]) -> None:
    subject = use(kind, *traits)
    assert outcome(subject, Strategy.HOSTS, Builder.BUILDKIT).verdict is Verdict.STAYS
    assert outcome(subject, Strategy.HOSTS, Builder.BUILDKIT, OLD).verdict is Verdict.REFUSED
    assert outcome(subject, Strategy.BUILDER, Builder.CONTAINER, OLD).verdict is Verdict.STAYS


def test_ends_a_build_that_misses_an_image_of_hosts() -> None:
    missing = use(Kind.FROM, Trait.NOT_MIRRORED)
    assert outcome(missing, Strategy.HOSTS, Builder.BUILDKIT).verdict is Verdict.REFUSED
    assert outcome(missing, Strategy.HOSTS, Builder.BUILDKIT, on_miss="upstream").verdict is Verdict.LEAVES
    unknown = use(Kind.FROM, Trait.NOT_MIRRORED, Trait.REGISTRY_UNKNOWN)
    assert outcome(unknown, Strategy.HOSTS, Builder.BUILDKIT).verdict is Verdict.LEAVES


def test_ends_the_step_for_an_unlisted_image() -> None:
    unlisted = use(Kind.FROM, Trait.NOT_LISTED)
    for strategy in COLUMNS:
        assert {outcome(unlisted, strategy, one).verdict for one in Builder} == {Verdict.REFUSED}
    expected = {"retag": "lll", "hosts": "lsl", "builder": "lls", "contexts": "rll", "direct": "lll", "auto": "lss"}
    for strategy in COLUMNS:
        allowed = [outcome(unlisted, strategy, one, on_miss="upstream").verdict for one in Builder]
        assert "".join(verdict[0] for verdict in allowed) == expected[strategy]
        assert verdicts(strategy, use(Kind.FROM, Trait.NOT_LISTED, Trait.UNCHECKED)) == expected[strategy]
    assert verdicts(Strategy.LOGIN, unlisted) == "lll"
    assert verdicts(Strategy.RETAG, use(Kind.RUN, Trait.NOT_LISTED)) == "lll"
    assert verdicts(Strategy.RETAG, use(Kind.FROM, Trait.NOT_LISTED, Trait.UNCHECKED, Trait.STAGE_UNUSED)) == "lii"


def test_serves_only_builds_that_use_copies_and_contexts() -> None:
    subject = use(Kind.FROM, Trait.STRATEGY_NOT_USED)
    assert verdicts(Strategy.DIRECT, subject) == "lll"
    assert verdicts(Strategy.CONTEXTS, subject) == "rll"
    assert verdicts(Strategy.AUTO, subject) == verdicts(Strategy.AUTO, use())


def test_gives_unseen_dockerfiles_no_copy_and_no_frontend() -> None:
    assert verdicts(Strategy.DIRECT, use(Kind.FROM, Trait.UNCHECKED)) == "lll"
    assert verdicts(Strategy.CONTEXTS, use(Kind.FROM, Trait.UNCHECKED)) == "rss"
    assert verdicts(Strategy.CONTEXTS, use(Kind.SYNTAX, Trait.UNCHECKED)) == "rll"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.UNCHECKED)) == "sss"


def test_a_missing_cache_ends_no_build() -> None:
    missing = use(Kind.CACHE_FROM, Trait.NOT_MIRRORED)
    assert outcome(missing, Strategy.HOSTS, Builder.BUILDKIT).verdict is Verdict.IGNORED


def test_writes_hosts_and_mirrors_for_auto_and_retags() -> None:
    assert verdicts(Strategy.AUTO, use()) == "sss"
    assert verdicts(Strategy.AUTO, use(), OLD) == "ssl"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.DIGEST)) == "lss"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.DIGEST), OLD) == "lll"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.OTHER_PLATFORM)) == "wss"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.RENAMED)) == "ssl"
    assert verdicts(Strategy.AUTO, use(Kind.FROM, Trait.NOT_MIRRORED)) == "lrl"
    assert verdicts(Strategy.AUTO, use(Kind.RUN)) == "sss"
    assert verdicts(Strategy.AUTO, use(Kind.PULL)) == "lll"


def test_closes_the_builder_and_ends_a_build_that_misses() -> None:
    for trait in (Trait.NOT_MIRRORED, Trait.RENAMED):
        missing = use(Kind.FROM, trait)
        assert outcome(missing, Strategy.BUILDER, Builder.CONTAINER).verdict is Verdict.REFUSED
        assert outcome(missing, Strategy.BUILDER, Builder.CONTAINER, on_miss="upstream").verdict is Verdict.LEAVES


def test_leaves_by_a_syntax_line_with_the_containerd_store() -> None:
    subject = use(Kind.FROM, Trait.CONTAINERD_SYNTAX)
    assert verdicts(Strategy.RETAG, subject) == "ssl"
    assert verdicts(Strategy.RETAG, subject, CONTAINERD) == "sll"
    assert verdicts(Strategy.AUTO, subject, CONTAINERD) == "sls"
    assert verdicts(Strategy.DIRECT, subject, CONTAINERD) == "sss"


def test_serves_every_builder_by_a_rewritten_dockerfile() -> None:
    assert verdicts(Strategy.DIRECT, use(Kind.FROM, Trait.DIGEST, Trait.PULL_ALWAYS, Trait.OTHER_PLATFORM)) == "sss"
    assert verdicts(Strategy.DIRECT, use(Kind.RUN)) == "lll"


def test_rewrites_no_trigger_that_a_later_stage_runs() -> None:
    subject = use(Kind.ONBUILD, Trait.HUB_TRIGGERED)
    assert verdicts(Strategy.DIRECT, subject) == "rrl"
    assert outcome(subject, Strategy.DIRECT, Builder.BUILDKIT, on_miss="upstream").verdict is Verdict.LEAVES
    assert verdicts(Strategy.DIRECT, use(Kind.ONBUILD, Trait.TRIGGERED)) == "lll"
    assert verdicts(Strategy.RETAG, subject) == verdicts(Strategy.RETAG, use(Kind.ONBUILD))


def test_ends_the_step_for_an_operator_that_it_does_not_know() -> None:
    for trait in (Trait.HOME, Trait.STAGE_UNUSED, Trait.NOT_MIRRORED):
        assert verdicts(Strategy.DIRECT, use(Kind.FROM, Trait.PATTERN, trait)) == "rrr"
    assert verdicts(Strategy.DIRECT, use(Kind.FROM, Trait.PATTERN, Trait.UNCHECKED)) == "lll"
    assert verdicts(Strategy.RETAG, use(Kind.FROM, Trait.PATTERN)) == "ssl"


def test_named_contexts_need_buildkit_and_docker_23() -> None:
    assert verdicts(Strategy.CONTEXTS, use(Kind.FROM, Trait.DIGEST)) == "rss"
    assert verdicts(Strategy.CONTEXTS, use(), OLD) == "rrs"
    assert verdicts(Strategy.CONTEXTS, use(Kind.RUN), OLD) == "lll"


@pytest.mark.parametrize("strategy", [Strategy.LOGIN, Strategy.NONE])
def test_a_login_keeps_nothing_home(strategy: Strategy) -> None:
    assert verdicts(strategy, use()) == "lll"


@pytest.mark.parametrize("strategy", Strategy)
def test_keeps_what_names_ecr_already(strategy: Strategy) -> None:
    assert verdicts(strategy, use(Kind.FROM, Trait.HOME, Trait.NOT_MIRRORED)) == "sss"


def test_ignores_an_unused_stage_except_for_the_legacy_builder() -> None:
    assert verdicts(Strategy.RETAG, use(Kind.FROM, Trait.STAGE_UNUSED, Trait.NOT_MIRRORED)) == "lii"


def test_sees_local_images_with_the_daemons_builders() -> None:
    assert verdicts(Strategy.RETAG, use(Kind.FROM, Trait.BUILT_HERE, Trait.NOT_MIRRORED)) == "ssl"
    assert verdicts(Strategy.RETAG, use(Kind.RUN, Trait.BUILT_HERE, Trait.NOT_MIRRORED)) == "sss"
    assert verdicts(Strategy.RETAG, use(Kind.FROM, Trait.BUILT_HERE, Trait.PULL_ALWAYS)) == "lll"


def test_gives_a_reason_for_every_use() -> None:
    traits = [frozenset(pair) for pair in combinations(Trait, 2)]
    for kind, some, strategy, builder, daemon in product(Kind, traits, Strategy, Builder, (OLD, Daemon(), CONTAINERD)):
        found = outcome(ImageUse(kind, some), strategy, builder, daemon)
        assert bool(found.why) is (found.verdict is not Verdict.STAYS)


def test_uses_the_builder_of_the_strategy() -> None:
    assert builder_of(Strategy.BUILDER) is Builder.CONTAINER
    assert builder_of(Strategy.BUILDER, OLD) is Builder.CONTAINER
    assert builder_of(Strategy.AUTO) is Builder.BUILDKIT


def test_uses_buildkit_on_old_docker_only_on_request() -> None:
    assert builder_of(Strategy.AUTO, OLD) is Builder.LEGACY
    assert builder_of(Strategy.AUTO, OLD, asks_buildkit=True) is Builder.BUILDKIT


ROWS = {
    "`FROM`, `COPY --from`": use(),
    "`RUN --mount=from=`": use(Kind.MOUNT_FROM),
    "`# syntax=`, mirrored too": use(Kind.SYNTAX),
    "`--pull`": use(Kind.FROM, Trait.PULL_ALWAYS),
    "`name@sha256:...`, pinned in the manifest": use(Kind.FROM, Trait.DIGEST),
    "another platform than the machine's": use(Kind.FROM, Trait.OTHER_PLATFORM),
    "`repository` or `tag_as` of its own in the manifest": use(Kind.FROM, Trait.RENAMED),
    "not in the manifest": use(Kind.FROM, Trait.NOT_MIRRORED),
    "not in the `images` of its build (`--build`)": use(Kind.FROM, Trait.NOT_LISTED),
    "`docker run`, compose `image`": use(Kind.RUN),
    "`docker pull`": use(Kind.PULL),
}
COLUMNS = (Strategy.AUTO, Strategy.RETAG, Strategy.HOSTS, Strategy.BUILDER, Strategy.CONTEXTS, Strategy.DIRECT)


def coverage_table() -> str:
    """The table of the page on strategies; a cell has one verdict where all builders agree."""
    lines = ["| | " + " | ".join(f"`{strategy}`" for strategy in COLUMNS) + " |", "|---|" + "---|" * len(COLUMNS)]
    for name, subject in ROWS.items():
        cells = []
        for strategy in COLUMNS:
            words = [outcome(subject, strategy, builder).verdict.value for builder in Builder]
            cells.append(words[0] if len(set(words)) == 1 else " / ".join(words))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_the_table_as_it_is() -> None:
    shown = PAGE.partition("<!-- coverage -->\n")[2].partition("<!-- /coverage -->")[0]
    assert shown == coverage_table()
