"""Plans: every valid one by hypothesis, and one with a bit of everything, by hand."""

from __future__ import annotations

from hypothesis import strategies as st

from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.plan.model import (
    Adopted,
    AttributeChange,
    Grant,
    InfraAction,
    InfraChange,
    Loss,
    Notice,
    Plan,
    PullCost,
    Refusal,
    Seed,
)
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.seed_action import SeedAction

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
ACCOUNT = Account("123456789012", "ap-northeast-1", "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com")


def digest(letter: str) -> Digest:
    """A digest that shows where it comes from."""
    return Digest("sha256", letter * 64)


def repository_changes(name: str, action: InfraAction, reason: str = "") -> tuple[InfraChange, ...]:
    """What Terraform does to the three resources of one repository."""
    types = ("aws_ecr_lifecycle_policy", "aws_ecr_repository", "aws_ecr_repository_policy")
    return tuple(
        InfraChange(f'module.ecr_repository["{name}"].{type_}.this', type_, action, name, reason) for type_ in types
    )


def build_changes(name: str, action: InfraAction) -> tuple[InfraChange, ...]:
    """What Terraform does to the four resources of one build."""
    types = ("aws_cloudwatch_log_group", "aws_codebuild_project", "aws_iam_role", "aws_iam_role_policy")
    return tuple(
        InfraChange(f'module.codebuild_project["{name}"].{type_}.this', type_, action, name) for type_ in types
    )


def seed(action: SeedAction, source: str, repository: str, reason: str, *, pin: str = "a", **fields: object) -> Seed:
    """A seed of one platform with its source pinned to a digest of the letter `pin`."""
    reference = Reference.parse(source)
    tag = reference.tag or "latest"
    values: dict[str, object] = {
        "key": f"{repository}:{tag}",
        "action": action,
        "reason": reason,
        "source": reference.with_digest(digest(pin)),
        "repository": repository,
        "tag": tag,
        "platforms": (AMD64,),
        "keeps_attestations": True,
        **fields,
    }
    return Seed(**values)  # type: ignore[arg-type]  # the samples say which fields differ, as keywords


def hub_cost(at_least: int, at_most: int | None, remaining: int) -> PullCost:
    """Pulls at Docker Hub against a limit of 100."""
    return PullCost("docker.io", at_least, at_most, PullBudget("docker.io", 100, remaining, 21600))


texts = st.text(max_size=20)
counts = st.integers(0, 10**12)
digests = st.binary(max_size=4).map(Digest.of) | st.binary(max_size=4).map(lambda data: Digest.of(data, "sha512"))
components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,2})[a-z0-9]{1,3})?", fullmatch=True)
paths = st.lists(components, min_size=2, max_size=3).map("/".join)
hosts = st.sampled_from(["docker.io", "quay.io", "localhost:5000", "registry", "[::1]:5000"])
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}", fullmatch=True)
references = st.builds(Reference, hosts, paths, st.none() | tags, st.none() | digests)
platform_words = st.from_regex(r"[a-z0-9_.-]{1,6}", fullmatch=True)
platforms = st.builds(Platform, platform_words, platform_words, st.just("") | platform_words)
pulls = st.tuples(counts, st.none() | counts)

values = st.recursive(
    st.none() | st.booleans() | counts | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
infra_changes = st.lists(
    st.builds(
        InfraChange,
        texts,
        texts,
        st.sampled_from(InfraAction),
        texts,
        texts,
        is_imported=st.booleans(),
        changes=st.lists(
            st.builds(AttributeChange, texts, values, values, st.booleans(), st.booleans()), max_size=2
        ).map(tuple),
        replace_because=st.lists(texts, max_size=2).map(tuple),
        grants=st.lists(st.builds(Grant, texts, st.booleans(), st.booleans()), max_size=2).map(tuple),
    ),
    max_size=3,
).map(tuple)

plans = st.builds(
    Plan,
    name=texts,
    account=st.builds(Account, texts, texts, texts),
    infra_changes=infra_changes,
    drift=infra_changes,
    losses=st.lists(
        st.builds(Loss, texts, texts, counts, st.lists(digests, max_size=2).map(tuple), st.none() | texts), max_size=2
    ).map(tuple),
    adopted=st.lists(st.builds(Adopted, texts, st.dictionaries(texts, values, max_size=2)), max_size=2).map(tuple),
    keeps_going=st.booleans(),
    covers_infra=st.booleans(),
    unseen_images=counts,
    is_destroy=st.booleans(),
    seeds=st.lists(
        st.builds(
            Seed,
            key=texts,
            action=st.sampled_from(SeedAction),
            reason=texts,
            source=references,
            repository=texts,
            tag=texts,
            platforms=st.none() | st.lists(platforms, max_size=3).map(tuple),
            keeps_attestations=st.booleans(),
            wanted_digest=st.none() | digests,
            current_digest=st.none() | digests,
            size=st.none() | counts,
            pulls=pulls,
            subject=st.none() | digests,
            bytes_from=st.none() | st.builds(Repository, hosts, paths),
            is_overwritten=st.booleans(),
            pushed_at=st.none() | texts,
        ),
        max_size=3,
    ).map(tuple),
    pull_costs=st.lists(
        st.builds(
            PullCost,
            texts,
            counts,
            st.none() | counts,
            st.none() | st.builds(PullBudget, texts, counts, counts, counts),
        ),
        max_size=2,
    ).map(tuple),
    refusals=st.lists(st.builds(Refusal, texts, texts, st.none() | texts, texts, st.none() | texts), max_size=2).map(
        tuple
    ),
    notices=st.lists(st.builds(Notice, texts, texts, st.none() | texts), max_size=2).map(tuple),
    on_budget=st.sampled_from(OnBudget),
)

EMPTY = Plan("platform", ACCOUNT, infra_changes=(), seeds=())

NO_CHANGES = Plan(
    "platform",
    ACCOUNT,
    infra_changes=(),
    seeds=(
        seed(SeedAction.KEEP, "nginx:1.16", "docker-hub/library/nginx", "same digest", current_digest=digest("a")),
        seed(
            SeedAction.KEEP,
            "python:3.12-slim",
            "base/python",
            "same platforms of the same index",
            current_digest=digest("b"),
        ),
    ),
    pull_costs=(hub_cost(0, 0, 97),),
)

EVERYTHING_NEW = Plan(
    "platform",
    ACCOUNT,
    infra_changes=(
        *build_changes("web", InfraAction.CREATE),
        *repository_changes("docker-hub/library/nginx", InfraAction.CREATE),
        *repository_changes("base/python", InfraAction.CREATE)[1:],
        InfraChange("aws_ecr_registry_policy.this", "aws_ecr_registry_policy", InfraAction.CREATE),
    ),
    seeds=(
        seed(
            SeedAction.COPY,
            "nginx:1.16",
            "docker-hub/library/nginx",
            "its repository is new",
            platforms=None,
            wanted_digest=digest("a"),
            size=44_830_000,
            pulls=(1, 1),
        ),
        seed(
            SeedAction.COPY,
            "python:3.12-slim",
            "base/python",
            "its repository is new",
            pin="c",
            platforms=(AMD64, ARM64),
            keeps_attestations=False,
            wanted_digest=digest("b"),
            size=1_130_000_000,
            pulls=(3, 3),
        ),
        seed(SeedAction.COPY, "alpine:3.20", "docker-hub/library/alpine", "not in ECR", pin="d", pulls=(2, 3)),
        seed(
            SeedAction.COPY,
            "quay.io/prometheus/node-exporter:v1.8.2",
            "quay/prometheus/node-exporter",
            "not in ECR",
            pin="e",
            platforms=None,
            wanted_digest=digest("e"),
        ),
    ),
    pull_costs=(hub_cost(6, 7, 97),),
)

MIXED = Plan(
    "platform",
    ACCOUNT,
    infra_changes=(
        *repository_changes("docker-hub/library/redis", InfraAction.IMPORT),
        *repository_changes("docker-hub/library/nginx", InfraAction.UPDATE)[:1],
        *repository_changes("base/old", InfraAction.DELETE, "delete_because_each_key"),
        *repository_changes("base/python", InfraAction.REPLACE, "replace_because_cannot_update")[1:2],
        *build_changes("web", InfraAction.UPDATE)[2:],
        *build_changes("api", InfraAction.FORGET)[:1],
    ),
    seeds=(
        seed(
            SeedAction.MOVE,
            "nginx:1.16",
            "docker-hub/library/nginx",
            "upstream moved",
            platforms=None,
            wanted_digest=digest("a"),
            current_digest=digest("c"),
            size=44_830_000,
            pulls=(2, None),
        ),
        seed(SeedAction.COPY, "python:3.12", "base/python", "its repository is replaced", pin="b", pulls=(2, 3)),
        seed(SeedAction.KEEP, "redis:7", "docker-hub/library/redis", "same digest", current_digest=digest("d")),
        seed(
            SeedAction.KEEP,
            "ghcr.io/acme/a-team/with-a-long-name/and-a-service-with-a-longer-one:2024.11.05-build.1234",
            "github/acme/a-team/with-a-long-name/and-a-service-with-a-longer-one",
            "gone upstream, kept in ECR",
            current_digest=digest("e"),
        ),
    ),
    pull_costs=(
        hub_cost(4, None, 3),
        PullCost("mirror.example:5000", 2, None, PullBudget("mirror.example:5000", 100, 50, 3600)),
        PullCost("registry.example", 1, 1, None),
    ),
    refusals=(
        Refusal(
            "infra.destroys_repository",
            "Terraform would replace the repository `base/python` (replace_because_cannot_update)",
            hint="restore it in the manifest, or say --allow-destroy if its images may be lost",
        ),
        Refusal(
            "budget.too_small",
            "the copies need at least 4 counted pulls at `docker.io`, and 3 of 100 are left (a window of 6 h)",
            hint="wait for the window to pass, or give `registries` a credential with a larger limit",
        ),
        Refusal(
            "tag.immutable",
            f"images[7]: `base/go:1.22` is immutable and holds `{digest('f')}`; upstream has `{digest('a')}` now",
            hint="mirror it under a new tag, pin the old digest, or make the repository mutable",
        ),
        Refusal("source.denied", "images[9]: `ghcr.io/acme/private:1` wants other credentials", kind="denied"),
    ),
    notices=(
        Notice(
            "source.missing",
            "images[3]: `ghcr.io/acme/service:1` is gone upstream; ECR keeps what it has",
            hint="move to a tag that is still published",
        ),
    ),
)
