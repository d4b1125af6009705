"""A whole world for the use cases: Terraform, AWS and registries with memory, no process and no network."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.clocks import FakeTime
from tests.support.made_images import image
from tests.support.memory_registry import MemoryRegistry
from toolkit.errors import PlanStale, Refused, ToolkitError
from toolkit.events import Event
from toolkit.lock.model import Verification
from toolkit.oci.alternatives import Alternative, AlternativeSources
from toolkit.oci.digest import Digest
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.documents import Document
from toolkit.oci.errors import OciError
from toolkit.oci.pull_limits import PullLimits
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import WHOLE
from toolkit.operations.lock_store import LockFile
from toolkit.operations.services import Services
from toolkit.plan.desired import Desired, DesiredImage, DesiredRepository, ownership_tags
from toolkit.plan.model import InfraAction, InfraChange, Loss
from toolkit.plan.observed import (
    ExistingRepository,
    ExistingResource,
    ListedImage,
    ReplicationRule,
    StoredImage,
    StoredTag,
)
from toolkit.plan.pruning import Removal, UnreadIndex
from toolkit.plan.status import Scan
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder
from toolkit.seed.signatures import SignatureCheck
from toolkit.terraform.root_module import repository_address
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import WorkDir

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
NAMES = ("one", "two", "three")


PUSHED_AT = "2026-11-02T10:00:00Z"


def desired(*names: str) -> Desired:
    """One image and one repository for each name."""
    return Desired(
        name="shop",
        region="eu-west-1",
        account_id=None,
        repositories=tuple(DesiredRepository(name) for name in sorted(names)),
        images=tuple(
            DesiredImage(Reference.parse(f"upstream.test/{name}:1"), name, "1", WHOLE, f"images[{number}]")
            for number, name in enumerate(names)
        ),
    )


class World:
    """What there is, and what was done to it. `alternatives` are a registry's. `repositories` maps the names of what exists in AWS to AWS tags.

    `settings` are fields of `ExistingRepository` by name.
    """

    def __init__(self, folder: Path, names: Sequence[str] = NAMES) -> None:
        self.registry = MemoryRegistry(repositories_exist=False)
        self.names = tuple(names)
        self.repositories: dict[str, dict[str, str]] = {}
        self.state: set[str] = set()
        self.tainted: set[str] = set()
        self.further_changes: list[InfraChange] = []
        self.drift: list[InfraChange] = []
        self.log: list[str] = []
        self.events: list[Event] = []
        self.fails_after: tuple[int, BaseException] | None = None
        self.locked = False
        self.lies_about: set[str] = set()
        self.ecr_refuses: ToolkitError | None = None
        self.account = "123456789012"
        self.settings: dict[str, dict[str, Any]] = {}
        self.existing: dict[tuple[str, str], ExistingResource] = {}
        self.seconds_a_call = 0.0
        self.calls: list[str] = []
        self.time = FakeTime()
        self.rules: list[ReplicationRule] = []
        self.regions: tuple[str, ...] = ()
        self.replicas: dict[str, dict[str, dict[str, Digest]]] = defaultdict(lambda: defaultdict(dict))
        self.refused_regions: dict[str, ToolkitError] = {}
        self.now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
        for name in names:
            repository = Repository("upstream.test", name)
            self.registry.existing.add(repository)
            made = image([name.encode() * 50])
            self.registry.blobs[repository].update(made.blobs)
            self.registry.documents[repository][made.digest] = made.document
            self.registry.tags[repository]["1"] = made.digest
        self.contents = FakeContents(self.repositories, self.registry)
        cache = DocumentCache()
        self.alternatives: dict[str, list[Alternative]] = {}
        upstream = AlternativeSources(PullLimits(self.registry), self.alternatives)
        self.services = Services(
            emit=self.events.append,
            account_id=lambda: self.account,
            ecr=_Ecr(self),
            ecr_in=lambda region: _ReplicaEcr(self, region),
            existing=_Existing(self),
            losses=_Losses(),
            losses_in=lambda region: _ReplicaLosses(self, region),
            contents=self.contents,
            terraform=_Terraform(self),
            observer=Observer(upstream, _Ecr(self), self.events.append, cache=cache, find=upstream.find),
            seeder=Seeder(upstream, self.registry, self.events.append, jobs=2, cache=cache),
            work_path=folder / "work",
            lock=LockFile(folder / "images.lock.yaml"),
            verifier=SignatureCheck(PullLimits(self.registry), cache),
            now=lambda: self.now,
            clock=self.time.clock,
            sleep=self.time.sleep,
        )

    def create(self, name: str, tags: Mapping[str, str] | None = None) -> None:
        """Make a repository in AWS; ours unless `tags` say otherwise."""
        self.repositories[name] = dict(ownership_tags("shop") if tags is None else tags)
        self.registry.existing.add(Repository(HOST, name))

    def ask_aws(self, *operations: str) -> None:
        """What each call of AWS's takes."""
        for operation in operations:
            time.sleep(self.seconds_a_call)
            self.calls.append(operation)

    def replicate(self, region: str, *tags: str) -> None:
        """Let ECR's replication copy what a rule is about, or only the `tags`."""
        for name in self.repositories:
            for tag, digest in self.registry.tags[Repository(HOST, name)].items():
                if any(rule.covers(name, region) for rule in self.rules) and (not tags or f"{name}:{tag}" in tags):
                    self.replicas[region][name][tag] = digest

    def stored(self, name: str) -> Digest | None:
        """What tag 1 of a repository in ECR points to."""
        return self.registry.tags[Repository(HOST, name)].get("1")


class _Ecr:
    def __init__(self, world: World) -> None:
        self._world = world

    def registry_host(self) -> str:
        return HOST

    def repositories(self) -> Mapping[str, str]:
        return {name: f"arn:{name}" for name in self._world.repositories}

    def repository(self, name: str) -> ExistingRepository | None:
        self._world.ask_aws("DescribeRepositories", "ListTagsForResource", "GetLifecyclePolicy", "GetRepositoryPolicy")
        if name not in self._world.repositories:
            return None
        made = ExistingRepository(name, self._world.account, scan_on_push=True)
        return replace(made, resource_tags=self._world.repositories[name], **self._world.settings.get(name, {}))

    def replication(self) -> Sequence[ReplicationRule]:
        return self._world.rules

    def backfill(self, region: str, account_id: str) -> bool:
        self._world.log.append(f"backfill {region}")
        self._world.replicate(region)
        return True

    def images(self, repository: str, tags: Sequence[str]) -> Mapping[str, StoredImage] | None:
        if self._world.ecr_refuses:
            raise self._world.ecr_refuses
        if repository not in self._world.repositories:
            return None
        name = Repository(HOST, repository)
        found = {tag: self._world.registry.tags[name][tag] for tag in tags if tag in self._world.registry.tags[name]}
        lie = StoredImage(Digest.of(b"somebody else's"), b"{}")
        return {
            tag: lie
            if repository in self._world.lies_about
            else StoredImage(digest, self._world.registry.documents[name][digest].raw)
            for tag, digest in found.items()
        }

    def tags(self, repository: str) -> Mapping[str, StoredTag]:
        return {
            tag: StoredTag(digest, PUSHED_AT)
            for tag, digest in self._world.registry.tags[Repository(HOST, repository)].items()
        }

    def has_image(self, repository: str, digest: Digest) -> bool:
        self._check_exists(repository)
        return digest in self._world.registry.documents[Repository(HOST, repository)]

    def documents(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, Document]:
        self._world.calls.append("BatchGetImage")
        there = self._world.registry.documents[Repository(HOST, repository)]
        return {digest: there[digest] for digest in digests if digest in there}

    def _check_exists(self, repository: str) -> None:
        if repository not in self._world.repositories:
            raise Refused("aws.request_failed", f"RepositoryNotFoundException: `{repository}`")

    def untagged_indexes(self, repository: str) -> Sequence[StoredImage]:
        self._check_exists(repository)
        name = Repository(HOST, repository)
        tagged = self._world.registry.tags[name].values()
        documents = self._world.registry.documents[name].items()
        return [
            StoredImage(digest, one.raw)
            for digest, one in documents
            if digest not in tagged and "index" in one.media_type
        ]


class _ReplicaEcr(_Ecr):
    """ECR in another region, which only its replication fills."""

    def __init__(self, world: World, region: str) -> None:
        super().__init__(world)
        self._region = region

    def repositories(self) -> Mapping[str, str]:
        return {}

    def tags(self, repository: str) -> Mapping[str, StoredTag]:
        if self._region in self._world.refused_regions:
            raise self._world.refused_regions[self._region]
        found = self._world.replicas[self._region][repository]
        return {tag: StoredTag(digest, PUSHED_AT) for tag, digest in found.items()}


class FakeContents:
    """Repositories with images that are lists of facts, and ECR's rules of deletion.

    `pairs_take_all`: an id with digest and tag takes the whole image; AWS does not document what it does. `before` is
    called before each deletion, and `refuses` has ECR's reasons for not deleting an image. What is `listed` is in the
    registry.
    """

    def __init__(self, tags: Mapping[str, Mapping[str, str]], registry: MemoryRegistry | None = None) -> None:
        self._registry = registry or MemoryRegistry()
        self.scans: dict[Digest, Scan] = {}
        self.pulls: dict[Digest, datetime] = {}
        self.shelves: dict[str, dict[Digest, ListedImage]] = defaultdict(dict)
        self.pairs_take_all = False
        self.before: Callable[[], None] = lambda: None
        self.refuses: dict[Digest, str] = {}
        self.unreadable: set[str] = set()
        self.calls: list[tuple[str, int]] = []
        self._tags = tags

    def put(self, repository: str, *images: ListedImage) -> None:
        """Put images; a tag that another image has moves."""
        shelf = self.shelves[repository]
        for one in images:
            for other in list(shelf.values()):
                shelf[other.digest] = replace(other, tags=tuple(tag for tag in other.tags if tag not in one.tags))
            shelf[one.digest] = one

    def resource_tags(self, arn: str) -> Mapping[str, str]:
        return self._tags[arn.removeprefix("arn:")]

    def images(self, repository: str, known: Mapping[Digest, ListedImage]) -> Sequence[ListedImage]:
        self.calls.append(("images", len(known)))
        if repository in self.unreadable:
            raise UnreadIndex("prune.index_unread", f"nothing of `{repository}` is pruned")
        return list(self.shelves[repository].values())

    def listed(self, repository: str) -> Sequence[ListedImage]:
        name = Repository(HOST, repository)
        tags = self._registry.tags[name]
        return [
            ListedImage(
                digest,
                datetime.fromisoformat(PUSHED_AT),
                tuple(sorted(tag for tag, has in tags.items() if has == digest)),
                len(document.raw),
                self.pulls.get(digest),
                "index" in document.media_type,
            )
            for digest, document in self._registry.documents[name].items()
        ]

    def scan(self, repository: str, digest: Digest) -> Scan:
        return self.scans.get(digest, Scan(lacking=("not scanned",)))

    def delete(self, repository: str, removals: Sequence[Removal]) -> Mapping[Removal, str]:
        self.calls.append(("delete", len(removals)))
        self.before()
        return {one: reason for one in removals if (reason := self._delete(self.shelves[repository], one))}

    def _delete(self, shelf: dict[Digest, ListedImage], one: Removal) -> str | None:
        tags = one.tags or (None,)
        for tag in tags:
            if one.digest in self.refuses:
                return self.refuses[one.digest]
            found = (
                next((image for image in shelf.values() if tag in image.tags), None) if tag else shelf.get(one.digest)
            )
            if found is None:
                continue
            if found.digest != one.digest and not one.is_tags_only:
                return "ImageTagDoesNotMatchDigest"
            takes_all = tag is None or found.tags == (tag,) or (self.pairs_take_all and not one.is_tags_only)
            if not takes_all:
                shelf[found.digest] = replace(found, tags=tuple(t for t in found.tags if t != tag))
            elif any(found.digest in image.children for image in shelf.values()):
                return "ImageReferencedByManifestList"
            else:
                del shelf[found.digest]
        return None


class _Existing:
    """What builds have in AWS: `World.existing` by kind and name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def role(self, name: str) -> ExistingResource | None:
        self._world.ask_aws("GetRole", "ListRolePolicies", "ListAttachedRolePolicies")
        return self._world.existing.get(("role", name))

    def log_group(self, name: str) -> ExistingResource | None:
        self._world.ask_aws("DescribeLogGroups", "ListTagsForResource")
        return self._world.existing.get(("log group", name))

    def schedule(self, name: str) -> ExistingResource | None:
        self._world.ask_aws("GetSchedule")
        return self._world.existing.get(("schedule", name))

    def rule(self, name: str) -> ExistingResource | None:
        self._world.ask_aws("DescribeRule")
        return self._world.existing.get(("rule", name))

    def alarm(self, name: str) -> ExistingResource | None:
        self._world.ask_aws("DescribeAlarms")
        return self._world.existing.get(("alarm", name))

    def projects(self, names: Sequence[str]) -> Mapping[str, ExistingResource]:
        self._world.ask_aws("BatchGetProjects")
        found = {name: self._world.existing.get(("project", name)) for name in names}
        return {name: resource for name, resource in found.items() if resource}


class _Losses:
    """Nothing is lost."""

    def repository(self, name: str) -> Loss:
        return Loss("repository", name)

    def log_group(self, name: str) -> Loss:
        return Loss("log group", name)

    def users(self, repositories: Collection[str], manifest: str) -> Mapping[str, Sequence[str]]:
        return {}

    def empty(self, losses: Sequence[Loss]) -> None:
        raise AssertionError(f"{[loss.name for loss in losses]} are not to be emptied")


class _ReplicaLosses(_Losses):
    """What a replica has is lost with it."""

    def __init__(self, world: World, region: str) -> None:
        self._there = world.replicas[region]

    def repository(self, name: str) -> Loss:
        return Loss("repository", name, size=1, digests=tuple(self._there[name].values()))


_SHOWN: Mapping[InfraAction, Mapping[str, Any]] = {
    InfraAction.CREATE: {"actions": ["create"]},
    InfraAction.REPLACE: {"actions": ["delete", "create"]},
    InfraAction.IMPORT: {"actions": ["no-op"], "importing": {"id": "x"}},
}


class _Terraform:
    """Creates what the manifest wants and the state lacks, in order of name."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._serial = self._planned_at = 0

    def version(self) -> str:
        return "1.11.4"

    def init(self, work_dir: WorkDir, *, keeps_lock: bool = False) -> None:
        self._world.log.append("init")

    def state(self, work_dir: WorkDir) -> State:
        return State(
            {address: {} for address in self._world.state},
            frozenset(self._world.tainted),
            "the only one" if self._serial else "",
            self._serial,
        )

    def planned_from(self, plan_file: PlanFile) -> State:
        return State(lineage="the only one" if self._planned_at else "", serial=self._planned_at)

    def show(self, plan_file: PlanFile) -> Mapping[str, Any]:
        return {
            "resource_changes": [
                {
                    "address": change.address,
                    "type": change.resource_type,
                    "mode": "managed",
                    "change": _SHOWN[change.action],
                }
                for change in plan_file.changes
            ],
        }

    def untaint(self, work_dir: WorkDir, address: str) -> None:
        self._world.tainted.discard(address)

    def check_lock(self, work_dir: WorkDir) -> None:
        if self._world.locked:
            raise Refused("state.locked", "the state is locked")

    def plan(self, work_dir: WorkDir, *, refreshes_only: bool = False) -> PlanFile:
        if refreshes_only:
            self._world.log.append("refresh")
            return PlanFile(work_dir.plan_path, work_dir, ())
        self._world.log.append("plan")
        imports = work_dir.path / "imports.tf"
        adopted = imports.read_text() if imports.exists() else ""
        changes = []
        for name in sorted(self._world.names):
            address = repository_address(name)
            if address in self._world.tainted:
                changes.append(InfraChange(address, "aws_ecr_repository", InfraAction.REPLACE, name))
            elif address not in self._world.state:
                action = InfraAction.IMPORT if address in adopted else InfraAction.CREATE
                changes.append(InfraChange(address, "aws_ecr_repository", action, name))
            for region in self._world.regions:
                replica = repository_address(name, region)
                if replica in self._world.tainted or replica not in self._world.state:
                    action = InfraAction.REPLACE if replica in self._world.tainted else InfraAction.CREATE
                    changes.append(InfraChange(replica, "aws_ecr_repository", action, name, region=region))
        self._planned_at = self._serial
        return PlanFile(work_dir.plan_path, work_dir, (*changes, *self._world.further_changes))

    def detail(self, plan_file: PlanFile) -> PlanFile:
        return replace(plan_file, drift=tuple(self._world.drift))

    def has_changes(self, work_dir: WorkDir) -> bool:
        self._world.log.append("look")
        return {repository_address(name) for name in self._world.names} - self._world.tainted != self._world.state

    def apply(
        self, plan_file: PlanFile, *, on_resource: Callable[[InfraChange], None] | None = None
    ) -> Mapping[str, object]:
        if self._serial != self._planned_at:
            raise PlanStale("plan.stale", "the plan is stale and was not applied")
        self._world.log.append("apply")
        for number, change in enumerate(plan_file.changes):
            if self._world.fails_after and self._world.fails_after[0] == number:
                raise self._world.fails_after[1]
            if not change.region:
                self._world.create(change.name)
            self._world.state.add(change.address)
            self._serial += 1
            if on_resource:
                on_resource(change)
        return {"repositories": {}}


class Signatures:
    """A verifier that finds every signature good, but for `faults`."""

    def __init__(self) -> None:
        self.faults: dict[Digest, str | OciError] = {}
        self.reads = 0

    def verify(self, source: Reference, verification: Verification) -> str | None:
        assert source.digest is not None
        self.reads += 1
        fault = self.faults.get(source.digest)
        if isinstance(fault, OciError):
            raise fault
        return fault
