"""What repositories contain, as ECR lists it, and the deletion of single images.

Only indexes are read. ECR records a read of an image manifest as a pull, which would make every image look used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from typing import TYPE_CHECKING

from toolkit.aws.ecr import EcrService
from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.filtered_index import Document, read_provenance
from toolkit.oci.media_types import INDEX_TYPES
from toolkit.oci.tree import children_of
from toolkit.plan.observed import ListedImage
from toolkit.plan.pruning import Removal, UnreadIndex
from toolkit.plan.severity import Severity
from toolkit.plan.status import Scan

if TYPE_CHECKING:
    from mypy_boto3_ecr.type_defs import ImageDetailTypeDef, ImageIdentifierTypeDef

_IDS_A_CALL = 100
_GONE = "ImageNotFound"
_SEVERITIES = {severity.upper(): severity for severity in Severity}


class ContentService:
    """The images of ECR's repositories. Methods raise AccessDenied or Refused when AWS returns an error."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._ecr = EcrService(session)

    def resource_tags(self, arn: str) -> Mapping[str, str]:
        """The AWS tags of a repository."""
        client = self._session.client("ecr")
        with explained():
            tags = client.list_tags_for_resource(resourceArn=arn)["tags"]
        return {tag["Key"]: tag["Value"] for tag in tags}

    def images(self, repository: str, known: Mapping[Digest, ListedImage]) -> Sequence[ListedImage]:
        """Every image of `repository`, archived ones too; indexes that are `known` are not read again.

        Raises UnreadIndex where one cannot be read: then nobody knows which images belong together.
        """
        found = self.listed(repository)
        wanted = [image.digest for image in found if image.is_index and image.digest not in known]
        documents = self._ecr.documents(repository, wanted)
        return [_complete(repository, image, known, documents) for image in found]

    def listed(self, repository: str) -> Sequence[ListedImage]:
        """Every image of `repository`, archived ones too, without what only its document tells."""
        client = self._session.client("ecr")
        with explained():
            pages = client.get_paginator("describe_images").paginate(
                repositoryName=repository, filter={"imageStatus": "ANY"}, PaginationConfig={"PageSize": 1000}
            )
            return [_listed(image) for page in pages for image in page["imageDetails"]]

    def scan(self, repository: str, digest: Digest) -> Scan:
        """The findings of ECR's scan of an image manifest, basic or enhanced.

        `DescribeImages` has them too, but not those of the basic scans of today.
        """
        client = self._session.client("ecr")
        with explained():
            try:
                answer = client.describe_image_scan_findings(
                    repositoryName=repository, imageId={"imageDigest": str(digest)}, maxResults=1
                )
            except (client.exceptions.ScanNotFoundException, client.exceptions.ImageNotFoundException):
                return Scan(lacking=("not scanned",))
        status = answer.get("imageScanStatus", {}).get("status", "")
        findings = answer.get("imageScanFindings")
        if status not in ("COMPLETE", "ACTIVE") or findings is None:
            return Scan(lacking=(f"not scanned: {status or 'no status'}",))
        at = findings.get("imageScanCompletedAt")
        found: Iterable[tuple[str, int]] = findings.get("findingSeverityCounts", {}).items()
        counts: Counter[Severity] = Counter()
        for name, count in found:
            # Amazon Inspector has words that ECR does not list, such as `UNTRIAGED`.
            counts[_SEVERITIES.get(name, Severity.UNDEFINED)] += count
        return Scan(dict(counts), at.astimezone(UTC) if at else None)

    def delete(self, repository: str, removals: Sequence[Removal]) -> Mapping[Removal, str]:
        """Delete the `removals`; returns ECR's reasons for those which it refuses.

        An image with tags is named by its digest and each tag, which ECR refuses for a tag that has moved. Some tags
        of an image that stays are named alone, because ECR documents only for that form that the image stays.
        """
        client = self._session.client("ecr")
        ids = [(one, id_) for one in removals for id_ in _ids(one)]
        refused: dict[Removal, str] = {}
        for start in range(0, len(ids), _IDS_A_CALL):
            part = ids[start : start + _IDS_A_CALL]
            with explained():
                response = client.batch_delete_image(repositoryName=repository, imageIds=[id_ for _, id_ in part])
            for failure in response["failures"]:
                named = failure["imageId"]
                if failure["failureCode"] != _GONE:
                    refused |= {
                        one: f"{failure['failureReason']} ({failure['failureCode']})"
                        for one, id_ in part
                        if named in (id_, {"imageDigest": str(one.digest)})
                    }
        return refused


def _ids(one: Removal) -> list[ImageIdentifierTypeDef]:
    if one.is_tags_only:
        return [{"imageTag": tag} for tag in one.tags]
    digest = str(one.digest)
    return [{"imageDigest": digest, "imageTag": tag} for tag in one.tags] or [{"imageDigest": digest}]


def _listed(image: ImageDetailTypeDef) -> ListedImage:
    subject = image.get("subjectManifestDigest")
    return ListedImage(
        digest=Digest.parse(image["imageDigest"]),
        pushed_at=image["imagePushedAt"].astimezone(UTC),
        tags=tuple(sorted(image.get("imageTags", ()))),
        size=image.get("imageSizeInBytes") or 0,
        pulled_at=pulled_at.astimezone(UTC) if (pulled_at := image.get("lastRecordedPullTime")) else None,
        is_index=image.get("imageManifestMediaType") in INDEX_TYPES,
        is_archived=image.get("imageStatus", "ACTIVE") != "ACTIVE",
        subject=Digest.parse(subject) if subject else None,
    )


def _complete(
    repository: str, image: ListedImage, known: Mapping[Digest, ListedImage], documents: Mapping[Digest, Document]
) -> ListedImage:
    """`image` with what only its document tells."""
    if before := known.get(image.digest):
        return replace(image, children=before.children, made_of=before.made_of)
    if not image.is_index:
        return image
    try:
        document = documents[image.digest]
        source = read_provenance(document.raw)
        return replace(image, children=children_of(document), made_of=source[0] if source else None)
    except (KeyError, OciError) as error:
        why = error.message if isinstance(error, OciError) else "it is archived or gone"
        raise UnreadIndex(
            "prune.index_unread",
            f"nothing of `{repository}` is pruned: its index `{image.digest}` cannot be read: {why}",
            hint="restore it or delete it",
        ) from error
