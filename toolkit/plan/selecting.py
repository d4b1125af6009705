"""Turns the manifest's tag selections into images, with the tags that upstreams list. Pure.

A selected tag may already be an image of the same repository, because the manifest lists it or an earlier selection
chose it. It is then the same image, and its first mention decides its platforms. `keep` counts it nevertheless.

If an upstream cannot be listed, its selections choose among the tags in ECR. These stay as they are, and no new tags
are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.manifest.destinations import upstream_tag
from toolkit.manifest.grammar import LONGEST_TAG, quoted
from toolkit.manifest.tag_pattern import SECONDS, TooSlow
from toolkit.oci.reference import Reference, Repository
from toolkit.plan.desired import Desired, DesiredImage, DesiredSelection
from toolkit.plan.model import Notice, Refusal
from toolkit.plan.observed import SourceFault
from toolkit.plan.planner import source_refusal

Listings = Mapping[Repository, Sequence[str] | SourceFault]


def choose_images(
    desired: Desired,
    listings: Listings,
    is_meant: Callable[[DesiredImage], bool] = lambda _: True,
    stored: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Desired, tuple[Refusal | Notice, ...]]:
    """`desired` with an image for each selected tag, in the manifest's order, and remarks about failed selections.

    Images for which `is_meant` is false (`seed --only`) cause no refusal. `stored` has the tags in ECR, by repository,
    of selections whose upstream cannot be listed.
    """
    taken = {image.key: image for image in desired.images}
    remarks: list[Refusal | Notice] = []
    images: list[DesiredImage] = []
    without: set[DesiredSelection] = set()
    done = 0
    for selection in desired.selections:
        images += desired.images[done : selection.position]
        done = selection.position
        listed = listings[selection.source]
        candidates = _originals(selection, stored or {}) if isinstance(listed, SourceFault) else listed
        try:
            tags = selection.tags.choose(candidates)
        except TooSlow:
            if any(map(is_meant, map(selection.image, candidates))):
                remarks.append(_too_slow(selection))
            without.add(selection)
            continue
        if isinstance(listed, SourceFault):
            remarks.append(_not_listed(selection, listed, keeps=bool(tags)))
            without.add(selection)
        else:
            # An upstream without tags says nothing about which images are meant, so that is always refused.
            if not tags and (not listed or any(map(is_meant, map(selection.image, listed)))):
                remarks.append(_none_match(selection, listed))
            if not tags:
                without.add(selection)
        for image in map(selection.image, tags):
            if len(image.tag) > LONGEST_TAG:
                remarks.append(_too_long(selection, image))
                continue
            first = taken.setdefault(image.key, image)
            if first is image:
                images.append(image)
            elif not _is_same_tag(first.source, image.source) and (is_meant(image) or is_meant(first)):
                remarks.append(_collision(image, first))
    images += desired.images[done:]
    remarks += _missing_for_builds(desired, taken, without, is_meant)
    return replace(desired, images=tuple(images), selections=()), tuple(remarks)


def _originals(selection: DesiredSelection, stored: Mapping[str, Sequence[str]]) -> list[str]:
    """The upstream's names of the tags in ECR."""
    originals = map(selection.naming.original, stored.get(selection.repository, ()))
    return [tag for tag in originals if tag is not None]


def _is_same_tag(one: Reference, other: Reference) -> bool:
    return (one.name, one.tag) == (other.name, other.tag)


def _not_listed(selection: DesiredSelection, fault: SourceFault, *, keeps: bool) -> Refusal | Notice:
    if keeps:
        message = f"{selection.path}: {fault.message}; the tags in ECR are kept, and no new tags are added"
        return Notice(f"source.{fault.kind}", message, fault.hint)
    image = f"{selection.repository}:*"
    return source_refusal(selection.path, fault, image=image, source=str(selection.source))


def _none_match(selection: DesiredSelection, listed: Sequence[str]) -> Refusal:
    name = Reference(selection.source.registry, selection.source.path).familiar
    near = ", ".join(f"`{tag}`" for tag in selection.tags.nearest(listed))
    found = (
        f"none of the {len(listed)} tags of `{name}` matches; the nearest: {near}" if near else f"`{name}` has no tags"
    )
    return Refusal(
        "tags.none_match",
        f"{selection.path}: {found}",
        hint="correct the selection, or list the tags",
        image=f"{selection.repository}:*",
        source=str(selection.source),
    )


def _patterns(selection: DesiredSelection) -> str:
    given = {"regex": selection.tags.regex, "extract": selection.tags.extract}
    return " or ".join(f"`{field}` {quoted(text)}" for field, text in given.items() if text is not None)


def _too_slow(selection: DesiredSelection) -> Refusal:
    name = Reference(selection.source.registry, selection.source.path).familiar
    return Refusal(
        "tags.too_slow",
        f"{selection.path}: its {_patterns(selection)} takes more than {SECONDS:g} s of CPU for the tags of `{name}`",
        hint="write it without repetitions inside repetitions, or select by `glob` or `versions`",
        image=f"{selection.repository}:*",
        source=str(selection.source),
    )


def _collision(image: DesiredImage, first: DesiredImage) -> Refusal:
    other = f"`{first.source.familiar}` of `{first.path}`"
    return Refusal(
        "tags.collide",
        f"{image.path}: `{image.source.familiar}` and {other} have the same destination `{image.key}`",
        hint=f"give one of them another `repository` or `tag_as`, or `exclude: [{image.source.tag}]`",
    )


def _too_long(selection: DesiredSelection, image: DesiredImage) -> Refusal:
    return Refusal(
        "tags.name_too_long",
        f"{selection.path}: `tag_as` makes {quoted(image.tag)} of `{image.source.familiar}`, and a tag has at most "
        f"{LONGEST_TAG} characters",
        hint=f"shorten `tag_as`, or `exclude: [{image.source.tag}]`",
        image=image.key,
        source=str(image.source),
    )


def _missing_for_builds(
    desired: Desired,
    taken: Mapping[str, DesiredImage],
    without: set[DesiredSelection],
    is_meant: Callable[[DesiredImage], bool],
) -> Iterator[Refusal]:
    """Refusals of base images of builds which the loader accepted because a selection might choose them."""
    for number, build in enumerate(desired.builds):
        for position, image in enumerate(build.images):
            if f"{image.repository}:{image.tag}" in taken:
                continue
            source, tag = upstream_tag(image.original)
            selections = [s for s in desired.selections if (s.source, s.repository) == (source, image.repository)]
            if without.isdisjoint(selections) and any(is_meant(s.image(tag)) for s in selections):
                wanted = source.with_tag(tag).familiar
                yield Refusal(
                    "build.image_not_selected",
                    f"builds[{number}].images[{position}]: `{wanted}` is not among the tags that "
                    f"{' and '.join(f'`{s.path}`' for s in selections)} selects now",
                    hint=f"add `- {wanted}` to `images`",
                )
