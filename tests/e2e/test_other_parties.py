"""What `toolkit copy` has made, as skopeo sees it: byte for byte what the source has, also after a pull."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.made_images import MadeImage, image, index, push
from tests.support.real_parts import require
from tests.support.registry import running_registry
from tests.support.sandbox import stand_in_registry
from tests.support.toolkit_run import Toolkit
from toolkit.oci.client import RegistryClient
from toolkit.oci.reference import Reference

BASE = [hashlib.shake_128(b"base%d" % number).digest(size) for number, size in enumerate((40_000, 3_000))]


def tiny(number: int) -> MadeImage:
    """One of twenty small images on the same base; every second has two platforms."""
    own = [hashlib.shake_128(b"%d/%d" % (number, layer)).digest(160 + 700 * number) for layer in range(2)]
    amd64 = image([*BASE, *own, b""])
    if number % 2:
        return amd64
    arm64 = image([BASE[1], own[0]], "linux/arm64")
    return index(("linux/amd64", amd64), ("linux/arm64", arm64))


IMAGES = {f"tiny{number % 7}:v{number}": tiny(number) for number in range(20)}


@contextmanager
def registry(kind: str, folder: Path) -> Iterator[str]:
    """The host of an empty registry."""
    if kind == "stand-in":
        with stand_in_registry(folder) as url:
            yield url.removeprefix("http://")
    else:
        with running_registry(folder) as running:
            yield running.host


def skopeo(*arguments: str) -> bytes:
    command = [require("skopeo"), "--insecure-policy", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def pulled(reference: str, folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    skopeo("copy", "--quiet", "--all", "--src-tls-verify=false", f"docker://{reference}", f"dir:{folder}")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["stand-in", "docker-registry"])
def test_skopeo_finds_at_the_destination_what_the_source_has(tmp_path: Path, kind: str) -> None:
    with registry(kind, tmp_path / "source") as source, registry(kind, tmp_path / "destination") as destination:
        client = RegistryClient()
        for key, made in IMAGES.items():
            push(client, made, Reference.parse(f"{source}/{key}"))
        (tmp_path / "list.txt").write_text("\n".join(f"{source}/{key} {destination}/{key}" for key in IMAGES))
        Toolkit(tmp_path).run("copy", "--list", "list.txt").expect(0)

        for key, made in IMAGES.items():
            raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{destination}/{key}")
            assert raw == made.document.raw
            assert raw == skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{source}/{key}")
            folder = tmp_path / key.replace(":", "-")
            ours = pulled(f"{destination}/{key}", folder / "ours")
            assert ours == pulled(f"{source}/{key}", folder / "theirs")
            assert len(ours) > 3
