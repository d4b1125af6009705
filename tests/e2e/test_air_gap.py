"""Images that travel in a directory: filled from a registry, read by others, emptied into another registry."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.made_images import MadeImage, image, index, push
from tests.support.real_parts import require
from tests.support.registry import RunningRegistry, running_registry
from tests.support.toolkit_run import TOOLKIT, Toolkit
from toolkit.oci.client import RegistryClient
from toolkit.oci.digest import Digest
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.reference import Reference

NAME = "org.opencontainers.image.ref.name"
BASE = os.urandom(300_000)


def _made(note: bytes) -> MadeImage:
    return index(
        ("linux/amd64", image([BASE, note])), ("linux/arm64", image([BASE, note + b" for arm"], "linux/arm64"))
    )


IMAGES = {"base/web:1.0": _made(b"web"), "base/job:2.0": _made(b"job"), "base/tool:3.0": image([BASE, b"tool"])}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningRegistry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        client = RegistryClient(endpoints=Endpoints(((running.host, running.url),)))
        for name, made in IMAGES.items():
            push(client, made, Reference.parse(f"{running.host}/{name}"))
        yield running


@pytest.fixture
def toolkit(tmp_path: Path, registry: RunningRegistry) -> Toolkit:
    return Toolkit(tmp_path, {"TOOLKIT_REGISTRY_ENDPOINTS": f"{registry.host}={registry.url}"})


def skopeo(folder: Path, *arguments: str) -> bytes:
    command = [require("skopeo"), "--insecure-policy", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def outcomes(document: dict[str, Any]) -> list[tuple[str, int]]:
    return [(outcome["status"], outcome["moved_bytes"]) for outcome in document["report"]["outcomes"]]


def pairs(registry: RunningRegistry, folder: str = "carried") -> list[str]:
    return [word for name in IMAGES for word in (f"{registry.host}/{name}", f"oci:{folder}:{name}")]


def test_skopeo_reads_what_we_wrote(toolkit: Toolkit, registry: RunningRegistry) -> None:
    done = toolkit.run("copy", *pairs(registry), "--format", "json").expect(0).document
    assert [status for status, _ in outcomes(done)] == ["copied"] * 3
    for name, made in IMAGES.items():
        assert skopeo(toolkit.folder, "inspect", "--raw", f"oci:carried:{name}") == made.document.raw
        skopeo(toolkit.folder, "copy", "--all", "--preserve-digests", f"oci:carried:{name}", f"dir:{name[5:8]}")
        assert (toolkit.folder / name[5:8] / "manifest.json").read_bytes() == made.document.raw


def test_we_read_what_skopeo_wrote(toolkit: Toolkit, registry: RunningRegistry) -> None:
    source = f"docker://{registry.host}/base/tool:3.0"
    skopeo(toolkit.folder, "copy", "--src-tls-verify=false", "--preserve-digests", source, "oci:theirs:tool")
    toolkit.run("copy", "oci:theirs", f"{registry.host}/arrived/tool:3.0").expect(0)
    toolkit.run("copy", "oci:theirs:tool", "oci:ours:tool").expect(0)
    raw = IMAGES["base/tool:3.0"].document.raw
    arrived = f"docker://{registry.host}/arrived/tool:3.0"
    assert skopeo(toolkit.folder, "inspect", "--raw", "--tls-verify=false", arrived) == raw
    assert skopeo(toolkit.folder, "inspect", "--raw", "oci:ours:tool") == raw


def test_skopeo_and_we_fill_one_layout(toolkit: Toolkit, registry: RunningRegistry) -> None:
    web = f"{registry.host}/base/web:1.0"
    toolkit.run("copy", web, "oci:both:ours").expect(0)
    skopeo(toolkit.folder, "copy", "--all", "--src-tls-verify=false", f"docker://{web}", "oci:both:theirs")
    toolkit.run("copy", f"{registry.host}/base/job:2.0", "oci:both:ours-too").expect(0)
    found = json.loads((toolkit.folder / "both" / "index.json").read_text())["manifests"]
    assert sorted(entry["annotations"][NAME] for entry in found) == ["ours", "ours-too", "theirs"]


def test_a_layout_is_emptied_into_a_registry_with_the_same_digests(toolkit: Toolkit, registry: RunningRegistry) -> None:
    toolkit.run("copy", *pairs(registry)).expect(0)
    onward = [word for name in IMAGES for word in (f"oci:carried:{name}", f"{registry.host}/inside/{name}")]
    done = toolkit.run("copy", *onward, "--cache-dir", "elsewhere", "--format", "json").expect(0).document
    digests = [outcome["digest"] for outcome in done["report"]["outcomes"]]
    assert digests == [str(made.digest) for made in IMAGES.values()]
    again = toolkit.run("copy", *onward, "--format", "json").expect(0).document
    assert outcomes(again) == [("unchanged", 0)] * 3


def test_a_second_copy_moves_nothing_and_reads_nothing(toolkit: Toolkit, registry: RunningRegistry) -> None:
    first = toolkit.run("copy", *pairs(registry), "--format", "json").expect(0).document
    unique = {
        digest: len(content)
        for made in IMAGES.values()
        for part in (made, *made.children)
        for digest, content in part.blobs.items()
    }
    assert first["report"]["totals"]["moved_bytes"] == sum(unique.values())
    before = len(registry.manifest_gets())
    again = toolkit.run("copy", *pairs(registry), "--cache-dir", "fresh", "--format", "json").expect(0).document
    assert outcomes(again) == [("unchanged", 0)] * 3
    assert len(registry.manifest_gets()) == before


def test_two_layouts_read_each_blob_once_and_share_its_file(toolkit: Toolkit, registry: RunningRegistry) -> None:
    tool = f"{registry.host}/base/tool:3.0"
    done = toolkit.run("copy", tool, "oci:one:tool", tool, "oci:two:tool", "--format", "json").expect(0).document
    made = IMAGES["base/tool:3.0"]
    assert done["report"]["totals"]["moved_bytes"] == sum(map(len, made.blobs.values()))
    for digest in made.blobs:
        one, two = (toolkit.folder / layout / "blobs" / "sha256" / digest.hex for layout in ("one", "two"))
        assert one.samefile(two)
    assert check_layout(toolkit.folder / "two") == {"tool"}


def test_only_what_is_missing_is_moved(toolkit: Toolkit, registry: RunningRegistry) -> None:
    toolkit.run("copy", *pairs(registry)).expect(0)
    (toolkit.folder / "carried" / "blobs" / "sha256" / Digest.of(b"tool").hex).unlink()
    done = toolkit.run("copy", *pairs(registry), "--format", "json").expect(0).document
    assert outcomes(done) == [("unchanged", 0), ("unchanged", 0), ("copied", len(b"tool"))]


def test_all_that_is_wrong_with_layouts_is_said_at_once(toolkit: Toolkit, registry: RunningRegistry) -> None:
    toolkit.run("copy", *pairs(registry)).expect(0)
    (toolkit.folder / "letters").mkdir()
    (toolkit.folder / "letters" / "dear.txt").write_text("dear")
    (toolkit.folder / "pairs.txt").write_text(
        f"oci:carried {registry.host}/a:1\n"
        f"oci:carried:none {registry.host}/b:1\n"
        f"oci:nowhere:a {registry.host}/c:1\n"
        "oci:carried:base/web:1.0 oci:letters:web\n"
        "oci:carried:base/web:1.0 oci:new\n"
    )
    done = toolkit.run("copy", "--list", "pairs.txt").expect(64)
    assert "pairs.txt:1: `oci:carried` holds 3 images; it has `base/job:2.0`, `base/tool:3.0`" in done.stderr
    assert "pairs.txt:2: `oci:carried` holds no image called `none`; it has" in done.stderr
    assert "pairs.txt:3: `oci:nowhere` is no image layout" in done.stderr
    assert "pairs.txt:4: `letters` holds other files and is no image layout" in done.stderr
    assert "pairs.txt:5: the destination `oci:new` needs a tag, or a name in a layout" in done.stderr
    assert not (toolkit.folder / "new").exists()


def test_a_layout_that_arrived_in_part_names_what_it_lacks(toolkit: Toolkit, registry: RunningRegistry) -> None:
    toolkit.run("copy", *pairs(registry)).expect(0)
    blobs = toolkit.folder / "carried" / "blobs" / "sha256"
    (blobs / Digest.of(b"tool").hex).write_bytes(b"to")
    (blobs / IMAGES["base/web:1.0"].children[1].digest.hex).unlink()
    onward = [word for name in IMAGES for word in (f"oci:carried:{name}", f"{registry.host}/partly/{name}")]
    done = toolkit.run("copy", *onward, "--cache-dir", "fresh", "--format", "json").expect(6).document
    web, job, tool = done["report"]["outcomes"]
    assert job["status"] == "copied"
    assert {web["error_code"], tool["error_code"]} == {"source.layout_incomplete"}
    assert "`oci:carried` lacks `sha256:" in web["error_message"]
    assert f"`oci:carried` has 2 bytes of `{Digest.of(b'tool')}`, not 4" in tool["error_message"]
    (blobs / IMAGES["base/job:2.0"].digest.hex).unlink()
    done = toolkit.run("copy", "oci:carried:base/job:2.0", f"{registry.host}/partly/x:1").expect(64)
    assert f"`oci:carried` lacks `{IMAGES['base/job:2.0'].digest}`" in done.stderr


def test_a_disk_that_is_full_leaves_no_half_of_a_file(toolkit: Toolkit, registry: RunningRegistry) -> None:
    command = " ".join([TOOLKIT, "copy", *pairs(registry), "--format", "json"])
    done = subprocess.run(
        ["sh", "-c", f"ulimit -f 100; exec {command}"],
        cwd=toolkit.folder,
        env=toolkit.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    [code] = {outcome["error_code"] for outcome in json.loads(done.stdout)["report"]["outcomes"]}
    assert code == "destination.layout_unusable"
    assert "`oci:carried` cannot be used: File too large" in done.stderr
    assert not list((toolkit.folder / "carried").rglob(".new-*"))
    assert check_layout(toolkit.folder / "carried") == set()
    toolkit.run("copy", *pairs(registry)).expect(0)
    assert check_layout(toolkit.folder / "carried") == set(IMAGES)


def test_a_dry_run_shows_each_pair_and_moves_nothing(toolkit: Toolkit, registry: RunningRegistry) -> None:
    web, job, tool = (f"{registry.host}/{name}" for name in IMAGES)
    toolkit.run("copy", web, "oci:carried:kept", job, "oci:carried:moving").expect(0)
    wanted = [web, "oci:carried:kept", web, "oci:carried:moving", tool, "oci:carried:new"]
    index_before = (toolkit.folder / "carried" / "index.json").read_bytes()
    gets_before = len(registry.manifest_gets())
    done = toolkit.run("copy", "--dry-run", *wanted, "--format", "json", "--cache-dir", "fresh").expect(0).document
    found = [(pair["action"], pair["destination"], pair["current_digest"]) for pair in done["preview"]["pairs"]]
    kept, moving = (str(IMAGES[name].digest) for name in ("base/web:1.0", "base/job:2.0"))
    assert found == [
        ("keep", "oci:carried:kept", kept),
        ("move", "oci:carried:moving", moving),
        ("copy", "oci:carried:new", None),
    ]
    assert done["preview"]["totals"] == {"copy": 1, "move": 1, "keep": 1, "refused": 0}
    text = toolkit.run("copy", "--dry-run", *wanted).expect(0).stdout
    assert "+ copy  oci:carried:new" in text and "= keep  oci:carried:kept" in text
    assert "Dry run: 1 image to copy, 1 to move, 1 unchanged; nothing was changed." in text
    lines = toolkit.run("copy", "--dry-run", *wanted, "--format", "json-lines").expect(0).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines][-2:] == ["preview_made", "run_finished"]
    assert (toolkit.folder / "carried" / "index.json").read_bytes() == index_before
    assert len(registry.manifest_gets()) == gets_before


def test_a_dry_run_refuses_what_cannot_be_copied(toolkit: Toolkit, registry: RunningRegistry) -> None:
    done = toolkit.run(
        "copy", "--dry-run", f"{registry.host}/base/web:9", "oci:new:a", f"{registry.host}/base/web:1.0", "oci:new:b"
    )
    assert "source.missing" in done.expect(7).stdout
    assert "1 image to copy, 0 to move, 0 unchanged, 1 refused" in done.stdout
    assert not (toolkit.folder / "new").exists()


def test_only_some_pairs_are_copied(toolkit: Toolkit, registry: RunningRegistry) -> None:
    done = toolkit.run("copy", *pairs(registry), "--only", "*/web:*", "--only", "oci:*tool:3.0", "--format", "json")
    keys = [outcome["key"] for outcome in done.expect(0).document["report"]["outcomes"]]
    assert keys == ["oci:carried:base/web:1.0", "oci:carried:base/tool:3.0"]
    done = toolkit.run("copy", *pairs(registry), "--only", "*web*", "--only", "*wbe*").expect(64)
    assert "`*wbe*` matches no image; there are" in done.stderr and "base/job:2.0" in done.stderr


def check_layout(folder: Path) -> set[str]:
    """The names in a layout, each with all of its content, every file being what it is called."""
    if not (folder / "oci-layout").exists():
        return set()
    assert json.loads((folder / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}

    def check(descriptor: dict[str, Any]) -> None:
        content = (folder / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        assert len(content) == descriptor["size"]
        if descriptor["mediaType"].endswith(("manifest.v1+json", "index.v1+json")):
            document = json.loads(content)
            for part in [*document.get("manifests", []), *document.get("layers", [])]:
                check(part)
            if "config" in document:
                check(document["config"])

    for file in (folder / "blobs" / "sha256").iterdir():
        if not file.name.startswith("."):
            assert hashlib.sha256(file.read_bytes()).hexdigest() == file.name
    entries = json.loads((folder / "index.json").read_text())["manifests"]
    for entry in entries:
        check(entry)
    return {entry["annotations"][NAME] for entry in entries}


@pytest.mark.slow
def test_two_copies_killed_at_random_moments_leave_a_layout_that_the_next_one_finishes(
    tmp_path: Path, toolkit: Toolkit, registry: RunningRegistry
) -> None:
    client = RegistryClient(endpoints=Endpoints(((registry.host, registry.url),)))
    names = [f"many/n{number}:1" for number in range(12)]
    for name in names:
        made = image([BASE, *(os.urandom(200_000) for _ in range(3))])
        push(client, made, Reference.parse(f"{registry.host}/{name}"))
    halves = [
        [w for n in half for w in (f"{registry.host}/{n}", f"oci:carried:{n}")] for half in (names[::2], names[1::2])
    ]
    chance = random.Random(20)
    folder = tmp_path / "carried"
    in_the_middle = half_written = 0
    for turn in range(20):
        copies = [
            subprocess.Popen(
                [TOOLKIT, "copy", *half, "--limit-rate", "2M", "--format", "json-lines"],
                cwd=tmp_path,
                env=toolkit.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            for half in halves
        ]
        for copy in copies:
            assert copy.stdout is not None
            assert any(b"image_started" in line for line in copy.stdout)
        time.sleep(chance.uniform(0, 2.2))
        for copy in copies:
            copy.send_signal(signal.SIGKILL)
        for copy in copies:
            copy.communicate()
        there = check_layout(folder)
        in_the_middle += 0 < len(there) < len(names)
        half_written += bool(list(folder.rglob(".new-*")))
        if turn % 4 == 3:
            for half in halves:
                done = toolkit.run("copy", *half, "--format", "json").expect(0).document
                unchanged = {
                    o["key"].removeprefix("oci:carried:")
                    for o in done["report"]["outcomes"]
                    if o["status"] == "unchanged"
                }
                assert unchanged >= there & {word.removeprefix("oci:carried:") for word in half}, "moved again"
            assert check_layout(folder) == set(names)
            assert not list(folder.rglob(".new-*"))
            shutil.rmtree(folder)
    assert in_the_middle and half_written
