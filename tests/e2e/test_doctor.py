"""`toolkit doctor` before the first plan, with the real Terraform, on a sunny and on a rainy day."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import boto3
import pytest

from tests.e2e.conftest import Laptop
from tests.support.real_parts import missing, require
from tests.support.toolkit_run import TOOLKIT

pytestmark = pytest.mark.xdist_group("doctor")

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, account_id: "123456789012"}
images: [nginx:1.16, quay.io/prometheus/node-exporter:v1.8.2]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
terraform:
  backend:
    s3: {bucket: acme-state, key: shop.tfstate}
"""


@pytest.fixture(scope="module")
def laptop(open_laptop: Callable[[str], Laptop]) -> Laptop:
    laptop = open_laptop(MANIFEST)
    s3 = boto3.client(
        "s3",
        region_name="eu-west-1",
        endpoint_url=laptop.status["aws_endpoint"],
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )
    s3.create_bucket(Bucket="acme-state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="acme-state", VersioningConfiguration={"Status": "Enabled"})
    return laptop


def test_is_content_before_the_first_plan_and_leaves_everything_as_it_was(laptop: Laptop) -> None:
    before = {path for path in laptop.folder.rglob("*") if "sandbox" not in path.parts}
    done = laptop.toolkit.run("doctor", "--format", "json").expect(0)
    findings = done.document["diagnosis"]["findings"]
    assert {(f["check"], f["state"]) for f in findings if f["state"] != "ok"} == {("tls", "skipped")}, findings
    assert done.document["diagnosis"]["totals"] == {"ok": len(findings) - 1, "warning": 0, "failed": 0, "skipped": 1}
    assert {path for path in laptop.folder.rglob("*") if "sandbox" not in path.parts} == before
    assert laptop.sandbox("status")["pulls_used"] == 0
    text = laptop.toolkit.run("doctor").expect(0)
    assert len(text.stdout.splitlines()) <= 40, text.stdout  # one screen
    assert text.stdout.endswith("nothing was changed.\n")


def test_names_a_manifest_that_cannot_be_used_and_goes_on(laptop: Laptop) -> None:
    (laptop.folder / "wrong.yaml").write_text("version: 1\nname: shop\nimage: []\n")
    done = laptop.toolkit.run("doctor", "-f", "wrong.yaml", "--format", "json", "--terraform-bin", "false").expect(7)
    found = {finding["check"]: finding for finding in done.document["diagnosis"]["findings"]}
    assert found["manifest"]["code"] == "manifest.invalid"
    assert found["terraform.program"]["code"] == "terraform.not_terraform"
    assert found["pulls"]["state"] == "ok"


def test_sees_a_disk_that_is_full_and_one_that_is_read_only(laptop: Laptop) -> None:
    own_mounts = [require("unshare"), "--mount", "sh", "-c"]
    mounts = "mount -t tmpfs -o size=64k none full && mount -t tmpfs -o ro none fixed"
    for name in ("full", "fixed"):
        (laptop.folder / name).mkdir()
    if subprocess.run([*own_mounts, mounts], cwd=laptop.folder, check=False, capture_output=True).returncode:
        missing("no mounts of our own")
    doctor = f"{TOOLKIT} doctor --work-dir full --cache-dir fixed --format json --terraform-bin false"
    done = subprocess.run(
        [*own_mounts, f"{mounts} && {doctor}"],
        cwd=laptop.folder,
        env=laptop.toolkit.environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 7
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["diagnosis"]["findings"]}
    assert (found["machine.work_dir"]["state"], found["machine.cache_dir"]["state"]) == ("failed", "failed")
    assert "cannot be written" in found["machine.cache_dir"]["reason"]
    assert "0.0 GB left" in found["machine.work_dir"]["reason"]
    for name in ("full", "fixed"):
        shutil.rmtree(laptop.folder / name)
