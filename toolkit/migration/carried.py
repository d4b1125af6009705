"""What a migration has found: entries for the manifest, and remarks about what the manifest cannot say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from toolkit.errors import Refused
from toolkit.manifest.document import Document, NotYaml, Path, format_path, read_document
from toolkit.manifest.grammar import quoted
from toolkit.oci.reference import Repository


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that the manifest does not say, or (`is_carried`) that works in another way from now on.

    `where` is a file or a service, `line` counts from 1. `what` names the thing; it never has a secret.
    """

    where: str
    line: int | None
    what: str
    reason: str
    instead: str
    is_carried: bool = False

    def __str__(self) -> str:
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        verdict = "carried over, but" if self.is_carried else "not carried over:"
        return f"{place}: {quoted(self.what)}: {verdict} {self.reason}; {self.instead}"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of `images`, in the manifest's words; `origin` says where it comes from."""

    fields: Mapping[str, object]
    origin: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """The parts of a manifest. `waiting` are entries that lack their `source`, which only the user can know."""

    where: str
    images: Sequence[Entry] = ()
    waiting: Sequence[Entry] = ()
    remarks: Sequence[Remark] = ()
    registries: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    repositories: Mapping[str, object] = field(default_factory=dict)
    adopt: Sequence[str] = ()
    platforms: str | None = None
    region: str | None = None
    account_id: str | None = None


def familiar(repository: Repository) -> str:
    """The name as people write it in a Dockerfile: `nginx`."""
    return repository.with_tag("x").familiar.removesuffix(":x")


class ForeignFile:
    """A YAML file of another tool. Scalars that look like numbers stay text, as those tools read them."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        try:
            document = read_document(text)
        except NotYaml as error:
            raise Refused("init.not_understood", f"`{name}:{error.line}` is not YAML: {error.message}") from error
        if document is None or not isinstance(document.data, dict):
            raise Refused("init.not_understood", f"`{name}` has no mapping")
        self._document: Document = document
        self.data: Mapping[str, object] = {key: self._plain(one, (key,)) for key, one in document.data.items()}

    def _plain(self, value: object, path: Path) -> object:
        if isinstance(value, dict):
            return {key: self._plain(one, (*path, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self._plain(one, (*path, number)) for number, one in enumerate(value)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._document.place(path).text
        return value

    def line(self, *path: str | int) -> int:
        """The line of the value at `path`."""
        return self._document.place(path).line

    def remark(self, path: Path, reason: str, instead: str, *, is_carried: bool = False) -> Remark:
        """A remark about the value at `path`."""
        return Remark(self.name, self.line(*path), format_path(path), reason, instead, is_carried)

    def faults(self) -> Iterator[Remark]:
        """What the YAML itself has that nobody can rely on, such as a key that is given twice."""
        for finding in self._document.findings:
            line = (finding.place or self._document.place(finding.path)).line
            yield Remark(self.name, line, format_path(finding.path), finding.message, "correct the file and run again")
