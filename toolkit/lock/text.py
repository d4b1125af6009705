"""The text of a lock, `images.lock.yaml`: read with every fault and its line, changed entry by entry.

The text is cut into entries rather than written again by ruamel.yaml's round trip: that ties a comment to the entry
before it, so that a new entry in between takes the comment away from the one below. And what does not change stays byte
for byte, which Git needs to merge two branches.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from toolkit.errors import Issue, ManifestUnusable
from toolkit.lock.model import Admitted, Hold, Lock, LockedTag, Sighting
from toolkit.manifest.document import Finding, NotYaml, Path, issues_of, lines_of, read_document
from toolkit.manifest.grammar import quoted
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference

VERSION = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEAD = f"""\
# Which digest of each image may be copied. `toolkit lock` writes it; commit it beside the manifest.
lock_version: {VERSION}
images:
"""
_KEY = re.compile(r"[a-z0-9][a-z0-9._/-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KEY_LINE = re.compile(rf"  ({_KEY.pattern}):\s*(#.*)?")
_COMMENT_AFTER = re.compile(r"""((?:"(?:\\.|[^"\\])*"|[^"#]|(?<!\s)#)*?)\s+(#.*)""")
_RESTORE = "restore an earlier version of it; without it, every digest counts as seen for the first time"

T = TypeVar("T")


def read_lock(text: str, file: str) -> Lock:
    """The lock in `text`; `file` is what messages call it. Raises ManifestUnusable with every fault at once."""
    if (written := _as_written(text)) is not None:
        return written
    try:
        document = read_document(text)
    except NotYaml as error:
        issue = Issue(file, error.line, "", error.message)
        raise ManifestUnusable("lock.not_yaml", f"`{file}` is not YAML", [issue], hint=_RESTORE) from error
    data = document.data if document else None
    if document is None or not isinstance(data, dict) or "lock_version" not in data:
        raise ManifestUnusable("lock.foreign", f"`{file}` is no lock: it has no `lock_version`", hint=_RESTORE)
    version = data["lock_version"]
    if type(version) is int and version > VERSION:
        raise ManifestUnusable(
            "lock.newer",
            f"`{file}` has version {version} of the lock, and this toolkit reads version {VERSION}",
            hint="update the toolkit",
        )
    reading = _Reading()
    lock = reading.lock(data)
    issues = issues_of(document, [*document.findings, *reading.findings], file)
    if issues:
        count = "1 problem" if len(issues) == 1 else f"{len(issues)} problems"
        raise ManifestUnusable("lock.invalid", f"`{file}` has {count}", issues, hint=_RESTORE)
    return lock


def _as_written(text: str) -> Lock | None:
    """The lock in a text that is as `write_lock` writes it, besides lines of comment; None for any other.

    For 3,000 entries ruamel.yaml takes 3.5 s of CPU, and this 0.4 s. It reads carelessly, and believes what it has read
    only if that is written in the same letters.
    """
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    images: dict[str, object] = {}
    entry: dict[str, object] = {}
    items: list[object] = []
    fields: dict[str, object] = {}
    for line in lines[2:]:
        field, _, value = line.strip().removeprefix("- ").partition(": ")
        if not value:
            field = field.removesuffix(":")
        if line[2:3] != " ":
            images[field] = entry = {}
        elif line[4:5] != " ":
            fields, items = {}, []
            entry[field] = value or (items if field in ("candidates", "previous") else fields)
        else:
            if line[6:7] == "-":
                items.append(fields := {})
            try:
                fields[field] = _plain(field, value)
            except ValueError:
                return None
    reading = _Reading()
    lock = reading.lock({"lock_version": VERSION, "images": images})
    again = [f"lock_version: {VERSION}", "images:"]
    for name, tag in lock.items():
        again += [f"  {name}:", *_body(tag)]
    return lock if lines == again and not reading.findings else None


def _plain(field: str, value: str) -> object:
    match field:
        case "platforms":
            return value[1:-1].split(", ")
        case "reason" if value.startswith('"'):
            return json.loads(value)
        case "size":
            return int(value)
    return value


def write_lock(lock: Lock, before: str = "") -> str:
    """The text of `lock`: `before`, a text that `read_lock` takes, with the entries that differ written anew.

    Entries are in the order of their names. Comments above an entry move with it. A comment inside of an entry stays
    with its line; if that line is gone, it moves below the entry's name. Comments of an entry that is gone go with it.
    """
    old = read_lock(before, "the lock") if before else {}
    head, blocks, tail = _cut(before or _HEAD)
    if blocks.keys() != old.keys():  # another layout than ours, such as JSON
        head, blocks, tail = _HEAD, {}, ""
    entries = [
        blocks[name] if name in blocks and old[name] == lock[name] else _entry(name, lock[name], blocks.get(name, ""))
        for name in sorted(lock)
    ]
    head = re.sub(r"(?m)^images:.*\n?", "images:\n" if entries else "images: {}\n", head)
    return head + "".join(entries) + tail


def _cut(text: str) -> tuple[str, dict[str, str], str]:
    """What is before the entries, each entry with the comments above it, and the comments after the last one."""
    head, images, rest = re.split(r"(?m)^(images:.*\n?)", text, maxsplit=1)
    blocks: dict[str, str] = {}
    name, above = "", ""
    for line in (f"{one.rstrip()}\n" for one in lines_of(rest)):
        if found := _KEY_LINE.fullmatch(line.rstrip()):
            name = found[1]
            blocks[name] = above + line
            above = ""
        elif not line.strip() or re.match(r" {0,2}#", line):
            above += line
        elif name:
            blocks[name] += above + line
            above = ""
    return head + images, blocks, above


def _entry(name: str, tag: LockedTag, before: str) -> str:
    """The entry, with the comments of `before`."""
    body = _body(tag)
    lines = [line.rstrip() for line in lines_of(before)]
    at = next((number for number, line in enumerate(lines) if _KEY_LINE.fullmatch(line)), -1)
    top = [*lines[: at + 1]] if at >= 0 else [f"  {name}:"]
    pending: list[str] = []
    for line in lines[at + 1 :]:
        content, comment = line.rstrip(), ""
        if content.lstrip().startswith("#"):
            pending.append(content)
            continue
        if found := _COMMENT_AFTER.fullmatch(content):
            content, comment = found[1], found[2]
        field = content.partition(":")[0]
        place = next((number for number, one in enumerate(body) if one.partition(":")[0] == field), None)
        if place is None:
            top += pending
        else:
            body[place:place] = pending
        pending = []
        if not comment:
            continue
        if content in body:
            body[body.index(content)] += f"  {comment}"
        else:
            top.append(f"    {comment}")
    return "\n".join([*top, *pending, *body]) + "\n"


def _body(tag: LockedTag) -> list[str]:
    lines = [f"    source: {tag.source}"]
    lines += [f"    gone: {_stamp(tag.gone)}"] if tag.gone else []
    if tag.hold:
        lines += ["    hold:", f"      reason: {_quoted(tag.hold.reason)}"]
        lines += [f"      until: {_stamp(tag.hold.until)}"] if tag.hold.until else []
    if tag.admitted:
        lines += ["    admitted:", *(f"      {line}" for line in _admitted(tag.admitted))]
    for name, items in (
        ("candidates", [_sighting(one) for one in tag.candidates]),
        ("previous", [_admitted(one) for one in tag.previous]),
    ):
        lines += [f"    {name}:"] if items else []
        for first, *others in items:
            lines += [f"      - {first}", *(f"        {line}" for line in others)]
    return lines


def _sighting(one: Sighting) -> list[str]:
    lines = [f"digest: {one.digest}", f"first_seen: {_stamp(one.first_seen)}"]
    lines += [f"platforms: [{', '.join(map(str, one.platforms))}]"] if one.platforms else []
    return lines + ([f"size: {one.size}"] if one.size is not None else [])


def _admitted(one: Admitted) -> list[str]:
    return [*_sighting(one.sighting), f"admitted: {_stamp(one.at)}"]


def _quoted(text: str) -> str:
    """YAML takes some characters that JSON may leave as they are, such as U+2028, for the end of a line."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).strftime(_TIME)


class _Reading:
    """One walk over the data; a faulty part becomes a finding, and the walk goes on."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def lock(self, data: Mapping[str, object]) -> Lock:
        """Every entry that can be read."""
        top = self._fields(data, (), ("lock_version", "images"))
        if top.get("lock_version") != VERSION or isinstance(top.get("lock_version"), bool):
            self._fault(("lock_version",), f"must be {VERSION}")
        images = self._mapping(top.get("images"), ("images",))
        for name in images:
            if not _KEY.fullmatch(name):
                self._fault(("images", name), "must be the `repository:tag` of an image in ECR")
        read = {name: self._tag(value, ("images", name)) for name, value in images.items()}
        return {name: tag for name, tag in read.items() if tag}

    def _tag(self, value: object, path: Path) -> LockedTag | None:
        data = self._fields(value, path, ("source",), ("gone", "admitted", "candidates", "previous", "hold"))
        source = self._parsed(data, path, "source", Reference.parse)
        if source is not None and source.digest:
            self._fault((*path, "source"), "must be a tag, not a digest")
        admitted = self._admitted(data["admitted"], (*path, "admitted")) if "admitted" in data else None
        candidates = self._list(data, path, "candidates", self._sighting)
        previous = self._list(data, path, "previous", self._admitted)
        hold = self._hold(data["hold"], (*path, "hold")) if "hold" in data else None
        known = [one.digest for one in candidates] + ([admitted.digest] if admitted else [])
        for number, one in enumerate(candidates):
            if known.count(one.digest) > 1:
                self._fault((*path, "candidates", number), "its digest is in this entry twice")
        gone = self._parsed(data, path, "gone", _time)
        return LockedTag(source, admitted, candidates, previous, hold, gone) if source else None

    def _sighting(self, value: object, path: Path) -> Sighting | None:
        return self._seen(self._fields(value, path, ("digest", "first_seen"), ("platforms", "size")), path)

    def _admitted(self, value: object, path: Path) -> Admitted | None:
        data = self._fields(value, path, ("digest", "first_seen", "admitted"), ("platforms", "size"))
        sighting = self._seen(data, path)
        at = self._parsed(data, path, "admitted", _time)
        return Admitted(sighting, at) if sighting and at else None

    def _seen(self, data: Mapping[str, object], path: Path) -> Sighting | None:
        digest = self._parsed(data, path, "digest", Digest.parse)
        first_seen = self._parsed(data, path, "first_seen", _time)
        platforms = self._list(data, path, "platforms", self._platform)
        size = data.get("size")
        if size is not None and (type(size) is not int or not 0 <= size < 1 << 63):
            self._fault((*path, "size"), "must be a number of bytes")
            size = None
        return Sighting(digest, first_seen, platforms, size) if digest and first_seen else None

    def _hold(self, value: object, path: Path) -> Hold | None:
        data = self._fields(value, path, ("reason",), ("until",))
        reason = self._parsed(data, path, "reason", str)
        until = self._parsed(data, path, "until", _time)
        return Hold(reason, until) if reason else None

    def _platform(self, value: object, path: Path) -> Platform | None:
        return self._parsed({"": value}, path, "", Platform.parse)

    def _parsed(self, data: Mapping[str, object], path: Path, field: str, parse: Callable[[str], T]) -> T | None:
        if field not in data:
            return None
        at = (*path, field) if field else path
        value = data[field]
        if not isinstance(value, str) or not value:
            self._fault(at, "must be text")
            return None
        try:
            return parse(value)
        except (OciError, ValueError) as error:
            self._fault(at, str(error))
            return None

    def _list(
        self, data: Mapping[str, object], path: Path, field: str, read: Callable[[object, Path], T | None]
    ) -> tuple[T, ...]:
        value = data.get(field, [])
        if not isinstance(value, list):
            self._fault((*path, field), "must be a list")
            return ()
        found = (read(one, (*path, field, number)) for number, one in enumerate(value))
        return tuple(one for one in found if one is not None)

    def _fields(
        self, value: object, path: Path, required: Iterable[str], optional: Iterable[str] = ()
    ) -> Mapping[str, object]:
        data = self._mapping(value, path)
        if data or value == {}:
            for name in required:
                if name not in data:
                    self._fault(path, f"`{name}` is missing")
        for name in data:
            if name not in (*required, *optional):
                self._fault((*path, name), "is not a field here")
        return data

    def _mapping(self, value: object, path: Path) -> Mapping[str, object]:
        if isinstance(value, dict):
            return value
        self._fault(path, "must be a mapping")
        return {}

    def _fault(self, path: Path, message: str) -> None:
        self.findings.append(Finding(path, message))


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError(f"{quoted(text)} is no time such as `2026-11-30T06:00:00Z`") from None
