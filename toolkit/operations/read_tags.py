"""What ECR has under tags, by its own API: no registry request, and several repositories at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial

from toolkit.oci.digest import Digest
from toolkit.oci.filtered_index import read_provenance
from toolkit.operations.services import AWS_LOOK_UPS, Ecr
from toolkit.plan.observed import StoredImage
from toolkit.seed.worker_pool import asking


def read_tags(keys: Iterable[str], ecr: Ecr) -> dict[str, StoredImage]:
    """The images under those of the `keys` (`<repository>:<tag>`) that are there, by key."""
    tags: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        repository, _, tag = key.rpartition(":")
        tags[repository].append(tag)
    if not tags:
        return {}
    with asking(AWS_LOOK_UPS) as pool:
        asked = {name: pool.ask(partial(ecr.images, name, those)) for name, those in tags.items()}
        return {
            f"{name}:{tag}": image for name, answer in asked.items() for tag, image in (answer.result() or {}).items()
        }


def upstream_digest(image: StoredImage) -> Digest:
    """What upstream calls the image: a filtered index of ours names the one it is made of."""
    made_from = read_provenance(image.raw)
    return made_from[0] if made_from else image.digest
