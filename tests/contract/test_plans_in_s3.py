"""Plans and results in S3, as the sandbox has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.saved_plans import MANIFEST, S3, edit, edited_json, save
from tests.support.toolkit_run import Toolkit
from toolkit.aws.object_folder import ObjectFolder
from toolkit.aws.session import AwsSession
from toolkit.cli import sealed_archive
from toolkit.cli.saved_plan import (
    SavedPlan,
    keep_result,
    kept_results,
    place_for_shards,
    put_shard_plan,
    read_plan,
    unpack,
)
from toolkit.errors import Refused, ToolkitError, UsageError
from toolkit.plan.model import Bound, Division, Shard

REGION = "eu-west-1"
KEY = "0123456789abcdef"
RESULT = (
    '{"schema_version": 1, "command": "apply", "exit_code": 0, "error": {"code": "x.y", "message": "no", "hint": null}}'
)

pytestmark = pytest.mark.xdist_group("plans in s3")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        bucket = {"Bucket": "plans", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
        sandbox.client("s3", REGION).create_bucket(**bucket)
        yield sandbox


@pytest.fixture
def saved(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SavedPlan:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    return save(tmp_path / "plan.toolkit", tmp_path / "work", MANIFEST + S3)


def put(sandbox: RunningSandbox, key: str, content: bytes) -> str:
    sandbox.client("s3", REGION).put_object(Bucket="plans", Key=key, Body=content)
    return f"s3://plans/{key}"


def test_a_plan_for_shards_is_the_same_without_terraforms(saved: SavedPlan, tmp_path: Path) -> None:
    place = place_for_shards(saved, "s3://plans/shop/shards")
    put_shard_plan(saved, place, {})
    assert place == f"s3://plans/shop/shards/{saved.digest}/plan.toolkit"
    read = read_plan(place, {})
    assert read == dataclasses.replace(saved, path=place, terraform_plan=b"")
    with pytest.raises(Refused) as refused:
        unpack(read, tmp_path / "other")
    assert refused.value.code == "plan.without_terraform"


def test_a_whole_plan_is_read_from_any_folder(sandbox: RunningSandbox, saved: SavedPlan, tmp_path: Path) -> None:
    for key in ("plan.toolkit", "a/b/my plan"):
        place = put(sandbox, key, (tmp_path / "plan.toolkit").read_bytes())
        assert read_plan(place, {}) == dataclasses.replace(saved, path=place)


def test_a_plan_is_signed_where_there_is_a_key(saved: SavedPlan) -> None:
    place = place_for_shards(saved, "s3://plans/signed")
    put_shard_plan(saved, place, {"TOOLKIT_PLAN_KEY": KEY})
    assert read_plan(place, {"TOOLKIT_PLAN_KEY": KEY}).is_verified
    assert read_plan(place, {}).is_signed
    with pytest.raises(Refused, match="not by the key"):
        read_plan(place, {"TOOLKIT_PLAN_KEY": KEY[::-1]})


def test_a_folder_by_digest_has_no_other_plan(sandbox: RunningSandbox, saved: SavedPlan, tmp_path: Path) -> None:
    other = save(tmp_path / "other", tmp_path / "work", MANIFEST.replace("1.16", "1.17") + S3)
    content = sealed_archive.seal(other.members, None)
    place = put(sandbox, f"shards/{saved.digest}/plan.toolkit", content)
    with pytest.raises(Refused) as refused:
        read_plan(place, {})
    assert refused.value.code == "plan.other_digest"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a plan\n" * 100, None])
def test_what_is_no_plan_is_refused_in_one_sentence(
    sandbox: RunningSandbox, saved: SavedPlan, content: bytes | None
) -> None:
    place = "s3://plans/foreign/none" if content is None else put(sandbox, "foreign/plan", content)
    with pytest.raises(Refused) as refused:
        read_plan(place, {})
    assert refused.value.code == "plan.unreadable"
    assert f"`{place}`" in refused.value.message


def test_no_more_of_an_object_is_read_than_a_plan_may_have(sandbox: RunningSandbox, saved: SavedPlan) -> None:
    put(sandbox, "large/plan", b"x" * 10_000)
    assert ObjectFolder(AwsSession(REGION), "plans", "large/").read("plan", 5) == b"xxxxx"


@pytest.mark.parametrize("place", ["s3://", "s3://plans", "s3://plans/", "s3://plans/folder/", "s3:///plan.toolkit"])
def test_a_place_that_is_no_object_is_a_usage_error(place: str) -> None:
    with pytest.raises(UsageError, match="is no object in S3"):
        read_plan(place, {})


def test_a_bucket_that_is_not_there_is_told(saved: SavedPlan) -> None:
    with pytest.raises(ToolkitError, match="no bucket `no-such-bucket-here`"):
        read_plan("s3://no-such-bucket-here/plan.toolkit", {})


def test_results_are_found_beside_the_plan(sandbox: RunningSandbox, saved: SavedPlan) -> None:
    place = "s3://plans/results/plan.toolkit"
    keep_result(place, 3)(RESULT)
    keep_result(place, 1)(RESULT)
    assert list(kept_results(place, 3)) == ["results/1.json", "results/3.json"]
    keep_result(place, 3)("{}")
    with pytest.raises(Refused, match=r"`results/3.json` is not the result of a command"):
        kept_results(place, 3)


def test_a_shard_that_cannot_read_the_plan_says_why_beside_it(
    sandbox: RunningSandbox, saved: SavedPlan, tmp_path: Path
) -> None:
    edit(tmp_path / "plan.toolkit", about_json=edited_json(lambda about: about.update(toolkit_version="9.0")))
    place = put(sandbox, "newer/plan.toolkit", (tmp_path / "plan.toolkit").read_bytes())
    Toolkit(tmp_path, sandbox.environment()).run("apply", place, "--shard", "1").expect(7)
    [result] = kept_results(place, 1).values()
    assert result.error
    assert result.error["code"] == "plan.other_version"


def test_a_new_batch_begins_without_the_results_of_an_earlier_one(saved: SavedPlan) -> None:
    shards = tuple(Shard(number, (), 0, 0, None, 1.0) for number in (1, 2))
    division = Division(shards, Bound.BYTES, 0.0, 1, 1, 0)
    divided = dataclasses.replace(saved, plan=dataclasses.replace(saved.plan, division=division))
    place = place_for_shards(divided, "s3://plans/again")
    keep_result(place, 2)(RESULT)
    put_shard_plan(divided, place, {})
    assert kept_results(place, 2) == {}
