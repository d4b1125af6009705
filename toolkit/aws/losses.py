"""What is lost with a repository or a log group, which projects use a repository, and how a repository is emptied."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.aws.existing import describe_log_group, describe_projects, tags_of
from toolkit.aws.explain import explained
from toolkit.aws.session import AwsSession
from toolkit.errors import Refused
from toolkit.oci.digest import Digest
from toolkit.plan.desired import MANAGED_BY, MANIFEST
from toolkit.plan.model import Loss

if TYPE_CHECKING:
    from mypy_boto3_codebuild.type_defs import ProjectTypeDef

_IDS_A_CALL = 100
# A repository in a buildspec of ours: after the name that Dockerfiles use, or after a registry's host.
_PULLED = r"""("\$@" \S+ |\$\{{?\w+\}}?/|[\w-]+(\.[\w-]+)+(:\d+)?/){}(?=[:@\s"']|$)"""


class LossService:
    """ECR, CloudWatch and CodeBuild of one region. Methods raise AccessDenied or Refused when AWS returns an error."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session

    def repository(self, name: str) -> Loss:
        """The images of the repository `name`, archived ones too; none if it does not exist.

        `size` is the sum over the images, so a layer that two images share counts twice.
        """
        client = self._session.client("ecr")
        images = []
        with explained():
            try:
                pages = client.get_paginator("describe_images").paginate(
                    repositoryName=name, filter={"imageStatus": "ANY"}
                )
                images = [image for page in pages for image in page["imageDetails"]]
            except client.exceptions.RepositoryNotFoundException:
                return Loss("repository", name)
        pulled = [image["lastRecordedPullTime"] for image in images if "lastRecordedPullTime" in image]
        return Loss(
            kind="repository",
            name=name,
            size=sum(image.get("imageSizeInBytes") or 0 for image in images),
            digests=tuple(sorted((Digest.parse(image["imageDigest"]) for image in images), key=str)),
            last_pulled=max(pulled).isoformat(timespec="seconds") if pulled else None,
        )

    def log_group(self, name: str) -> Loss:
        """The logs of the log group `name`; none if it does not exist."""
        client = self._session.client("logs")
        with explained():
            found = describe_log_group(client, name)
        return Loss("log group", name, size=found.get("storedBytes", 0) if found else 0)

    def users(self, repositories: Collection[str], manifest: str) -> Mapping[str, Sequence[str]]:
        """By repository, the CodeBuild projects which pull from it and which another manifest of ours made."""
        found: dict[str, list[str]] = {}
        for project in self._projects() if repositories else ():
            tags = tags_of(project)
            if MANAGED_BY not in tags or tags.get(MANIFEST) == manifest:
                continue
            text = project["source"].get("buildspec", "") + "\n" + project["environment"]["image"] + "\n"
            for name in repositories:
                if re.search(_PULLED.format(re.escape(name)), text):
                    found.setdefault(name, []).append(project["name"])
        return found

    def empty(self, losses: Sequence[Loss]) -> None:
        """Delete the images of repositories. Raises Refused and deletes nothing if one has images not in `losses`."""
        current = {loss.name: self.repository(loss.name).digests for loss in losses}
        for loss in losses:
            others = len(set(current[loss.name]) - set(loss.digests))
            if others:
                raise Refused(
                    "plan.stale",
                    f"the repository `{loss.name}` has images that it did not have when the plan was made ({others})",
                    hint="plan again, and look at what would be lost",
                )
        for name, digests in current.items():
            self._delete(name, [str(digest) for digest in digests])

    def _delete(self, repository: str, left: Sequence[str]) -> None:
        client = self._session.client("ecr")
        while left:
            failed = []
            for start in range(0, len(left), _IDS_A_CALL):
                part = left[start : start + _IDS_A_CALL]
                with explained():
                    response = client.batch_delete_image(
                        repositoryName=repository, imageIds=[{"imageDigest": digest} for digest in part]
                    )
                # ECR refuses to delete an image as long as an index lists it. The next round deletes those.
                failed += [
                    failure["imageId"]["imageDigest"]
                    for failure in response["failures"]
                    if failure["failureCode"] == "ImageReferencedByManifestList"
                ]
            if len(failed) == len(left):
                raise Refused(
                    "repository.not_emptied",
                    f"AWS does not delete {len(failed)} images of the repository `{repository}`",
                    hint="delete them by hand, then run again",
                )
            left = failed

    def _projects(self) -> Iterator[ProjectTypeDef]:
        client = self._session.client("codebuild")
        with explained():
            names = [name for page in client.get_paginator("list_projects").paginate() for name in page["projects"]]
            yield from describe_projects(client, names)
