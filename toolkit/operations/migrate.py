"""Migrate: writes a first manifest from what another way of mirroring says, and lists what it cannot carry over."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from toolkit.errors import ManifestUnusable, Refused, UsageError
from toolkit.manifest.document import NewImage
from toolkit.manifest.loader import loads
from toolkit.migration.carried import Carried, Entry, ForeignFile, Remark
from toolkit.migration.existing import InEcr, UpstreamName, carry_existing, remarks_on, upstream_of
from toolkit.oci.local_files import read_regular
from toolkit.operations.init import refuse_to_overwrite
from toolkit.operations.services import AWS_LOOK_UPS
from toolkit.operations.whole_file import write_whole
from toolkit.plan.desired import Desired
from toolkit.plan.observed import ExistingRepository, PullThroughRule, StoredTag
from toolkit.seed.worker_pool import asking

_LONGEST_FILE = 8 * 1024 * 1024
_ISSUE = re.compile(r"(images|registries)\[(\d+|\"[^\"]*\")\]|registries\.([^ ]+?)(?:\.(?:endpoint|insecure).*)?$")


class Ecr(Protocol):
    """What is in ECR."""

    def repositories(self) -> Mapping[str, str]:
        """The ARN of each repository by its name."""

    def repository(self, name: str) -> ExistingRepository | None:
        """The repository with its tags and policies; None if it does not exist."""

    def tags(self, repository: str) -> Mapping[str, StoredTag]:
        """Every tag of a repository."""

    def pull_through_rules(self) -> Sequence[PullThroughRule]:
        """The pull-through cache rules of the region."""


@dataclass(frozen=True, slots=True)
class Target:
    """The file to write and its head; what is None follows from what is carried over."""

    manifest: Path
    name: str
    region: str | None = None
    overwrites: bool = False


@dataclass(frozen=True, slots=True)
class Migrated:
    """The numbers of entries that were written and that wait for their `source`, and every remark."""

    images: int
    waiting: int
    remarks: tuple[Remark, ...] = field(default=())


def read_foreign(path: Path) -> ForeignFile:
    """The file of another tool. Raises Refused."""
    try:
        text = read_regular(path, _LONGEST_FILE + 1).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("init.not_understood", f"`{path}` is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Refused("init.unreadable", f"`{path}` cannot be read: {reason}") from error
    if len(text) > _LONGEST_FILE:
        raise Refused("init.not_understood", f"`{path}` has more than {_LONGEST_FILE:,} bytes")
    return ForeignFile(str(path), text)


def existing_repositories(ecr: Ecr, pattern: str, upstreams: Sequence[UpstreamName], desired: Desired) -> Carried:
    """What the repositories of the account say whose names fit `pattern`. Raises AccessDenied, Refused."""
    names = [name for name in sorted(ecr.repositories()) if fnmatchcase(name, pattern)]
    if not names:
        raise Refused("init.nothing", f"no repository of the account fits `{pattern}` in `{desired.region}`")
    return carry_existing(_look_up(ecr, names), upstreams, desired)


def pull_through_repositories(ecr: Ecr, desired: Desired) -> Carried:
    """What the repositories below the account's pull-through cache rules say. Raises AccessDenied, Refused."""
    rules = sorted(ecr.pull_through_rules(), key=lambda rule: len(rule.prefix), reverse=True)  # the nearest first
    if not rules:
        message = f"the account has no pull-through cache rule in `{desired.region}`"
        raise Refused("init.nothing", message, hint="name the region with `--region`")
    upstreams = [upstream_of(rule) for rule in rules]
    names = [name for name in sorted(ecr.repositories()) if any(one.of(name) for one in upstreams)]
    carried = carry_existing(_look_up(ecr, names), upstreams, desired)
    return replace(carried, remarks=[*carried.remarks, *(one for rule in rules for one in remarks_on(rule))])


def _look_up(ecr: Ecr, names: Sequence[str]) -> list[InEcr]:
    def look(name: str) -> InEcr | None:
        found = ecr.repository(name)
        return InEcr(found, tuple(ecr.tags(name))) if found else None

    with asking(AWS_LOOK_UPS) as pool:
        futures = [pool.ask(lambda name=name: look(name)) for name in names]  # type: ignore[misc]
        return [found for future in futures if (found := future.result()) is not None]


def migrate(carried: Carried, target: Target) -> Migrated:
    """Write the manifest, unless there is no entry for it. Raises Refused if it exists, UsageError for a bad value."""
    refuse_to_overwrite(target.manifest, overwrites=target.overwrites)
    carried, text = _valid(carried, target)
    if carried.images or carried.waiting:
        write_whole(target.manifest, text)
    return Migrated(len(carried.images), len(carried.waiting), tuple(carried.remarks))


def _valid(carried: Carried, target: Target) -> tuple[Carried, str]:
    """`carried` without what the manifest does not take, each as a remark, and the text of the rest."""
    while True:
        text = _text(carried, target)
        try:
            loads(text, str(target.manifest))
        except ManifestUnusable as error:
            left = _without_faults(carried, error)
            if left is None:
                why = "; ".join(f"{issue.path} {issue.message}" for issue in error.issues)
                raise UsageError(
                    "usage.value",
                    f"the manifest would not be valid: {why or error.message}",
                    hint="give `--name` and `--region` other values",
                ) from error
            carried = left
        else:
            return carried, text


def _without_faults(carried: Carried, error: ManifestUnusable) -> Carried | None:
    """`carried` without the entries that `error` is about; None if it is about something else."""
    images, registries, remarks = dict(enumerate(carried.images)), dict(carried.registries), list(carried.remarks)
    for issue in error.issues:
        found = _ISSUE.match(issue.path)
        if found is None:
            return None
        if found[1] == "images":
            entry = images.pop(int(found[2]), None)
            if entry is None:
                continue  # its second fault
            what, line = f"{entry.fields['source']}", entry.line
        else:
            what, line = (found[3] or found[2]).strip('"'), None
            registries.pop(what, None)
        remarks.append(Remark(carried.where, line, what, issue.message, "write it by hand"))
    if len(images) == len(carried.images) and len(registries) == len(carried.registries):
        return None
    return replace(carried, images=list(images.values()), registries=registries, remarks=remarks)


# The text


def _text(carried: Carried, target: Target) -> str:
    aws: dict[str, object] = {"region": target.region or carried.region or "us-east-1"}
    if carried.account_id:
        aws["account_id"] = carried.account_id
    head: dict[str, object] = {"version": 1, "name": target.name, "aws": aws}
    if carried.platforms:
        head["platforms"] = carried.platforms
    if carried.repositories:
        head["repositories"] = dict(carried.repositories)
    parts = [f"# Made by `toolkit init` from {carried.where}; every field: `toolkit schema`.\n", _dump(head)]
    if carried.registries:
        parts.append(f"\n{_dump({'registries': {host: dict(one) for host, one in carried.registries.items()}})}")
    if carried.adopt:
        parts.append("\n# These exist, or may: the first apply takes them over.\n")
        parts.append(_dump({"adopt": list(carried.adopt)}))
    parts.append("\nimages:\n" if carried.images else "\nimages: []\n")
    parts += [_entry_text(entry) for entry in carried.images]
    if carried.waiting:
        first = "" if carried.images else "; take the `[]` away"
        parts.append(f"\n  # To be filled in, the upstream for UPSTREAM and the tags, and then uncommented{first}.\n")
        parts += [re.sub(r"^  (?!#)", "  # ", _entry_text(entry), flags=re.MULTILINE) for entry in carried.waiting]
    return "".join(parts)


def _entry_text(entry: Entry) -> str:
    is_short = entry.fields.keys() == {"source"}
    text = f"- {NewImage(str(entry.fields['source'])).text}" if is_short else _dump([dict(entry.fields)])
    return "".join(f"  {line}\n" for line in (f"# {entry.origin}", *text.splitlines()))


class _WithNull(RoundTripRepresenter):
    """Writes `null`, which people see, instead of nothing."""


_WithNull.add_representer(
    type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
)


def _dump(value: object) -> str:
    yaml = YAML()
    yaml.default_flow_style = None  # the innermost in one line
    yaml.width = 2**16
    yaml.indent(mapping=2, sequence=2, offset=0)
    yaml.Representer = _WithNull
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()
