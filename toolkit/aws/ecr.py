"""Repositories and images as ECR's own API lists them: no registry request, no pull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import Document
from toolkit.oci.media_types import COPYABLE, OCI_INDEX
from toolkit.plan.observed import (
    ExistingRepository,
    PullThroughRule,
    ReplicationRule,
    StoredImage,
    StoredTag,
    replication_rule,
)

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

# BatchGetImage takes 100 ids per call. Without media types it converts newer documents to schema 2, or fails.
_IDS_A_CALL = 100


class EcrService:
    """ECR of the session's account and region. Methods raise AccessDenied or Refused when AWS returns an error."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def registry_host(self) -> str:
        """The host of the account's registry, as ECR returns it in any partition."""
        client = self._session.client("ecr")
        with explained():
            endpoint = client.get_authorization_token()["authorizationData"][0]["proxyEndpoint"]
        return endpoint.split("://", 1)[-1].rstrip("/")

    def repositories(self) -> Mapping[str, str]:
        """The ARN of every repository by its name."""
        client = self._session.client("ecr")
        with explained():
            pages = client.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 1000})
            return {r["repositoryName"]: r["repositoryArn"] for page in pages for r in page["repositories"]}

    def pull_through_rules(self) -> Sequence[PullThroughRule]:
        """The pull-through cache rules of the region."""
        client = self._session.client("ecr")
        with explained():
            pages = client.get_paginator("describe_pull_through_cache_rules").paginate()
            return [
                PullThroughRule(
                    prefix=rule["ecrRepositoryPrefix"],
                    upstream_host=rule["upstreamRegistryUrl"],
                    upstream_prefix=rule.get("upstreamRepositoryPrefix", "ROOT"),
                    credential_arn=rule.get("credentialArn"),
                )
                for page in pages
                for rule in page["pullThroughCacheRules"]
            ]

    def replication(self) -> Sequence[ReplicationRule]:
        """The rules of the registry's replication configuration."""
        client = self._session.client("ecr")
        with explained():
            registry = client.describe_registry()
        return [
            replication_rule(
                [(one["region"], one["registryId"]) for one in rule["destinations"]],
                [one["filter"] for one in rule.get("repositoryFilters", [])],
                registry["registryId"],
            )
            for rule in registry.get("replicationConfiguration", {}).get("rules", [])
        ]

    def backfill(self, region: str, account_id: str) -> bool:
        """Have ECR copy to `region` what was in the registry before its rules; False if it has to be asked later.

        ECR runs one backfill for a region at a time, and ten for a registry.
        """
        client = self._session.client("ecr")
        with explained():
            try:
                client.start_replication_backfill(destination={"region": region, "registryId": account_id})
            except client.exceptions.ReplicationBackfillInProgressException:
                return True
            except client.exceptions.LimitExceededException:
                return False
        return True

    def repository(self, name: str) -> ExistingRepository | None:
        """The repository `name` with its AWS tags and policies; None if it does not exist."""
        client = self._session.client("ecr")
        with explained():
            try:
                about = client.describe_repositories(repositoryNames=[name])["repositories"][0]
                tags = client.list_tags_for_resource(resourceArn=about["repositoryArn"])["tags"]
            except client.exceptions.RepositoryNotFoundException:
                return None
            encryption = about.get("encryptionConfiguration", {"encryptionType": "AES256"})
            return ExistingRepository(
                name=name,
                account_id=about["registryId"],
                tag_mutability=about["imageTagMutability"].removesuffix("_WITH_EXCLUSION"),
                tag_mutability_exclusions=tuple(
                    exclusion["filter"] for exclusion in about.get("imageTagMutabilityExclusionFilters", [])
                ),
                scan_on_push=about.get("imageScanningConfiguration", {}).get("scanOnPush", False),
                encryption_type=encryption["encryptionType"],
                kms_key=encryption.get("kmsKey"),
                resource_tags={tag["Key"]: tag["Value"] for tag in tags},
                lifecycle_policy=self._lifecycle_policy(client, name),
                repository_policy=self._repository_policy(client, name),
            )

    @staticmethod
    def _lifecycle_policy(client: ECRClient, name: str) -> str | None:
        try:
            return client.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"]
        except client.exceptions.LifecyclePolicyNotFoundException:
            return None

    @staticmethod
    def _repository_policy(client: ECRClient, name: str) -> str | None:
        try:
            return client.get_repository_policy(repositoryName=name)["policyText"]
        except client.exceptions.RepositoryPolicyNotFoundException:
            return None

    def images(self, repository: str, tags: Sequence[str]) -> Mapping[str, StoredImage] | None:
        """The image under each of `tags` that exists; None if the repository does not exist."""
        client = self._session.client("ecr")
        found: dict[str, StoredImage] = {}
        with explained():
            for start in range(0, len(tags), _IDS_A_CALL):
                ids: list[ImageIdentifierTypeDef] = [{"imageTag": tag} for tag in tags[start : start + _IDS_A_CALL]]
                try:
                    response = client.batch_get_image(
                        repositoryName=repository, imageIds=ids, acceptedMediaTypes=list(COPYABLE)
                    )
                except client.exceptions.RepositoryNotFoundException:
                    return None
                for image in response["images"]:
                    found[image["imageId"]["imageTag"]] = StoredImage(
                        Digest.parse(image["imageId"]["imageDigest"]), image["imageManifest"].encode()
                    )
        return found

    def tags(self, repository: str) -> Mapping[str, StoredTag]:
        """Every tag of a repository; empty if the repository does not exist."""
        client = self._session.client("ecr")
        found: dict[str, StoredTag] = {}
        with explained():
            pages = client.get_paginator("describe_images").paginate(
                repositoryName=repository, filter={"tagStatus": "TAGGED"}, PaginationConfig={"PageSize": 1000}
            )
            try:
                for page in pages:
                    for image in page["imageDetails"]:
                        pushed_at = image["imagePushedAt"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
                        tag = StoredTag(Digest.parse(image["imageDigest"]), pushed_at)
                        found |= dict.fromkeys(image.get("imageTags", ()), tag)
            except client.exceptions.RepositoryNotFoundException:
                return {}
        return found

    def has_image(self, repository: str, digest: Digest) -> bool:
        """Whether an existing repository has an image with that digest, tagged or untagged."""
        client = self._session.client("ecr")
        with explained():
            try:
                client.describe_images(repositoryName=repository, imageIds=[{"imageDigest": str(digest)}])
            except client.exceptions.ImageNotFoundException:
                return False
        return True

    def documents(self, repository: str, digests: Sequence[Digest]) -> Mapping[Digest, Document]:
        """The documents that a repository has among `digests`, tagged or untagged; empty without the repository."""
        client = self._session.client("ecr")
        found: dict[Digest, Document] = {}
        with explained():
            for start in range(0, len(digests), _IDS_A_CALL):
                ids: list[ImageIdentifierTypeDef] = [
                    {"imageDigest": str(digest)} for digest in digests[start : start + _IDS_A_CALL]
                ]
                try:
                    response = client.batch_get_image(
                        repositoryName=repository, imageIds=ids, acceptedMediaTypes=list(COPYABLE)
                    )
                except client.exceptions.RepositoryNotFoundException:
                    return {}
                for image in response["images"]:
                    document = Document(image["imageManifestMediaType"], image["imageManifest"].encode())
                    found[Digest.parse(image["imageId"]["imageDigest"])] = document
        return found

    def untagged_indexes(self, repository: str) -> Sequence[StoredImage]:
        """The OCI indexes without a tag, newest push first, at most as many as one call can read."""
        client = self._session.client("ecr")
        with explained():
            pages = client.get_paginator("describe_images").paginate(
                repositoryName=repository, filter={"tagStatus": "UNTAGGED"}, PaginationConfig={"PageSize": 1000}
            )
            found = [
                image
                for page in pages
                for image in page["imageDetails"]
                if image.get("imageManifestMediaType") == OCI_INDEX
            ]
            found.sort(key=lambda image: image["imagePushedAt"], reverse=True)
            ids: list[ImageIdentifierTypeDef] = [{"imageDigest": i["imageDigest"]} for i in found[:_IDS_A_CALL]]
            if not ids:
                return []
            response = client.batch_get_image(
                repositoryName=repository, imageIds=ids, acceptedMediaTypes=list(COPYABLE)
            )
        return [
            StoredImage(Digest.parse(i["imageId"]["imageDigest"]), i["imageManifest"].encode())
            for i in response["images"]
        ]
