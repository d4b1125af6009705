"""Repositories of ECR at random: indexes with shared children, signatures, referrers, keepers and pulls."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from toolkit.lock.keepers import keeper_tag
from toolkit.oci.digest import Digest
from toolkit.plan.observed import ListedImage

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def digest(number: int) -> Digest:
    """Of the image with that number."""
    return Digest.of(b"%d" % number)


def signature_of(one: Digest, suffix: str = ".sig") -> str:
    """cosign's tag."""
    return f"sha256-{one.hex}{suffix}"


@st.composite
def repositories(draw: st.DrawFn) -> list[ListedImage]:
    """Any repository. Documents and signatures point to earlier ones only: they have the hash of what they are about."""
    count = draw(st.integers(1, 9))
    some = lambda number: st.lists(st.sampled_from([digest(n) for n in range(number)]), max_size=3, unique=True)  # noqa: E731
    missing = digest(100)
    images = []
    free = ["0", "1", "2", "3"]
    for number in range(count):
        one = digest(number)
        children = tuple(draw(some(number))) if number and draw(st.booleans()) else ()
        tags = [tag for tag in free if draw(st.integers(0, 5)) == 0]
        free = [tag for tag in free if tag not in tags]
        if draw(st.integers(0, 3)) == 0:
            tags.append(keeper_tag(draw(st.sampled_from(["0", "1"])), one))
        if draw(st.integers(0, 3)) == 0:
            of = draw(st.sampled_from([*(digest(n) for n in range(number)), missing]))
            tag = signature_of(of, draw(st.sampled_from([".sig", ".att", ""])))
            tags += [tag] if not any(tag in image.tags for image in images) else []
        days = st.sampled_from([0, 29, 31, 100])
        subjects = [digest(n) for n in range(number)] + [missing]
        images.append(
            ListedImage(
                one,
                NOW - timedelta(days=draw(days)),
                tuple(tags),
                draw(st.integers(0, 100)),
                draw(st.none() | days.map(lambda ago: NOW - timedelta(days=ago))),
                bool(children) or draw(st.booleans()),
                draw(st.integers(0, 20)) == 0,
                draw(st.sampled_from(subjects)) if draw(st.integers(0, 2)) == 0 else None,
                children,
                draw(st.none() | st.just(digest(101))) if children else None,
            )
        )
    return draw(st.permutations(images))


def lacks(images: Iterable[ListedImage]) -> set[tuple[Digest, Digest]]:
    """Indexes without a child, and referrers and signatures without their image."""
    images = list(images)
    there = {image.digest for image in images} | {image.made_of for image in images}
    points = {(image.digest, child) for image in images for child in image.children}
    points |= {(image.digest, image.subject) for image in images if image.subject}
    points |= {
        (image.digest, Digest("sha256", tag[7:71]))
        for image in images
        for tag in image.tags
        if tag.startswith("sha256-")
    }
    return {(one, other) for one, other in points if other not in there}
