"""moto's ECR, completed for the needs of a registry, and used as the store of ECR's documents.

moto's own classes are changed, in the server process only. Tokens are random and expire after twelve hours.
`BatchGetImage` returns the requested tag. The digest and size of an image are those of its bytes. When a tag moves, its
former image stays. `DescribeImages` applies its filter. Repository names follow AWS's rules. Pull-through cache rules
are kept and listed; a pull fills nothing by them.
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


def complete_ecr(tokens: EcrTokens) -> None:
    """Change moto's classes; `tokens` issues the passwords."""

    def get_authorization_token(response: Any) -> Any:
        password, token = tokens.issue(response.current_account, response.region, response.access_key)
        data = {
            "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
            "expiresAt": datetime.datetime.fromtimestamp(token.expires, datetime.UTC),
            "proxyEndpoint": f"https://{token.account_id}.dkr.ecr.{token.region}.{_suffix(token.region)}",
        }
        return ActionResult({"authorizationData": [data]})

    models.ECR_REPOSITORY_NAME_PATTERN = _NAME_PATTERN
    models.ECRBackend.put_image = _put_image
    responses.ECRResponse.describe_images = _describe_images
    models.Image._create_digest = _create_digest
    models.Image.get_image_size_in_bytes = _size_in_bytes
    models.ECRBackend.batch_get_image = _batch_get_image
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
    """The images of moto's ECR as a registry's documents, in one account and region."""

    def __init__(self, account_id: str, region: str) -> None:
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
            if tag is None:
                return
            for other in images:
                _take_tag(other, tag)
            image.update_tag(tag)

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
            shown = copy.copy(image)
            shown.image_tag = tag
            found.append(shown)
    return {"images": found, "failures": failures}
