"""moto's ECR, completed for the needs of a registry, and used as the store of ECR's documents.

moto's own classes are changed, in the server process only. Tokens are random and expire after twelve hours.
`BatchGetImage` returns the requested tag. The digest and size of an image are those of its bytes. When a tag moves, its
former image stays. `DescribeImages` applies its filter, and says what a referrer refers to and when an image was
pulled. `BatchDeleteImage` takes one tag or an image, and no child of an index. Repository names follow AWS's rules.
Pull-through cache rules are kept and listed; a pull fills nothing by them.
"""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr import models, responses
from moto.ecr.exceptions import RepositoryNotFoundException

from toolkit.oci.media_types import INDEX_TYPES, MANIFEST_TYPES
from toolkit.sandbox.documents import read_links, read_subject
from toolkit.sandbox.store import StoredDocument

TOKEN_SECONDS = 12 * 3600
_MOTO_PUT_IMAGE = models.ECRBackend.put_image
_MOTO_DESCRIBE_IMAGES = responses.ECRResponse.describe_images
_NAME_PATTERN = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"


@dataclass(frozen=True, slots=True)
class EcrToken:
    """The account and region for which a password is valid, its expiry, and the access key that it was issued to."""

    account_id: str
    region: str
    expires: float
    access_key: str = ""


class EcrTokens:
    """The passwords that GetAuthorizationToken issued."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._tokens: dict[str, EcrToken] = {}

    def issue(self, account_id: str, region: str, access_key: str = "") -> tuple[str, EcrToken]:
        """A new password and its token."""
        password = secrets.token_urlsafe(96)
        token = EcrToken(account_id, region, self.clock() + TOKEN_SECONDS, access_key)
        self._tokens[password] = token
        return password, token

    def find(self, password: str) -> EcrToken | None:
        """The token of a password, expired or not."""
        return self._tokens.get(password)


def complete_ecr(tokens: EcrTokens, backfill: Callable[[str, str, str], str]) -> None:
    """Change moto's classes; `tokens` issues the passwords, `backfill` copies an account's images between regions."""

    def get_authorization_token(response: Any) -> Any:
        password, token = tokens.issue(response.current_account, response.region, response.access_key)
        data = {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": datetime.datetime.fromtimestamp(token.expires, datetime.UTC),
            "proxyEndpoint": f"https://{token.account_id}.dkr.ecr.{token.region}.{_suffix(token.region)}",
        }
        return ActionResult({"authorizationData": [data]})

    def start_replication_backfill(response: Any) -> Any:
        destination = response._get_param("destination")
        name = backfill(response.current_account, response.region, destination["region"])
        return ActionResult({"replicationBackfillId": name, "destination": destination, "status": "PREPARING"})

    responses.ECRResponse.start_replication_backfill = start_replication_backfill
    models.ECR_REPOSITORY_NAME_PATTERN = _NAME_PATTERN
    models.ECRBackend.put_image = _put_image
    responses.ECRResponse.describe_images = _describe_images
    models.Image._create_digest = _create_digest
    models.Image.get_image_size_in_bytes = _size_in_bytes
    models.ECRBackend.batch_get_image = _batch_get_image
    models.ECRBackend.batch_delete_image = _batch_delete_image
    responses.ECRResponse.get_authorization_token = get_authorization_token
    rules: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}

    def create_pull_through_cache_rule(response: Any) -> Any:
        rule = {
            name: value
            for name in ("ecrRepositoryPrefix", "upstreamRegistryUrl", "upstreamRepositoryPrefix", "credentialArn")
            if (value := response._get_param(name)) is not None
        }
        rule["registryId"] = response.current_account
        rules.setdefault((response.current_account, response.region), {})[rule["ecrRepositoryPrefix"]] = rule
        return ActionResult(rule)

    def describe_pull_through_cache_rules(response: Any) -> Any:
        found = rules.get((response.current_account, response.region), {})
        return ActionResult({"pullThroughCacheRules": list(found.values())})

    def delete_pull_through_cache_rule(response: Any) -> Any:
        found = rules.get((response.current_account, response.region), {})
        return ActionResult(found.pop(response._get_param("ecrRepositoryPrefix"), {}))

    responses.ECRResponse.create_pull_through_cache_rule = create_pull_through_cache_rule
    responses.ECRResponse.describe_pull_through_cache_rules = describe_pull_through_cache_rules
    responses.ECRResponse.delete_pull_through_cache_rule = delete_pull_through_cache_rule


class MotoDocuments:
    """The images of moto's ECR as a registry's documents, in one account and region.

    `arrived` is called with the repository, the document and the tag of each that was stored.
    """

    def __init__(
        self,
        account_id: str,
        region: str,
        arrived: Callable[[str, StoredDocument, str | None], None] = lambda *_: None,
    ) -> None:
        self._arrived = arrived
        self._backend = models.ecr_backends[account_id][region]
        self._lock = threading.Lock()

    def repository(self, name: str) -> Any:
        """moto's repository; None if it does not exist."""
        return self._backend.repositories.get(name)

    def find(self, repository: str, target: str) -> StoredDocument | None:
        """The document; None if it does not exist."""
        image = self._image(repository, target)
        return None if image is None else StoredDocument(image.image_manifest_media_type, image.image_manifest.encode())

    def put(self, repository: str, document: StoredDocument, tag: str | None) -> None:
        """Store `document` and point `tag` to it; the former image of the tag stays, as in ECR."""
        digest = str(document.digest)
        with self._lock:
            images = self.repository(repository).images
            image = self._image(repository, digest)
            if image is None:
                image = models.Image(
                    self._backend.account_id, None, document.raw.decode(), repository, document.media_type, digest
                )
                images.append(image)
            if tag is not None:
                for other in images:
                    _take_tag(other, tag)
                image.update_tag(tag)
        self._arrived(repository, document, tag)

    def note_pull(self, repository: str, target: str) -> None:
        """Remember that the document was pulled now."""
        if image := self._image(repository, target):
            _note_pull(image)

    def all(self, repository: str) -> list[StoredDocument]:
        """Every document of the repository, in any order."""
        images = tuple(getattr(self.repository(repository), "images", ()))
        return [StoredDocument(image.image_manifest_media_type, image.image_manifest.encode()) for image in images]

    def delete(self, repository: str, target: str) -> bool:
        """Delete nothing and return False, as ECR's registry API has no deletion."""
        return False

    def tags(self, repository: str) -> list[str]:
        """The tags in alphabetical order."""
        return sorted(tag for image in self.repository(repository).images for tag in image.image_tags)

    def has_repository(self, repository: str) -> bool:
        """Whether the repository exists in AWS."""
        return self.repository(repository) is not None

    def _image(self, repository: str, target: str) -> Any:
        images = getattr(self.repository(repository), "images", ())
        by_digest = ":" in target
        return next(
            (i for i in tuple(images) if (i.get_image_digest() == target if by_digest else target in i.image_tags)),
            None,
        )


def ecr_references(account_id: str) -> list[str]:
    """`<repository>:<tag>` of every tag in every region, in alphabetical order."""
    backends = tuple(models.ecr_backends[account_id].values())
    repositories = [r for backend in backends for r in tuple(backend.repositories.values())]
    return sorted(f"{r.name}:{tag}" for r in repositories for image in tuple(r.images) for tag in image.image_tags)


def age_images(account_id: str, seconds: int) -> None:
    """Make every push and pull of every region so much older."""
    for backend in tuple(models.ecr_backends[account_id].values()):
        for repository in tuple(backend.repositories.values()):
            for image in tuple(repository.images):
                image.image_pushed_at -= seconds
                if hasattr(image, "last_recorded_pull_time"):
                    image.last_recorded_pull_time -= seconds


def _note_pull(image: Any) -> None:
    image.last_recorded_pull_time = int(time.time())


def _suffix(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _take_tag(image: Any, tag: str) -> None:
    image.remove_tag(tag)
    image.image_tag = image.image_tags[-1] if image.image_tags else None


def _put_image(backend: Any, repository_name: str, image_manifest: str, image_tag: str, *rest: Any) -> Any:
    repository = backend.repositories.get(repository_name)
    if repository is not None and image_tag is not None:
        backend._resolve_image_tag_mutability(repository, image_tag)  # raises for a tag that cannot move
        for image in tuple(repository.images):
            if image.image_manifest != image_manifest:
                _take_tag(image, image_tag)
    return _MOTO_PUT_IMAGE(backend, repository_name, image_manifest, image_tag, *rest)


def _describe_images(response: Any) -> Any:
    result: Any = _MOTO_DESCRIBE_IMAGES(response)
    for detail in result.result["imageDetails"]:
        if detail.image_manifest_media_type in INDEX_TYPES | MANIFEST_TYPES and (
            subject := read_subject(_document(detail))
        ):
            detail.subject_manifest_digest = subject
    wanted = (response._get_param("filter") or {}).get("tagStatus", "ANY")
    if wanted != "ANY":
        details = result.result["imageDetails"]
        result.result["imageDetails"] = [d for d in details if hasattr(d, "image_tags") == (wanted == "TAGGED")]
    return result


def _create_digest(image: Any) -> None:
    image._image_digest = "sha256:" + hashlib.sha256(image.image_manifest.encode()).hexdigest()


def _size_in_bytes(image: Any) -> int | None:
    document = json.loads(image.image_manifest)
    if "layers" not in document:
        return None
    return sum(int(part["size"]) for part in (document["config"], *document["layers"]))


def _batch_get_image(
    backend: Any, repository_name: str, registry_id: str | None = None, image_ids: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    repository = backend.repositories.get(repository_name)
    if repository is None:
        raise RepositoryNotFoundException(repository_name, registry_id or backend.account_id)
    found, failures = [], []
    for image_id in image_ids or ():
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        image = next(
            (
                i
                for i in tuple(repository.images)
                if digest in (None, i.get_image_digest()) and (tag is None or tag in i.image_tags)
            ),
            None,
        )
        if image is None:
            failure = {
                "imageId": image_id,
                "failureCode": "ImageNotFound",
                "failureReason": "Requested image not found",
            }
            failures.append(failure)
        else:
            _note_pull(image)
            shown = copy.copy(image)
            shown.image_tag = tag
            found.append(shown)
    return {"images": found, "failures": failures}


def _batch_delete_image(
    backend: Any, repository_name: str, registry_id: str | None = None, image_ids: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    """A tag takes its image with it if it is the last one; a digest takes the image with all tags.

    AWS does not document an id with both. Here it is the tag, if it has that digest.
    """
    repository = backend.repositories.get(repository_name)
    if repository is None:
        raise RepositoryNotFoundException(repository_name, registry_id or backend.account_id)
    deleted, failures = [], []
    for image_id in image_ids or ():
        digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
        images = tuple(repository.images)
        image = next((i for i in images if (tag in i.image_tags if tag else i.get_image_digest() == digest)), None)
        is_last = image is not None and (tag is None or image.image_tags == [tag])
        if image is None:
            failures.append(_failure(image_id, "ImageNotFound", "Requested image not found"))
        elif digest not in (None, image.get_image_digest()):
            failures.append(_failure(image_id, "ImageTagDoesNotMatchDigest", "The tag does not map to the digest"))
        elif is_last and (indexes := [i for i in images if image.get_image_digest() in _children(i)]):
            reason = f"Requested image referenced by manifest list: {[i.get_image_digest() for i in indexes]}"
            failures.append(_failure(image_id, "ImageReferencedByManifestList", reason))
        else:
            tags = [tag] if tag else image.image_tags or [None]
            deleted += [{"imageDigest": image.get_image_digest(), **({"imageTag": t} if t else {})} for t in tags]
            if is_last:
                repository.images.remove(image)
            else:
                _take_tag(image, str(tag))
    return {"imageIds": deleted, "failures": failures}


def _failure(image_id: dict[str, str], code: str, reason: str) -> dict[str, Any]:
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def _children(image: Any) -> list[str]:
    return read_links(_document(image)) if image.image_manifest_media_type in INDEX_TYPES else []


def _document(image: Any) -> StoredDocument:
    return StoredDocument(image.image_manifest_media_type, image.image_manifest.encode())
