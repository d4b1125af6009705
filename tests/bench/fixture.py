"""Fills a registry with a set of images: same seed, set and generation, same digests, on any machine.

    python -m tests.bench.fixture --registry 127.0.0.1:5001 --set lib --out lib.json

Every layer is a valid `tar.gz` and every config has the right `diff_ids`, so `docker pull` works on them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.layers import Blob, Raw, digest_of, layer
from tests.bench.sets import SETS, Layers, Recipe, recipes

SEED = "toolkit-1"
_INDEX = "application/vnd.oci.image.index.v1+json"
_OCI = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.config.v1+json")
_OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_SCHEMA_2 = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
)
_SCHEMA_2_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_IN_TOTO = "application/vnd.in-toto+json"
_ENVIRONMENT = {
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"],
    "Cmd": ["/bin/sh"],
}
_CREATED = "2024-06-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A document, its media type, and the tag that it is pushed under, if any."""

    raw: bytes
    media_type: str
    tag: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """An image ready to push; `documents` in an order that every registry accepts, the top one last."""

    repository: str
    tag: str
    blobs: dict[str, Blob | Raw]
    documents: list[Pushed]

    @property
    def digest(self) -> str:
        return digest_of(self.documents[-1].raw)

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs.values())


def build(images: Sequence[Recipe], scale: float = 1.0) -> list[Image]:
    """The blobs and documents of every image; layers are read once, to know their digests."""
    return [_index(recipe, scale) if recipe.kind == "idx" else _schema_2(recipe, scale) for recipe in images]


def describe(images: Sequence[Image], **options: Any) -> dict[str, Any]:
    """What `--out` writes: the images and every blob's size."""
    sizes = {digest: blob.size for image in images for digest, blob in image.blobs.items()}
    rows = [
        {
            "repo": image.repository,
            "tag": image.tag,
            "digest": image.digest,
            "blobs": len(image.blobs),
            "bytes": image.size,
            "manifests": len(image.documents),
        }
        for image in images
    ]
    return {
        **options,
        "images": rows,
        "unique_blobs": len(sizes),
        "unique_bytes": sum(sizes.values()),
        "per_repo_blobs": sum(len(image.blobs) for image in images),
        "per_repo_bytes": sum(image.size for image in images),
        "manifests": sum(len(image.documents) for image in images),
        "blob_sizes": sizes,
    }


def push(registry: str, images: Iterable[Image]) -> int:
    """Fill the registry at `host:port` by plain HTTP; the bytes sent. Raises RuntimeError for an answer that is no success."""
    connection = http.client.HTTPConnection(registry, timeout=60)
    owners: dict[str, str] = {}
    sent = 0
    for image in images:
        for digest, blob in image.blobs.items():
            sent += _push_blob(connection, image.repository, digest, blob, owners.get(digest))
            owners[digest] = image.repository
        for document in image.documents:
            reference = document.tag or digest_of(document.raw)
            path = f"/v2/{image.repository}/manifests/{reference}"
            _ask(connection, "PUT", path, document.raw, {"Content-Type": document.media_type}, expected=(201,))
    connection.close()
    return sent


def _schema_2(recipe: Recipe, scale: float) -> Image:
    (platform, layers), *_ = recipe.platforms.items()
    blobs, raw = _manifest(recipe, platform, layers, scale, _SCHEMA_2, _SCHEMA_2_LAYER)
    return Image(recipe.repository, recipe.tag, blobs, [Pushed(raw, _SCHEMA_2[0], recipe.tag)])


def _index(recipe: Recipe, scale: float) -> Image:
    blobs: dict[str, Blob | Raw] = {}
    documents, children, attestations = [], [], []
    for platform, layers in recipe.platforms.items():
        of_platform, raw = _manifest(recipe, platform, layers, scale, _OCI, _OCI_LAYER)
        subject = digest_of(raw)
        of_attestation, attestation = _attestation(recipe.repository, subject)
        blobs |= of_platform | of_attestation
        documents += [Pushed(raw, _OCI[0], None), Pushed(attestation, _OCI[0], None)]
        variant = {"variant": "v8"} if platform == "arm64" else {}
        children.append(
            {
                "mediaType": _OCI[0],
                "digest": subject,
                "size": len(raw),
                "platform": {"architecture": platform, "os": "linux", **variant},
            }
        )
        attestations.append(
            {
                "mediaType": _OCI[0],
                "digest": digest_of(attestation),
                "size": len(attestation),
                "annotations": {
                    "vnd.docker.reference.digest": subject,
                    "vnd.docker.reference.type": "attestation-manifest",
                },
                "platform": {"architecture": "unknown", "os": "unknown"},
            }
        )
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": children + attestations})
    return Image(recipe.repository, recipe.tag, blobs, [*documents, Pushed(index, _INDEX, recipe.tag)])


def _manifest(
    recipe: Recipe, platform: str, layers: Layers, scale: float, media_types: tuple[str, str], layer_type: str
) -> tuple[dict[str, Blob | Raw], bytes]:
    made = [layer(key, size if size == 0 else max(160, int(size * scale))) for key, size in layers]
    steps = [f"RUN build {recipe.repository.split('/')[-1]} step {i} # " + "x" * 120 for i in range(len(made))]
    config = Raw(
        _json(
            {
                "architecture": platform,
                "os": "linux",
                "created": _CREATED,
                "config": _ENVIRONMENT,
                "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in made]},
                "history": [{"created": _CREATED, "created_by": step} for step in steps],
            }
        )
    )
    document = {
        "schemaVersion": 2,
        "mediaType": media_types[0],
        "config": {"mediaType": media_types[1], "size": config.size, "digest": config.digest},
        "layers": [{"mediaType": layer_type, "size": blob.size, "digest": blob.digest} for blob in made],
    }
    blobs: dict[str, Blob | Raw] = {config.digest: config}
    return blobs | {blob.digest: blob for blob in made}, _json(document)


def _attestation(repository: str, subject: str) -> tuple[dict[str, Blob | Raw], bytes]:
    materials = [{"uri": "pkg:x/" + hashlib.sha256(f"{subject}{i}".encode()).hexdigest()} for i in range(40)]
    statement = Raw(
        _json(
            {
                "_type": "https://in-toto.io/Statement/v0.1",
                "predicateType": "https://slsa.dev/provenance/v0.2",
                "subject": [{"name": repository.split("/")[-1], "digest": {"sha256": subject.removeprefix("sha256:")}}],
                "predicate": {"materials": materials},
            }
        )
    )
    rootfs = {"type": "layers", "diff_ids": [statement.digest]}
    config = Raw(_json({"architecture": "unknown", "os": "unknown", "config": {}, "rootfs": rootfs}))
    document = {
        "schemaVersion": 2,
        "mediaType": _OCI[0],
        "config": {"mediaType": _OCI[1], "digest": config.digest, "size": config.size},
        "layers": [
            {
                "mediaType": _IN_TOTO,
                "digest": statement.digest,
                "size": statement.size,
                "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"},
            }
        ],
    }
    return {config.digest: config, statement.digest: statement}, _json(document)


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _push_blob(
    connection: http.client.HTTPConnection, repository: str, digest: str, blob: Blob | Raw, owner: str | None
) -> int:
    """The bytes sent: none where the registry has the blob, here or in `owner`."""
    if owner == repository:
        return 0
    here = f"/v2/{repository}/blobs"
    if _ask(connection, "HEAD", f"{here}/{digest}", expected=(200, 404)).status == 200:
        return 0
    mount = f"?mount={digest}&from={owner}" if owner else ""
    opened = _ask(connection, "POST", f"{here}/uploads/{mount}", expected=(201, 202))
    if opened.status == 201:
        return 0
    location = opened.headers["Location"]
    location = location[location.index("/v2/") :]
    path = f"{location}{'&' if '?' in location else '?'}digest={digest}"
    headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
    _ask(connection, "PUT", path, blob.stream(), headers, expected=(201,))
    return blob.size


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: dict[str, str] | None = None,
    *,
    expected: tuple[int, ...],
) -> http.client.HTTPResponse:
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status not in expected:
        raise RuntimeError(f"{method} {path}: {answer.status} {content[:300]!r}")
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.fixture", description=__doc__.splitlines()[0])
    parser.add_argument("--registry", help="host:port to fill; without it nothing is pushed")
    parser.add_argument("--set", default="lib", choices=list(SETS))
    parser.add_argument("--gen", type=int, default=0, help="1 rebuilds one image of `lib`")
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--scale", type=float, default=1.0, help="layer sizes times this")
    parser.add_argument("--prefix", help="before the repositories [default: the set's name]")
    parser.add_argument("--out", type=Path, help="write the images and blob sizes here, as JSON")
    options = parser.parse_args()
    prefix = options.set if options.prefix is None else options.prefix
    images = build(recipes(options.set, options.seed, options.gen), options.scale)
    images = [
        Image(f"{prefix}/{image.repository}" if prefix else image.repository, image.tag, image.blobs, image.documents)
        for image in images
    ]
    about = describe(images, seed=options.seed, set=options.set, gen=options.gen, scale=options.scale)
    if options.registry:
        sys.stderr.write(f"pushed {push(options.registry, images) / 1e6:.1f} MB\n")
    if options.out:
        options.out.write_text(json.dumps(about))


if __name__ == "__main__":
    main()
