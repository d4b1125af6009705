"""A mirror that gets replicas in another region, on the real Terraform: what was there, what comes, how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Laptop

HOME, AWAY = "eu-west-1", "us-east-1"
ONE_REGION = f"version: 1\nname: shop\naws: {{region: {HOME}}}\nrepositories: {{prefix: mirror}}\nimages: [app01:1]\n"
TWO_REGIONS = ONE_REGION.replace(HOME, f"{HOME}, replicate_to: [{AWAY}]")
MORE_IMAGES = TWO_REGIONS.replace("app01:1", "app01:1, app02:1")
APP01, APP02 = "mirror/docker-hub/library/app01", "mirror/docker-hub/library/app02"

pytestmark = pytest.mark.slow


def ecr(laptop: Laptop, region: str) -> Any:
    values = laptop.toolkit.environment
    return boto3.client(
        "ecr",
        region_name=region,
        endpoint_url=values["AWS_ENDPOINT_URL"],
        aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
    )


def digests(laptop: Laptop, region: str) -> dict[str, str]:
    """The digest of each tag in a region, by `<repository>:<tag>`."""
    client = ecr(laptop, region)
    return {
        f"{repository['repositoryName']}:{tag}": image["imageDigest"]
        for repository in client.describe_repositories()["repositories"]
        for image in client.describe_images(repositoryName=repository["repositoryName"])["imageDetails"]
        for tag in image.get("imageTags", ())
    }


def replicate(laptop: Laptop, *prefixes: str) -> None:
    """Set the rules of the registry by hand."""
    rules = [
        {
            "destinations": [{"region": "eu-north-1", "registryId": laptop.status["account_id"]}],
            "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"} for prefix in prefixes],
        }
    ]
    ecr(laptop, HOME).put_replication_configuration(replicationConfiguration={"rules": rules if prefixes else []})


def test_a_second_region_has_what_was_there_and_what_comes(open_laptop: Callable[[str], Laptop]) -> None:
    laptop = open_laptop(MORE_IMAGES)
    run = laptop.toolkit.run
    laptop.write(ONE_REGION)
    run("apply", "--auto-approve").expect(0)

    # Somebody else's rule is never overwritten.
    laptop.write(TWO_REGIONS)
    replicate(laptop, "legacy/")
    refused = run("plan", "--format", "json").expect(7).document
    assert refused["error"]["code"] == "replication.not_ours"
    assert "`legacy/ to eu-north-1`" in refused["error"]["message"]
    assert f"`mirror/ to {AWAY}`" in refused["error"]["message"]
    assert ecr(laptop, HOME).describe_registry()["replicationConfiguration"]["rules"][0]["repositoryFilters"]
    replicate(laptop)

    # What was there before arrives by a backfill, in a repository of ours.
    planned = run("plan", "--format", "json").expect(0).document["plan"]
    [replica] = planned["replicas"]
    assert replica["region"] == AWAY
    assert replica["sent"] == replica["size"] > 0
    report = run("apply", "--auto-approve", "--format", "json").expect(0).document["report"]
    assert [(one["region"], one["arrived"], one["missing"]) for one in report["replicas"]] == [(AWAY, 1, [])]
    assert digests(laptop, AWAY) == digests(laptop, HOME)
    [made] = ecr(laptop, AWAY).describe_repositories()["repositories"]
    tags = ecr(laptop, AWAY).list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert {"Key": "toolkit:manifest", "Value": "shop"} in tags
    assert json.loads(ecr(laptop, AWAY).get_lifecycle_policy(repositoryName=APP01)["lifecyclePolicyText"])["rules"]
    assert run("plan", "--detailed-exitcode", "--format", "json").expect(0).document["plan"]["has_changes"] is False

    # A new repository has its replica before its first image arrives, so that ECR makes none of its own.
    laptop.write(MORE_IMAGES)
    report = run("apply", "--auto-approve", "--format", "json").expect(0).document["report"]
    assert [(one["arrived"], one["missing"]) for one in report["replicas"]] == [(2, [])]
    assert set(digests(laptop, AWAY)) == {f"{APP01}:1", f"{APP02}:1"}
    assert run("plan", "--detailed-exitcode", "--format", "json").expect(0).document["plan"]["has_changes"] is False


def test_a_region_that_leaves_keeps_its_replicas_and_can_come_back(open_laptop: Callable[[str], Laptop]) -> None:
    laptop = open_laptop(TWO_REGIONS)
    run = laptop.toolkit.run
    run("apply", "--auto-approve").expect(0)
    there = digests(laptop, AWAY)

    laptop.write(ONE_REGION)
    run("apply", "--auto-approve").expect(0)
    assert ecr(laptop, HOME).describe_registry()["replicationConfiguration"]["rules"] == []
    assert digests(laptop, AWAY) == there != {}
    assert run("plan", "--detailed-exitcode", "--format", "json").expect(0).document["plan"]["has_changes"] is False

    laptop.write(TWO_REGIONS)
    planned = run("plan", "--format", "json").expect(0).document["plan"]
    assert {change["action"] for change in planned["infra_changes"] if change["region"]} <= {"import", "update"}
    run("apply", "--auto-approve").expect(0)

    run("destroy", "--auto-approve").expect(0)
    assert ecr(laptop, AWAY).describe_repositories()["repositories"] == []
    assert ecr(laptop, HOME).describe_registry()["replicationConfiguration"]["rules"] == []
