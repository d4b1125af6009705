"""Base images that run: one small filesystem around a static busybox, under any name and for any platform.

`/origin` of an image says whose bytes they are, under which name and for which platform. The program is this
machine's in images for other platforms too, so that a build for one of them runs without an emulator.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from toolkit.oci.digest import Digest
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.sandbox.images import KeepBlob, KeepDocument
from toolkit.sandbox.store import StoredDocument

BUSYBOX = "/bin/busybox"
PLATFORMS = ("linux/amd64", "linux/arm64")
_CREATED = "2024-05-01T00:00:00Z"
# What Dockerfiles count on: in nginx's image, and a place for temporary files.
_FOLDERS = ("tmp", "usr/share/nginx/html")
_APPLETS = ("cat", "cp", "echo", "env", "ls", "mkdir", "sed", "sh", "sort", "test", "true")


def make_runnable(
    origin: str,
    name: str,
    keep_blob: KeepBlob,
    keep_document: KeepDocument,
    *,
    config: Mapping[str, object] | None = None,
    programs: Mapping[str, bytes] | None = None,
) -> StoredDocument:
    """Make the image `name` of `origin`, hand out its parts, children first, and return its index.

    `config` is added to the image's configuration (`OnBuild`), `programs` are executables by path.
    """
    children = []
    for platform in PLATFORMS:
        layers = [_filesystem(), _tar({"origin": f"{origin} {name} {platform}\n".encode()})]
        if programs:
            layers.append(_tar(programs, mode=0o755))
        child = _image(platform, layers, dict(config or {}), keep_blob)
        keep_document(child)
        system, _, architecture = platform.partition("/")
        children.append(_pointer(child) | {"platform": {"os": system, "architecture": architecture}})
    return _document(OCI_INDEX, {"manifests": children})


def _image(platform: str, layers: list[bytes], config: dict[str, object], keep_blob: KeepBlob) -> StoredDocument:
    described = []
    for layer in layers:
        packed = _pack(layer)
        media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
        described.append({"mediaType": media_type, "digest": str(keep_blob(packed)), "size": len(packed)})
    system, _, architecture = platform.partition("/")
    blob = json.dumps(
        {
            "architecture": architecture,
            "os": system,
            "created": _CREATED,
            "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"]} | config,
            "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(layer)) for layer in layers]},
            "history": [{"created": _CREATED, "created_by": f"layer {i}"} for i in range(len(layers))],
        }
    ).encode()
    media_type = "application/vnd.oci.image.config.v1+json"
    pointer = {"mediaType": media_type, "digest": str(keep_blob(blob)), "size": len(blob)}
    return _document(OCI_MANIFEST, {"config": pointer, "layers": described})


def _document(media_type: str, fields: Mapping[str, object]) -> StoredDocument:
    content = {"schemaVersion": 2, "mediaType": media_type, **fields}
    return StoredDocument(media_type, json.dumps(content).encode())


def _pointer(document: StoredDocument) -> dict[str, object]:
    return {"mediaType": document.media_type, "digest": str(document.digest), "size": len(document.raw)}


@cache
def _filesystem() -> bytes:
    links = {f"bin/{name}": "busybox" for name in _APPLETS}
    return _tar({"bin/busybox": Path(BUSYBOX).read_bytes()}, mode=0o755, links=links, folders=_FOLDERS)


def _tar(
    files: Mapping[str, bytes],
    mode: int = 0o644,
    links: Mapping[str, str] | None = None,
    folders: tuple[str, ...] = (),
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in folders:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return out.getvalue()


@cache
def _pack(layer: bytes) -> bytes:
    return gzip.compress(layer, compresslevel=1, mtime=0)
