"""The YAML of `skopeo sync --src yaml`, as its `cmd/skopeo/sync.go` reads it.

A mapping of registries, each with repositories below it. Where the images go is said on skopeo's command line, so they
get the manifest's own names.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.manifest.document import Path
from toolkit.migration.carried import Carried, Entry, ForeignFile, Remark, familiar
from toolkit.migration.go_patterns import CannotSay, masterminds, searched, selection
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference


class RegistryImages(BaseModel):
    """One registry. Its `credentials` are in no field: what is not read cannot be copied."""

    model_config = ConfigDict(extra="allow", frozen=True)

    images: dict[str, tuple[str, ...] | None] | None = None
    images_by_tag_regex: dict[str, str] | None = Field(None, alias="images-by-tag-regex")
    images_by_semver: dict[str, str | tuple[str, ...]] | None = Field(None, alias="images-by-semver")


_LEFT = {
    "credentials": (
        "a manifest holds no secret",
        "`docker login {registry}`, or name a credential in `registries`: see `toolkit schema`",
    ),
    "tls-verify": ("certificates are always checked", "name the registry's own in SSL_CERT_FILE"),
    "cert-dir": ("certificates belong to the machine", "name them in SSL_CERT_FILE"),
}
_UNKNOWN = ("skopeo does not know it, so it had no effect", "nothing is to be done")
_VERSION = r"(?P<version>v?[0-9]+(?:\.[0-9]+){0,2})"
"""What Masterminds' library takes for a version without a pre-release."""


def read_skopeo_sync(file: ForeignFile) -> Carried:
    """Carry over `file`."""
    remarks = list(file.faults())
    images = [entry for registry in file.data for entry in _images(file, registry, remarks)]
    remarks.append(
        Remark(
            file.name,
            1,
            "--all",
            "without this option skopeo copies the platform of its machine alone, and the file does not say it",
            "set `platforms: all` if you used it, else the platforms of your builds",
            is_carried=True,
        )
    )
    return Carried(file.name, images, remarks=sorted(remarks, key=lambda remark: remark.line or 0))


def _images(file: ForeignFile, registry: str, remarks: list[Remark]) -> Iterator[Entry]:
    try:
        found = RegistryImages.model_validate(file.data[registry] or {})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        at = [part for part in fault["loc"] if part not in ("str", "tuple[str, ...]")]
        reason = f"skopeo takes something else here ({fault['msg'].lower()})"
        remarks.append(file.remark((registry, *at), reason, "correct the file and run again"))
        return
    for key, value in (found.model_extra or {}).items():
        if key != "tls-verify" or value is False:
            reason, instead = _LEFT.get(key, _UNKNOWN)
            remarks.append(file.remark((registry, key), reason, instead.format(registry=registry.partition("/")[0])))
    if not (found.images or found.images_by_tag_regex or found.images_by_semver):
        remarks.append(file.remark((registry,), "it has no images", "nothing is to be done"))
    for name, refs in (found.images or {}).items():
        yield from _listed(file, (registry, "images", name), refs or (), remarks)
    for name, pattern in (found.images_by_tag_regex or {}).items():
        path: Path = (registry, "images-by-tag-regex", name)
        try:
            yield from _entry(file, path, {"regex": selection([searched(pattern)], ())}, remarks)
        except CannotSay as error:
            remarks.append(file.remark(path, str(error), "write the `tags` yourself"))
    for name, constraint in (found.images_by_semver or {}).items():
        path = (registry, "images-by-semver", name)
        try:
            texts = [constraint] if isinstance(constraint, str) else constraint
            for text in (one for given in texts for one in masterminds(given)):
                yield from _entry(file, path, {"versions": text, "extract": _VERSION}, remarks)
        except CannotSay as error:
            remarks.append(file.remark(path, str(error), "write the `tags` yourself"))
        else:
            reason, instead = "dates and build numbers are no versions here", "check what the first plan lists"
            remarks.append(file.remark(path, reason, instead, is_carried=True))


def _listed(file: ForeignFile, path: Path, refs: tuple[str, ...], remarks: list[Remark]) -> Iterator[Entry]:
    if not refs:
        reason = "signatures (`sha256-….sig`) are not copied as tags"
        remarks.append(file.remark(path, reason, "set `signatures: keep` if you need them", is_carried=True))
        yield from _entry(file, path, {"glob": "*"}, remarks)
        return
    tags = []
    for number, ref in enumerate(refs):
        if _is_digest(ref):
            reason = "an image in ECR needs a tag, and skopeo copies a digest without one"
            remarks.append(file.remark((*path, number), reason, f"write `{path[-1]}:TAG@{ref[:14]}…` with all of it"))
        else:
            tags.append(ref)
    if tags:
        yield from _entry(file, path, tags, remarks)


def _is_digest(text: str) -> bool:
    try:
        Digest.parse(text)
    except OciError:
        return False
    return True


def _entry(file: ForeignFile, path: Path, tags: object, remarks: list[Remark]) -> Iterator[Entry]:
    try:
        source = familiar(Reference.parse(f"{path[0]}/{path[-1]}").name)
    except OciError as error:
        remarks.append(file.remark(path, error.message, "name it as a repository of a registry"))
        return
    line = file.line(*path)
    fields = {"source": f"{source}:{tags[0]}"} if isinstance(tags, list) and len(tags) == 1 else None
    yield Entry(fields or {"source": source, "tags": tags}, f"{file.name}:{line}", line)
