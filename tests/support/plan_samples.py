"""Plans: every valid one by hypothesis, and one with a bit of everything, by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import strategies as st

from toolkit.oci.auth import CredentialUse
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE, Subset
from toolkit.plan.model import (
    Adopted,
    AttributeChange,
    Bound,
    Division,
    Grant,
    InfraAction,
    InfraChange,
    Loss,
    Notice,
    Plan,
    PullCost,
    PullShare,
    Refusal,
    Seed,
    SeedAction,
    Shard,
)
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget

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
        "subset": Subset((AMD64,)),
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

fractions = st.floats(0, 1)
shards = st.builds(
    Shard,
    number=counts,
    repositories=st.lists(texts, max_size=2).map(tuple),
    images=counts,
    documents=counts,
    size=st.none() | counts,
    put_image_per_second=fractions,
    pulls=st.lists(st.builds(PullShare, texts, counts, fractions), max_size=2).map(tuple),
)
divisions = st.builds(
    Division,
    st.lists(shards, min_size=1, max_size=2).map(tuple),
    st.sampled_from(Bound),
    seconds=st.floats(0, 10**9),
    useful=counts,
    groups=counts,
    unknown_sizes=counts,
)
plans = st.builds(
    Plan,
    name=texts,
    account=st.builds(Account, texts, texts, texts),
    infra_changes=infra_changes,
    drift=infra_changes,
    losses=st.lists(
        st.builds(Loss, texts, texts, counts, st.lists(digests, max_size=2).map(tuple), st.none() | texts), max_size=2
    ).map(tuple),
    credentials=st.lists(st.builds(CredentialUse, texts, texts, texts), max_size=2).map(tuple),
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
            subset=st.builds(Subset, st.none() | st.lists(platforms, max_size=3).map(tuple), st.booleans()),
            wanted_digest=st.none() | digests,
            current_digest=st.none() | digests,
            size=st.none() | counts,
            pulls=pulls,
            subject=st.none() | digests,
            bytes_from=st.none() | st.builds(Repository, hosts, paths),
            stored_as=st.none() | texts,
            keeper=st.none() | texts,
            is_overwritten=st.booleans(),
            pushed_at=st.none() | texts,
            used_by=st.lists(texts, max_size=2).map(tuple),
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
    refusals=st.lists(
        st.builds(Refusal, texts, texts, st.none() | texts, texts, st.none() | texts, st.none() | texts), max_size=2
    ).map(tuple),
    notices=st.lists(st.builds(Notice, texts, texts, st.none() | texts), max_size=2).map(tuple),
    on_budget=st.sampled_from(OnBudget),
    division=st.none() | divisions,
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
            subset=WHOLE,
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
            subset=Subset((AMD64, ARM64), keeps_attestations=False),
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
            subset=WHOLE,
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
            subset=WHOLE,
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
            "Terraform would replace the repository `base/python`, as `name` is fixed at creation",
            hint="undo the change in the manifest, or use --allow-destroy to lose its images",
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


def many(
    images: int, repositories: int, builds: int = 0, action: SeedAction = SeedAction.COPY, *, has_infra: bool = True
) -> Plan:
    """A plan of `images` in `repositories` that are new with them, and of `builds`."""
    names = [f"docker-hub/team-{number % 7}/service-{number:03}" for number in range(repositories)]
    created = [change for name in names for change in in_root_module("repositories", name, _REPOSITORY_TYPES)]
    created += [change for n in range(builds) for change in in_root_module("builds", f"build-{n:02}", _BUILD_TYPES)]
    seeds = [
        seed(
            action,
            f"{name.removeprefix('docker-hub/')}:{number // repositories}.{number % 9}.1-slim",
            name,
            "its repository is new" if action is SeedAction.COPY else "same digest",
            pin="0123456789abcdef"[number % 16],
            size=10_000_000 + 7_000_000 * (number % 40),
            pulls=(2, 3),
            current_digest=None if action is SeedAction.COPY else digest("a"),
        )
        for number in range(images)
        for name in [names[number % repositories]]
    ]
    return Plan("platform", ACCOUNT, tuple(created) if has_infra else (), tuple(seeds), (hub_cost(120, 180, 200),))


_REPOSITORY_TYPES = ("aws_ecr_lifecycle_policy", "aws_ecr_repository")
_BUILD_TYPES = ("aws_cloudwatch_log_group", "aws_codebuild_project", "aws_iam_role", "aws_iam_role_policy")


def in_root_module(
    call: str, name: str, types: Iterable[str], action: InfraAction = InfraAction.CREATE, **fields: object
) -> tuple[InfraChange, ...]:
    """What Terraform does to the resources of a repository or build, at the addresses of our root module."""
    return tuple(
        InfraChange(
            f'module.base_images.module.{call}["{name}"].{type_}.this',
            type_,
            action,
            name,
            **fields,  # type: ignore[arg-type]  # keywords
        )
        for type_ in types
    )


_SCANNING = AttributeChange("image_scanning_configuration[0].scan_on_push", before=False, after=True)
_MUTABILITY = AttributeChange("image_tag_mutability", "IMMUTABLE", "MUTABLE")
_OLD_COMMANDS = "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n"

# What changes of what is there, in all ways that Terraform and AWS have.
CHANGED = Plan(
    "platform",
    ACCOUNT,
    infra_changes=(
        *in_root_module(
            "repositories",
            "base/adopted",
            ["aws_ecr_repository"],
            InfraAction.UPDATE,
            reason="imported",
            is_imported=True,
            changes=(_MUTABILITY,),
        ),
        *in_root_module(
            "repositories", "base/adopted", ["aws_ecr_lifecycle_policy"], InfraAction.IMPORT, is_imported=True
        ),
        *in_root_module(
            "repositories",
            "base/adopted",
            ["aws_ecr_repository_policy"],
            InfraAction.UPDATE,
            is_imported=True,
            grants=(Grant("123456789012 may pull", is_added=True), Grant("210987654321 may pull", is_added=False)),
        ),
        *in_root_module("repositories", "base/as-it-is", _REPOSITORY_TYPES, InfraAction.IMPORT, is_imported=True),
        *(
            change
            for name in ("docker-hub/library/nginx", "docker-hub/library/python", "quay/prometheus/node-exporter")
            for change in in_root_module(
                "repositories", name, ["aws_ecr_repository"], InfraAction.UPDATE, changes=(_SCANNING,)
            )
        ),
        *in_root_module(
            "repositories",
            "base/python",
            ["aws_ecr_repository"],
            InfraAction.REPLACE,
            reason="replace_because_cannot_update",
            changes=(
                AttributeChange("encryption_configuration[0].encryption_type", "AES256", "KMS"),
                AttributeChange("repository_url", "123456789012.dkr.ecr/base/python", is_unknown=True),
            ),
            replace_because=("encryption_configuration[0].encryption_type",),
        ),
        *in_root_module(
            "repositories", "base/old", _REPOSITORY_TYPES, InfraAction.DELETE, reason="delete_because_each_key"
        ),
        *in_root_module(
            "repositories", "base/older", _REPOSITORY_TYPES, InfraAction.DELETE, reason="delete_because_each_key"
        ),
        *in_root_module("repositories", "base/let-go", _REPOSITORY_TYPES, InfraAction.FORGET),
        *in_root_module(
            "builds",
            "web",
            ["aws_codebuild_project"],
            InfraAction.UPDATE,
            changes=(
                AttributeChange("build_timeout", 60, 30),
                AttributeChange(
                    "source[0].buildspec",
                    _OLD_COMMANDS,
                    _OLD_COMMANDS.replace("make", "make all") + "      - make push\n",
                ),
                AttributeChange("environment[0].image", None, "aws/codebuild/standard:7.0"),
                AttributeChange("environment[0].environment_variable[1].value", is_sensitive=True),
                AttributeChange(
                    "description",
                    "Builds the web site, its assets and its documentation, nightly and on each push to main",
                    "Builds the web site, its assets and its documentation, weekly and on each push to main",
                ),
            ),
        ),
        *in_root_module(
            "builds",
            "web",
            ["aws_iam_role_policy"],
            InfraAction.UPDATE,
            grants=(
                Grant("role of web: s3:* on *", is_added=True, is_widening=True),
                Grant("role of web: s3:GetObject on arn:aws:s3:::assets/*", is_added=False),
            ),
        ),
        *in_root_module(
            "builds",
            "api",
            _BUILD_TYPES,
            grants=(
                Grant("role of api: iam:PassRole on *", is_added=True, is_widening=True),
                Grant("role of api: pull on base/python", is_added=True),
            ),
        ),
    ),
    seeds=(
        seed(
            SeedAction.MOVE,
            "nginx:1.16",
            "docker-hub/library/nginx",
            "overwritten in ECR",
            wanted_digest=digest("a"),
            current_digest=digest("c"),
            size=44_830_000,
            is_overwritten=True,
            pushed_at="2026-11-28T03:17:09+00:00",
        ),
        seed(
            SeedAction.MOVE,
            "python:3.12",
            "docker-hub/library/python",
            "other platforms wanted",
            pin="b",
            subset=Subset((AMD64, ARM64)),
            current_digest=digest("d"),
        ),
        seed(SeedAction.KEEP, "redis:7", "docker-hub/library/redis", "same digest", current_digest=digest("d")),
        seed(
            SeedAction.KEEP,
            "busybox:1",
            "base/busybox",
            "immutable, kept in ECR",
            current_digest=digest("e"),
            is_overwritten=True,
        ),
    ),
    drift=(
        *in_root_module(
            "repositories",
            "docker-hub/library/nginx",
            ["aws_ecr_repository"],
            InfraAction.UPDATE,
            changes=(AttributeChange("image_scanning_configuration[0].scan_on_push", before=True, after=False),),
        ),
        *in_root_module(
            "repositories", "quay/prometheus/node-exporter", ["aws_ecr_lifecycle_policy"], InfraAction.DELETE
        ),
    ),
    losses=(
        Loss("repository", "base/old", 1_200_000_000, tuple(map(digest, "abc")), "2026-11-01T12:00:00+00:00"),
        Loss("repository", "base/older"),
        Loss("log group", "/aws/codebuild/platform-old", 3_400_000),
    ),
    adopted=(
        Adopted("base/adopted", {"tag_mutability": "immutable", "pull_principals": ["210987654321"]}),
        Adopted("base/as-it-is", {}),
    ),
    notices=(
        Notice(
            "tag.overwritten",
            "images[0]: `docker-hub/library/nginx:1.16` holds another image than the one that was copied",
            hint="find out who pushed it",
        ),
    ),
)

_UNREACHABLE = "try again later, or use --keep-going to do the rest"
# Three images cannot be had, two for the same reason; all others go ahead.
KEEPS_GOING = Plan(
    "platform",
    ACCOUNT,
    infra_changes=(),
    seeds=(
        seed(
            SeedAction.COPY, "nginx:1.16", "docker-hub/library/nginx", "not in ECR", wanted_digest=digest("a"), size=5
        ),
    ),
    refusals=tuple(
        Refusal(
            f"source.{kind}", f"images[{number}]: `quay.io/acme/{number}:1` {why}", hint, image=f"quay/acme/{number}:1"
        )
        for number, kind, why, hint in (
            (1, "unreachable", "cannot be reached", _UNREACHABLE),
            (2, "missing", "does not exist", "correct the tag"),
            (3, "unreachable", "cannot be reached", _UNREACHABLE),
        )
    ),
    keeps_going=True,
)

SOME_SEEN = replace(NO_CHANGES, covers_infra=False, unseen_images=48)


def _reviewed() -> Plan:
    builds = ("api", "shop", "web")
    kept = many(58, 20, action=SeedAction.KEEP, has_infra=False).seeds
    nginx = "docker-hub/library/nginx"
    dates = [f"2026-{1 + number % 11:02}-{1 + number % 28:02}T06:30:00Z" for number in range(58)]
    return Plan(
        "platform",
        ACCOUNT,
        infra_changes=(
            *in_root_module(
                "repositories", "base/old", _REPOSITORY_TYPES, InfraAction.DELETE, reason="delete_because_each_key"
            ),
            *in_root_module(
                "builds",
                "web",
                ["aws_iam_role_policy"],
                InfraAction.UPDATE,
                grants=(
                    Grant("role of web: s3:* on *", is_added=True, is_widening=True),
                    Grant("role of web: s3:GetObject on arn:aws:s3:::assets/*", is_added=False),
                ),
            ),
            *in_root_module(
                "builds",
                "web",
                ["aws_codebuild_project"],
                InfraAction.UPDATE,
                changes=(AttributeChange("build_timeout", 60, 30),),
            ),
        ),
        seeds=(
            seed(
                SeedAction.MOVE,
                "nginx:1.27",
                nginx,
                "upstream moved",
                wanted_digest=digest("a"),
                current_digest=digest("c"),
                size=44_830_000,
                pulls=(2, 3),
                pushed_at="2026-10-02T04:11:00Z",
                used_by=("shop", "web"),
            ),
            seed(SeedAction.COPY, "redis:7.4", "docker-hub/library/redis", "not in ECR", pin="b", used_by=("api",)),
            *(replace(one, pushed_at=dates[number], used_by=builds[: number % 4]) for number, one in enumerate(kept)),
        ),
        pull_costs=(hub_cost(4, 6, 97),),
        losses=(Loss("repository", "base/old", 231_000_000, (digest("e"),), "2026-03-01T12:00:00Z"),),
        notices=(
            Notice(
                "source.pin_behind",
                f"images[7]: `alpine:3.20` is `{digest('f')}` upstream now; the pinned digest stays",
                hint="review the new image, and change the pin to follow the tag",
            ),
        ),
    )


REVIEWED = _reviewed()
"""60 images: one moves, one is new; a repository goes with its image, and rights are widened."""
