from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.terraform_samples import DESIRED, DOCS, NGINX, WEB
from toolkit.operations.orphans import Kind, find_orphans
from toolkit.plan.desired import Desired, DesiredRefresh
from toolkit.terraform.root_module import instance_of, log_group_address, project_address, repository_address
from toolkit.terraform.state import State

STATE = State(
    {
        repository_address(NGINX): {},
        repository_address("base/python"): {},
        project_address(WEB): {},
        log_group_address(WEB): {"name": WEB.log_group_name},
        log_group_address(DOCS): {"name": DOCS.log_group_name},
        "aws_s3_bucket.of_somebody": {},
        'module.of_somebody.module.builds["api"].aws_s3_bucket.this': {},
        'module.repositories["team"].aws_s3_bucket.this': {},
    }
)
SMALLER = replace(DESIRED, repositories=DESIRED.repositories[1:], builds=(DOCS,))


def whole(address: str) -> str:
    instance = instance_of(address)
    assert instance
    return instance.address


def let_go(desired: Desired, *destroys: Kind, allows_destroy: bool = False) -> tuple[str, ...]:
    return find_orphans(desired, STATE, destroys=destroys, allows_destroy=allows_destroy).let_go


def test_what_the_manifest_names_stays_in_the_state() -> None:
    assert let_go(DESIRED) == ()


def test_lets_go_of_orphans_with_one_notice_each() -> None:
    orphans = find_orphans(SMALLER, STATE, destroys=(), allows_destroy=False)
    assert set(orphans.let_go) == {whole(repository_address("base/python")), whole(project_address(WEB))}
    assert [notice.code for notice in orphans.notices] == ["infra.let_go"] * 2


def test_a_replica_is_an_orphan_without_its_region_and_without_its_repository() -> None:
    address = repository_address(NGINX, "us-east-1")
    state = State({repository_address(NGINX): {}, address: {}})
    wanted = replace(DESIRED, replicate_to=("us-east-1",))
    assert find_orphans(wanted, state, destroys=(), allows_destroy=False).let_go == ()
    found = find_orphans(DESIRED, state, destroys=(), allows_destroy=False)
    assert found.let_go == (whole(address),)
    assert "in `us-east-1`" in found.notices[0].message
    without = replace(wanted, repositories=DESIRED.repositories[:1])
    assert set(find_orphans(without, state, destroys=(), allows_destroy=False).let_go) == {
        whole(address),
        whole(repository_address(NGINX)),
    }


def test_destroying_leaves_the_logs() -> None:
    assert let_go(SMALLER, *Kind) == (log_group_address(WEB),)
    assert let_go(SMALLER, *Kind, allows_destroy=True) == ()


def test_destroying_builds_alone_lets_go_of_repositories() -> None:
    assert let_go(DESIRED.emptied(), Kind.BUILD, allows_destroy=True) == tuple(
        sorted(whole(repository_address(name)) for name in ("base/python", NGINX))
    )


@pytest.mark.parametrize("allows_destroy", [False, True])
def test_a_renamed_build_never_loses_its_logs(allows_destroy: bool) -> None:
    renamed = replace(DESIRED, builds=(replace(WEB, project_name="store-web"), DOCS))
    assert let_go(renamed, allows_destroy=allows_destroy) == (log_group_address(WEB),)


def test_what_is_not_of_our_modules_is_left_alone() -> None:
    assert all("aws_s3_bucket" not in address for address in let_go(DESIRED.emptied()))


def test_a_schedule_that_the_manifest_has_no_more_is_destroyed_and_leaves_its_logs() -> None:
    project = replace(WEB, name="refresh", project_name="platform-refresh", refreshes=True)
    address = log_group_address(project)
    state = State({project_address(project): {}, address: {"name": project.log_group_name}})
    with_it = replace(DESIRED, refresh=DesiredRefresh(project, "rate(1 day)", "UTC", "acme", "platform/refresh"))
    assert find_orphans(with_it, state, destroys=(), allows_destroy=False).let_go == ()
    assert find_orphans(DESIRED, state, destroys=(), allows_destroy=False).let_go == (address,)
