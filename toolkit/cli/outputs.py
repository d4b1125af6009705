"""The files of `--output FORMAT=FILE`: a view of the result each, of this run or absent."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from toolkit.atomic_file import check_writable, write_atomically
from toolkit.errors import UsageError
from toolkit.oci.local_files import refuse_links


@dataclass(frozen=True, slots=True)
class Output:
    """A view and the file that it is written to."""

    format: StrEnum
    path: Path

    def write(self, text: str) -> None:
        """Put `text` into the file, whole or not at all. Raises OSError."""
        whole = text.rstrip("\n") + "\n"
        write_atomically(self.path, whole.encode("utf-8", "backslashreplace"))


def open_outputs(texts: Sequence[str], formats: type[StrEnum], others: Iterable[Path | None]) -> tuple[Output, ...]:
    """The outputs that `texts` name, each of the `formats`, with no file there yet.

    What an earlier run left is removed, so that nobody takes it for a result of this one if this one is killed. Raises
    UsageError before anything is removed, also for a file that the run reads or writes anyway (`others`).
    """
    outputs = [_parse(text, formats) for text in texts]
    taken = {os.path.realpath(path) for path in others if path is not None}
    for output in outputs:
        place = os.path.realpath(output.path)
        if place in taken:
            raise _refused(f"`{output.path}` is named for something else too", "name a file of its own")
        taken.add(place)
        if why := why_unwritable(output.path):
            raise _refused(f"`{output.path}` cannot be written: {why}", "name another file")
    for output in outputs:
        output.path.unlink(missing_ok=True)
    return tuple(outputs)


def why_unwritable(path: Path) -> str | None:
    """Why no file can be put at `path`; None if one can.

    A pull request may have put links into the tree, so that a result would replace a file somewhere else.
    """
    try:
        refuse_links(path)
    except OSError as error:
        return f"`{error.filename}` is a link"
    try:
        check_writable(path)
    except OSError as error:
        return error.strerror
    return None


def _parse(text: str, formats: type[StrEnum]) -> Output:
    form, equals, name = text.partition("=")
    if not equals or not name:
        raise _refused(f"`{text}` is not FORMAT=FILE", "write it as in `json=result.json`")
    if form not in list(formats):
        raise _refused(f"`{form}` is no format of this command", f"take one of {', '.join(formats)}")
    if name == "-":
        raise _refused(f"`{text}` names no file", f"use `--format {form}` for stdout")
    return Output(formats(form), Path(name))


def _refused(message: str, hint: str) -> UsageError:
    return UsageError("usage.output", f"--output: {message}", hint=hint)
