"""What a run did to the lock, as text and as Markdown: what moved, what waits and for how long, what stands still."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from toolkit.cli.render.amounts import format_count, format_moment
from toolkit.cli.render.lines import Paint, format_remarks, visible, wrap
from toolkit.cli.render.markdown import Part, code, comment, hinted, marker, names, prose, row
from toolkit.lock.admission import in_words
from toolkit.oci.digest import Digest
from toolkit.report import LockAction, LockChanges, LockedImage


@dataclass(frozen=True, slots=True)
class State:
    """How a text shows what became of an image."""

    symbol: str
    style: str
    word: str

    @property
    def title(self) -> str:
        """The word above the images in this state."""
        return f"{self.word[0].upper()}{self.word[1:]}"


STATES = {
    "admitted": State("+", "green", "admitted"),
    "rolled_back": State("!", "yellow", "rolled back"),
    "released": State(">", "green", "released"),
    "begun": State("<", "green", "begun with what ECR has"),
    "removed": State("-", "red", "removed"),
    "unreached": State("?", "red", "not reached upstream"),
    "held": State("|", "yellow", "held"),
    "waiting": State("~", "yellow", "waiting"),
    "unchanged": State("=", "dim", "unchanged"),
}
"""The most important first; in the last one nothing happens."""

_HEAD = (row("image", "digest", "used by", "reason"), "|---|---|---|---|")


def state_of(image: LockedImage) -> str:
    """The state of an image, a key of `STATES`."""
    if image.action not in (LockAction.SEEN, LockAction.NOTHING):
        return image.action.value
    if image.fault:
        return "unreached"
    if image.hold:
        return "held"
    return "waiting" if image.candidates else "unchanged"


def render_lock(changes: LockChanges, *, width: int = 100, colour: bool = False) -> str:
    """The text of `changes`, its last line a summary; `width` bounds sentences, names stay whole.

    Images of which the same is told stand together.
    """
    paint = Paint(colour)
    lines: list[str] = []
    for state, images in _by_state(changes).items():
        if state == "unchanged":
            continue
        look = STATES[state]
        lines += ["", paint("bold", look.title)]
        alike: dict[tuple[str, ...], list[LockedImage]] = {}
        for image in images:
            alike.setdefault(_told(image), []).append(image)
        for told, those in alike.items():
            lines += [f"  {paint(look.style, look.symbol)} {visible(one.key)}  {say_digests(one)}" for one in those]
            lines += [line for text in told for line in wrap(text, width=width, indent=" " * 6, first=" " * 4)]
    remarks = [(f"{notice.message} [{notice.code}]", notice.hint) for notice in changes.notices]
    lines += ["", *format_remarks("notice", remarks, style="yellow", width=width, paint=paint)] if remarks else []
    return "\n".join([*lines, "", *wrap(say_lock(changes), width=width, indent="")]).lstrip("\n")


def render_lock_markdown(changes: LockChanges) -> str:
    """The same as a comment; images that stay are folded."""
    found = _by_state(changes)
    parts = [
        Part(f"**{STATES[state].title}**", [_row(image) for image in images], head=_HEAD)
        for state, images in found.items()
        if state != "unchanged"
    ]
    remarks = [f"- {prose(one.message)} {code(one.code)}{hinted(one.hint)}" for one in changes.notices]
    kept = found.get("unchanged", [])
    parts += [
        Part("**Notices**", remarks),
        Part(f"{format_count(len(kept), 'image')} unchanged", [_row(one) for one in kept], head=_HEAD, is_folded=True),
    ]
    return comment([marker("lock"), prose(say_lock(changes)), ""], parts)


def say_lock(changes: LockChanges) -> str:
    """What was done, what it cost, and where it was written."""
    counts = Counter(map(state_of, changes.images))
    amounts = ", ".join(f"{counts[state]} {STATES[state].word}" for state in STATES if counts[state]) or "no image"
    where = f"`{changes.file}`"
    if changes.is_dry:
        end = f"{where} was not written, because this was a dry run"
    else:
        end = f"{where} was written" if changes.is_written else f"{where} stays as it is"
    pulls = f" {format_count(changes.signatures, 'document')} of signatures read." if changes.signatures else ""
    return f"Lock: {amounts}.{pulls} {end[:1]}{end[1:]}."


def say_digests(image: LockedImage) -> str:
    """`old -> new`; without a move the digest that stays, and when the newest one upstream will be old enough."""
    old, new = _short(image.old_digest) or "(none)", _short(image.new_digest) or "(none)"
    if image.is_moved or image.action is LockAction.REMOVED:
        return f"{old} -> {new}"
    newest = image.candidates[-1] if image.candidates else None
    left = newest.seconds_left if newest else 0
    return f"{new}, {_short(newest.digest)} in {in_words(timedelta(seconds=left))}" if newest and left else new


def beneath(image: LockedImage) -> Iterator[str]:
    """The sentences about an image: why it moved or stays, and what waits."""
    yield from image.reasons
    if image.hold and not any(image.hold in reason for reason in image.reasons):
        until = f" until {format_moment(image.held_until)}" if image.held_until else ""
        yield f"it is held{until}: {image.hold}"


def _told(image: LockedImage) -> tuple[str, ...]:
    """The lines below an image: sentences, the builds that get another digest, and the digest for a `bypass`.

    That a digest is too young is in the line above.
    """
    used = [f"used by {', '.join(image.used_by)}"] if image.used_by and image.is_moved else []
    candidates = image.candidates if state_of(image) == "waiting" else ()
    is_all_said = bool(candidates) and all(one.seconds_left for one in candidates)
    return (*(() if is_all_said else beneath(image)), *used, *(one.digest for one in candidates[-1:]))


def _by_state(changes: LockChanges) -> dict[str, Sequence[LockedImage]]:
    states = {image.key: state_of(image) for image in changes.images}
    found = {state: [image for image in changes.images if states[image.key] == state] for state in STATES}
    return {state: images for state, images in found.items() if images}


def _short(digest: str | None) -> str:
    return Digest.parse(digest).short if digest else ""


def _row(image: LockedImage) -> str:
    return row(code(image.key), code(say_digests(image)), names(image.used_by), prose("; ".join(beneath(image))))
