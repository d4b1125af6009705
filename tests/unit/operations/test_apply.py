"""Apply does what the plan says, in that order, and loses nothing when it breaks off."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import NAMES, World, desired
from tests.support.made_images import image
from tests.support.memory_registry import Call
from toolkit.errors import AccessDenied, Interrupted, Refused, SeedingIncomplete, TerraformFailed
from toolkit.oci.errors import CredentialUnusable, RegistryError
from toolkit.oci.reference import Repository
from toolkit.operations.apply import apply
from toolkit.operations.plan import plan_manifest
from toolkit.operations.seed import seed
from toolkit.plan.model import InfraAction, Plan, SeedAction
from toolkit.report import Report, SeedStatus
from toolkit.terraform.root_module import repository_address


class Audience:
    """Who reviews, approves and reads the report."""

    def __init__(self, *, approves: bool = True) -> None:
        self.approves = approves
        self.plans: list[Plan] = []
        self.reports: list[Report] = []

    def run(self, world: World, *, allows_destroy: bool = False) -> None:
        apply(
            desired(*world.names),
            world.services,
            review=self.plans.append,
            confirm=lambda plan: self.approves,
            publish=self.reports.append,
            allows_destroy=allows_destroy,
        )

    @property
    def statuses(self) -> dict[str, SeedStatus]:
        return {outcome.key.partition(":")[0]: outcome.status for outcome in self.reports[-1].outcomes}


def test_creates_and_fills_every_repository(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    audience.run(world)
    assert set(audience.statuses.values()) == {SeedStatus.COPIED}
    for name in NAMES:
        assert world.stored(name) == world.registry.tags[Repository("upstream.test", name)]["1"]


def test_nothing_is_done_without_approval(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience(approves=False)
    with pytest.raises(Refused, match="not approved"):
        audience.run(world)
    assert world.repositories == {}
    assert "apply" not in world.log


def test_nothing_is_done_when_one_image_is_refused(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    del world.registry.tags[Repository("upstream.test", "two")]["1"]
    with pytest.raises(Refused) as refusal:
        audience.run(world)
    assert refusal.value.code == "source.missing"
    assert world.repositories == {}


def test_the_second_run_changes_nothing_and_reads_nothing(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    audience.run(world)
    reads = world.registry.count("get_manifest", "upstream.test")
    audience.run(world)
    assert set(audience.statuses.values()) == {SeedStatus.UNCHANGED}
    assert world.registry.count("get_manifest", "upstream.test") == reads
    assert world.log.count("apply") == 1


def test_what_was_reviewed_is_copied_even_when_the_tag_moves_meanwhile(tmp_path: Path) -> None:
    world = World(tmp_path)
    upstream = Repository("upstream.test", "one")
    reviewed = world.registry.tags[upstream]["1"]
    newer = image([b"newer"])

    def moves_the_tag(made: Plan) -> bool:
        world.registry.blobs[upstream].update(newer.blobs)
        world.registry.documents[upstream][newer.digest] = newer.document
        world.registry.tags[upstream]["1"] = newer.digest
        return True

    apply(desired(*NAMES), world.services, review=lambda _: None, confirm=moves_the_tag, publish=lambda _: None)
    assert world.stored("one") == reviewed


def test_a_terraform_failure_finishes_what_stands_and_reports_the_rest(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.fails_after = (1, TerraformFailed("terraform.failed", "quota"))
    with pytest.raises(TerraformFailed):
        audience.run(world)
    assert audience.statuses == {
        "one": SeedStatus.COPIED,
        "two": SeedStatus.SKIPPED,
        "three": SeedStatus.SKIPPED,
    }
    world.fails_after = None
    audience.run(world)
    assert audience.statuses["one"] is SeedStatus.UNCHANGED
    assert audience.statuses["two"] is SeedStatus.COPIED


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Interrupted("interrupted", "stop")], ids=["signal", "terraform"])
def test_an_interrupt_still_reports_and_the_next_run_converges(tmp_path: Path, stop: BaseException) -> None:
    world, audience = World(tmp_path), Audience()
    world.fails_after = (2, stop)
    with pytest.raises(type(stop)):
        audience.run(world)
    assert len(audience.reports[-1].outcomes) == 3
    world.fails_after = None
    audience.run(world)
    assert {world.stored(name) is not None for name in NAMES} == {True}


def test_one_failed_image_does_not_stop_the_others(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.registry.faults = lambda call: (
        RegistryError("no", status=400, host="upstream.test")
        if call.operation == "open_blob" and call.repository.path == "two"
        else None
    )
    with pytest.raises(SeedingIncomplete):
        audience.run(world)
    assert audience.statuses == {"one": SeedStatus.COPIED, "two": SeedStatus.FAILED, "three": SeedStatus.COPIED}


def test_what_ecr_shows_afterwards_decides(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.lies_about = {"one"}
    with pytest.raises(SeedingIncomplete):
        audience.run(world)
    (failed,) = audience.reports[-1].failed
    assert failed.error_code == "destination.not_as_copied"


def test_what_was_done_is_reported_when_it_cannot_be_read_back(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()

    def approves(_: Plan) -> bool:
        world.ecr_refuses = AccessDenied("aws.credentials_expired", "the session has ended", hint="sign in again")
        return True

    with pytest.raises(SeedingIncomplete):
        apply(
            desired(*NAMES),
            world.services,
            review=lambda _: None,
            confirm=approves,
            publish=audience.reports.append,
        )
    (report,) = audience.reports
    assert len(report.infra_changes) == 3
    assert {(o.error_code, o.hint) for o in report.failed} == {("aws.credentials_expired", "sign in again")}
    world.ecr_refuses = None
    audience.run(world)
    assert set(audience.statuses.values()) == {SeedStatus.UNCHANGED}


def test_an_interrupt_after_a_terraform_failure_still_reports(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.fails_after = (1, TerraformFailed("terraform.failed", "quota"))
    interrupted = threading.Event()

    def interrupts(call: Call) -> None:
        if call.operation == "open_blob" and not interrupted.is_set():
            interrupted.set()
            while "apply" not in world.log:
                time.sleep(0.001)
            time.sleep(0.1)  # Terraform has failed, and the main thread waits for this copy
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    world.registry.faults = interrupts
    with pytest.raises(KeyboardInterrupt):
        audience.run(world)
    assert len(audience.reports[-1].outcomes) == 3


def test_a_credential_that_does_not_work_is_a_matter_of_access(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.registry.faults = lambda call: (
        CredentialUnusable("the secret is not there") if call.repository.path == "two" else None
    )
    with pytest.raises(AccessDenied) as denied:
        audience.run(world)
    assert denied.value.code == "source.credential_unusable"
    assert [refusal.code for refusal in audience.plans[-1].refusals] == ["source.credential_unusable"]
    assert world.repositories == {}


def test_what_the_state_has_lost_is_imported(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.create("one")
    audience.run(world)
    assert [c.action for c in audience.plans[-1].infra_changes if c.name == "one"] == [InfraAction.IMPORT]


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    world.create("one", {"owner": "somebody"})
    with pytest.raises(Refused, match="does not belong"):
        audience.run(world)
    assert "apply" not in world.log


def test_a_tainted_repository_is_kept(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    audience.run(world)
    world.tainted = {repository_address("one")}
    audience.run(world)
    assert world.tainted == set()
    assert audience.plans[-1].infra_changes == ()


def test_replaces_and_fills_a_tainted_repository_if_allowed(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    audience.run(world)
    world.tainted = {repository_address("one")}
    audience.run(world, allows_destroy=True)
    decided = {seed.repository: seed.action for seed in audience.plans[-1].seeds}
    assert decided == {"one": SeedAction.COPY, "two": SeedAction.KEEP, "three": SeedAction.KEEP}


def test_another_account_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(Refused, match="999999999999"):
        plan_manifest(replace(desired(*NAMES), account_id="999999999999"), world.services)
    assert world.log == []


def test_sizes_are_read_only_where_that_is_asked_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert {seed.size for seed in plan_manifest(desired(*NAMES), world.services).plan.seeds} == {None}
    assert world.registry.count("get_manifest") == 0
    sizes = {seed.size for seed in plan_manifest(desired(*NAMES), world.services, reads_sizes=True).plan.seeds}
    assert None not in sizes
    assert world.registry.count("get_manifest") == 3


def test_seed_fills_repositories_that_exist_and_refuses_others(tmp_path: Path) -> None:
    world, audience = World(tmp_path), Audience()
    for name in NAMES:
        world.create(name)
    seed(desired(*NAMES), world.services, review=audience.plans.append, publish=audience.reports.append)
    assert set(audience.statuses.values()) == {SeedStatus.COPIED}
    assert world.log == []
    del world.repositories["two"]
    with pytest.raises(Refused, match="`two` does not exist"):
        seed(desired(*NAMES), world.services, review=audience.plans.append, publish=audience.reports.append)
