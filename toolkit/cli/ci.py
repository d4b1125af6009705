"""What GitHub Actions and GitLab CI understand of a run: folded parts of the log, notes at lines of files, a summary.

GitHub's runner obeys commands that it finds in either stream (`::error file=…::message`, docs.github.com, "Workflow
commands"), so ours go to stderr, and stdout stays data. Its parser (actions/runner, `ActionCommand.cs`) takes a line
that begins with `::` after blanks, and an older spelling, `##[command]`, anywhere in a line: `LineWriter` lets neither
through. GitLab folds what stands between two marks ("Custom collapsible sections").
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TextIO

from toolkit.cli.render.lines import LineWriter, visible
from toolkit.cli.render.plain import PlainSink
from toolkit.events import NoticeGiven, RunFinished, RunStarted, Stamped

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
_LARGEST_SUMMARY = 1024 * 1024
"""GitHub drops the whole summary of a step that has more bytes."""
_MOST_ANNOTATIONS = 10
"""GitHub shows ten of each level for a step."""


class Service(Enum):
    """The service that runs this process."""

    NONE = ""
    GITHUB = "github"
    GITLAB = "gitlab"


def find_service(environment: Mapping[str, str] = os.environ) -> Service:
    """The service by the variable that it sets in every job."""
    if environment.get("GITHUB_ACTIONS") == "true":
        return Service.GITHUB
    return Service.GITLAB if environment.get("GITLAB_CI") == "true" else Service.NONE


class FoldingSink(PlainSink):
    """The log of events, folded away except while something else is written."""

    def __init__(self, stream: TextIO, service: Service, *, verbose: bool = False) -> None:
        super().__init__(stream, verbose=verbose)
        self._marks = LineWriter(stream)
        self._service = service
        self._command = ""
        self._number = 0
        self._is_open = False
        self._now = 0.0

    def receive(self, stamped: Stamped) -> None:
        """Write the lines of one event, in a fold."""
        self._now = stamped.time
        if isinstance(stamped.event, RunStarted):
            self._command = stamped.event.command
        is_end = isinstance(stamped.event, RunFinished)
        if not self._is_open and not is_end:
            self._open()
        super().receive(stamped)
        if is_end:
            self.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """A block outside of the fold; the next event begins another."""
        self.close()
        yield

    def _open(self) -> None:
        self._number += 1
        self._is_open = True
        title = f"toolkit {self._command}: {'progress' if self._number == 1 else 'progress, continued'}"
        if self._service is Service.GITHUB:
            self._marks.write_exact(f"::group::{title}")
        else:
            self._mark("section_start", "[collapsed=true]", title)

    def close(self) -> None:
        """End the fold, if one is open."""
        if self._is_open:
            self._is_open = False
            if self._service is Service.GITHUB:
                self._marks.write_exact("::endgroup::")
            else:
                self._mark("section_end", "", "")

    def _mark(self, kind: str, options: str, title: str) -> None:
        name = f"toolkit_{self._command.replace('-', '_')}_{os.getpid()}_{self._number}"
        self._marks.write_exact(f"\x1b[0K{kind}:{int(self._now)}:{name}{options}\r\x1b[0K{title}")


@dataclass(frozen=True, slots=True)
class Annotation:
    """A note for a line of a file; `line` 0 is the whole file, and no `file` the whole run."""

    is_error: bool
    title: str
    message: str
    file: str = ""
    line: int = 0


def annotation_lines(found: Iterable[Annotation], environment: Mapping[str, str] = os.environ) -> list[str]:
    """GitHub's commands for the annotations, each once: the first ten of each level."""
    workspace = environment.get("GITHUB_WORKSPACE", "")
    annotations = list(dict.fromkeys(found))
    errors = {one.message for one in annotations if one.is_error}
    lines = []
    for is_error in (True, False):
        level = [one for one in annotations if one.is_error is is_error and (is_error or one.message not in errors)]
        lines += [_command_line(one, workspace) for one in level[:_MOST_ANNOTATIONS]]
    return lines


def _command_line(one: Annotation, workspace: str) -> str:
    properties = {"file": _relative(one.file, workspace), "line": str(one.line) if one.line else "", "title": one.title}
    given = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{'error' if one.is_error else 'warning'}{' ' if given else ''}{given}::{_data(one.message)}"


def _relative(file: str, workspace: str) -> str:
    """The path as GitHub knows it, relative to the checkout."""
    if not file or not workspace:
        return file
    path, root = os.path.realpath(file), os.path.realpath(workspace)
    return Path(os.path.relpath(path, root)).as_posix() if path.startswith(root + os.sep) else file


def _data(text: str) -> str:
    shown = "\n".join(map(visible, text.split("\n")))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def write_summary(text: str, environment: Mapping[str, str] = os.environ) -> NoticeGiven | None:
    """Append Markdown to the summary of GitHub's step; a notice if that cannot be done.

    Nothing is written where stdout is the summary already.
    """
    path = environment.get(SUMMARY_VARIABLE)
    if not path or not text.strip():
        return None
    content = f"{text.strip()}\n\n".encode("utf-8", "backslashreplace")
    try:
        with Path(path).open("ab") as file:
            found = os.fstat(file.fileno())
            if os.path.samestat(found, os.fstat(1)):
                return None
            if found.st_size + len(content) > _LARGEST_SUMMARY:
                return _unwritten(path, "it would have more than 1 MiB, of which GitHub shows nothing")
            file.write(content)
    except OSError as error:
        return _unwritten(path, error.strerror or str(error))
    return None


def _unwritten(path: str, why: str) -> NoticeGiven:
    return NoticeGiven("summary.unwritten", f"the summary `{path}` cannot be written: {why}")
