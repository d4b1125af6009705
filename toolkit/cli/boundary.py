"""Where a run begins and ends: sinks are opened, every error becomes one message and one exit code.

The only place that catches `Exception`. An unexpected one is a bug: exit 1, with its traceback, unless the machine ran
out of something. `toolkit.cli.main` has a second `except`, for limits that are met before a command runs.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup, TyperOption
from typer.exceptions import TyperException

from toolkit import __version__
from toolkit.cli.options import Format
from toolkit.cli.process import EXHAUSTED, encode, exhausted, handle_interrupts
from toolkit.cli.render.json_lines import JsonLinesSink
from toolkit.cli.render.lines import LineWriter, reader_is_gone, send_to_nowhere, visible
from toolkit.cli.render.plain import PlainSink
from toolkit.cli.terraform_flags import hint_for, refuse_terraform_flags
from toolkit.errors import Interrupted, ManifestUnusable, ToolkitError, UsageError
from toolkit.events import EventStream, RunFinished, RunStarted, Sink, Stamped

if TYPE_CHECKING:
    from toolkit.plan.model import Plan
    from toolkit.report import CopyPreview, Report

T = TypeVar("T")


class ToolkitGroup(TyperGroup):
    """Turns usage errors into exit 64: Typer's own 2 means "changes present" here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and return the exit code, whatever `standalone_mode` says."""
        given = sys.argv[1:] if args is None else args
        try:
            options = list(_options(self))
            refuse_terraform_flags(
                given,
                known={name for option in options for name in option.opts},
                with_value={name for option in options if not option.is_flag for name in option.opts},
            )
            code = super().main(args, prog_name or "toolkit", complete_var, False, windows_expand_args, **extra)
        except TyperException as error:
            return _report_usage(_usage_error(error), given)
        except UsageError as error:
            return _report_usage(error, given)
        except typer.Abort:
            return Interrupted.exit_code
        except OSError as error:  # Typer could not write a text of its own, such as the help
            return _report_unwritten(error)
        except SystemExit as ending:
            if isinstance(
                ending.__context__, BrokenPipeError
            ):  # nobody reads the help to its end, which Typer makes a 1
                return 0
            raise
        return code if isinstance(code, int) else 0


def _options(command: Any) -> Iterator[TyperOption]:
    """The options of `command` and of every command below it that was built."""
    yield from (param for param in command.params if isinstance(param, TyperOption))
    for below in getattr(command, "commands", {}).values():
        yield from _options(below)


def _usage_error(error: TyperException) -> UsageError:
    context = getattr(error, "ctx", None)
    hint = (
        hint_for(getattr(error, "option_name", "")) or f"see `{context.command_path if context else 'toolkit'} --help`"
    )
    message = error.format_message().rstrip(".").replace(": Value error, ", ": ")  # pydantic's words, since Typer 0.29
    return UsageError("usage", message, hint=hint)


def _report_usage(usage: UsageError, arguments: Sequence[str]) -> int:
    match _asked_format(arguments):
        case Format.JSON:
            document = {"schema_version": 1, "exit_code": usage.exit_code, "error": error_document(usage)}
            LineWriter(sys.stdout).write(json.dumps(document))
        case Format.JSON_LINES:
            JsonLinesSink(sys.stdout).receive(Stamped(1, time.time(), _end_of_run(usage.exit_code, 0.0, usage)))
    _print_error(usage)
    return usage.exit_code


def _report_unwritten(error: OSError) -> int:
    send_to_nowhere(sys.stdout)
    if reader_is_gone(error):
        return 0
    where, hint = ("stdout", _hint_for(error)) if error.filename is None else (f"`{error.filename}`", None)
    loss = _OutputLost("output.lost", f"{where} cannot be written: {error.strerror}", hint=hint)
    _print_error(loss)
    return loss.exit_code


def _hint_for(error: OSError) -> str:
    return "leave stdout open and run again" if error.errno == errno.EBADF else "make room there and run again"


def _asked_format(arguments: Sequence[str]) -> str:
    """The format as it stands in the arguments, because Typer did not understand them."""
    found = re.search(r"(?:^| )--format[ =](\S+)", " ".join(arguments))
    return found[1] if found else os.environ.get("TOOLKIT_FORMAT", "")


def error_document(error: ToolkitError) -> dict[str, object]:
    """The error as data; a manifest's problems each on their own."""
    document: dict[str, object] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, ManifestUnusable):
        document["issues"] = [
            {"file": issue.file, "line": issue.line, "path": issue.path, "message": issue.message}
            for issue in error.issues
        ]
    return document


def _print_error(error: ToolkitError) -> None:
    lines = [f"error: {visible(error.message)} [{error.code}]"]
    if isinstance(error, ManifestUnusable):
        lines += [f"  {visible(str(issue))}" for issue in error.issues]
    if error.hint:
        lines.append(f"hint: {visible(error.hint)}")
    LineWriter(sys.stderr).write("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a run is shown.

    A brief run is over at once, so its beginning and end are not reported. `shows_unchanged`: a plan's text lists the
    images that stay as they are.
    """

    format: Format = Format.TEXT
    no_progress: bool = False
    verbose: bool = False
    is_brief: bool = False
    shows_unchanged: bool = False


class Run:
    """One command under way: where its events go and how its result reaches stdout."""

    def __init__(self, presentation: Presentation, stack: ExitStack) -> None:
        self.presentation = presentation
        self._lines = JsonLinesSink(sys.stdout) if presentation.format is Format.JSON_LINES else None
        self._live: Any = None
        self._out = LineWriter(sys.stdout)
        sinks: list[Sink] = []
        if self._lines is not None:
            sinks.append(self._lines)
        elif presentation.is_brief:
            pass
        elif _is_live(presentation):
            from rich.console import Console

            from toolkit.cli.render.live import LiveSink

            self._live = stack.enter_context(LiveSink(Console(stderr=True), verbose=presentation.verbose))
            sinks.append(self._live)
        else:
            sinks.append(PlainSink(sys.stderr, verbose=presentation.verbose))
        self._stream = EventStream(sinks)
        self.emit = self._stream.emit
        self.documents: dict[str, object] = {}

    def show_plan(self, plan: Plan) -> None:
        """Put the plan on stdout (json: with the end of the run)."""
        from toolkit.cli.render.plan_view import render_plan
        from toolkit.cli.render.serialise import plan_document

        self._show(
            "plan",
            lambda: plan_document(plan),
            lambda: render_plan(
                plan, width=width(), colour=has_colour(), shows_unchanged=self.presentation.shows_unchanged
            ),
        )

    def show_report(self, report: Report) -> None:
        """Put the report on stdout (json: with the end of the run)."""
        from toolkit.cli.render.report_view import render_report
        from toolkit.cli.render.serialise import report_document

        self._show(
            "report",
            lambda: report_document(report),
            lambda: render_report(report, width=width(), colour=has_colour()),
        )

    def show_previews(self, previews: Sequence[CopyPreview]) -> None:
        """Put what copying would do on stdout (json: with the end of the run)."""
        from toolkit.cli.render.preview_view import preview_document, render_previews

        self._show(
            "preview",
            lambda: preview_document(previews),
            lambda: render_previews(previews, width=width(), colour=has_colour()),
        )

    def show(self, kind: str, document: Mapping[str, object], text: str, *, is_exact: bool = False) -> None:
        """Put any other result on stdout; an exact text is for a program: nothing in it is escaped."""
        if is_exact:
            encode(sys.stdout, encoding="utf-8", errors="surrogateescape")
        self._show(kind, lambda: dict(document), lambda: text)

    def _show(self, kind: str, document: Callable[[], Mapping[str, object]], text: Callable[[], str]) -> None:
        if self.presentation.format is Format.JSON:
            self.documents[kind] = document()
        elif self._lines is not None:
            self._lines.write_result(kind, dict(document()))
        else:
            with self.paused():
                self._out.write(text().rstrip("\n"))

    def write_document(self, document: Mapping[str, object]) -> None:
        """Put the one JSON document of the run on stdout."""
        self._out.write(json.dumps(document, indent=2))

    @property
    def lost_output(self) -> OSError | None:
        """Why a part of the result could not be written; None also if the reader of stdout has gone."""
        return self._out.failure or (self._lines.failure if self._lines is not None else None)

    def ask(self, question: str) -> bool:
        """The user's answer, no unless it is yes. Raises KeyboardInterrupt when there is none."""
        return self._answer(lambda: typer.confirm(question, err=True))

    def ask_for_text(self, question: str) -> str:
        """What the user types, "" for nothing. Raises KeyboardInterrupt when there is no answer."""
        return self._answer(lambda: str(typer.prompt(question, default="", show_default=False, err=True)))

    def _answer(self, ask: Callable[[], T]) -> T:
        with self.paused():
            try:
                return ask()
            except typer.Abort as error:  # Ctrl-C, Ctrl-D and our signals; the cursor is still behind the question
                typer.echo(err=True)
                raise KeyboardInterrupt from error

    def paused(self) -> AbstractContextManager[object]:
        """A block in which nothing is drawn, so that a text can be written or a question asked."""
        return self._live.paused() if self._live is not None else nullcontext()


def _is_live(presentation: Presentation) -> bool:
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return is_terminal and not presentation.no_progress and presentation.format is Format.TEXT


def width() -> int:
    """How many columns a text has."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def has_colour() -> bool:
    """Whether stdout takes colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def execute(command: str, presentation: Presentation, body: Callable[[Run], int]) -> None:
    """Run `body` and exit with its code, or with that of the error that it raised."""
    started = time.monotonic()
    error: ToolkitError | None = None
    code = 0
    with ExitStack() as stack:
        run = Run(presentation, stack)
        run.emit(RunStarted(command=command, toolkit_version=__version__))
        try:
            with _signals_interrupt():
                code = body(run)
        except ToolkitError as failure:
            error = failure
        except KeyboardInterrupt:
            error = _interrupted()
        except Exception as failure:  # noqa: BLE001  the boundary
            # `__set_name__`, in the middle of an import, makes a RuntimeError of an interrupt.
            error = _interrupted() if isinstance(failure.__cause__, KeyboardInterrupt) else _unforeseen(failure)
        if error:
            code = error.exit_code
        run.emit(_end_of_run(code, time.monotonic() - started, error))
    if presentation.format is Format.JSON:
        result = {"schema_version": 1, "command": command, "exit_code": code}
        failed = {"error": error_document(error)} if error else {}
        run.write_document({**result, **failed, **run.documents})
    if error and (presentation.format is not Format.JSON_LINES or run.lost_output):
        _print_error(error)
    if run.lost_output:
        why = run.lost_output.strerror
        loss = _OutputLost(
            "output.lost",
            f"stdout cannot be written: {why}; the run went on and ended with exit code {code}",
            hint=_hint_for(run.lost_output),
        )
        _print_error(loss)
        code = code or loss.exit_code
    raise typer.Exit(code)


def _interrupted() -> Interrupted:
    return Interrupted("interrupted", "the run was interrupted", hint="run the same command again: it continues")


def _end_of_run(code: int, seconds: float, error: ToolkitError | None) -> RunFinished:
    return RunFinished(
        exit_code=code,
        seconds=round(seconds, 3),
        error_code=error.code if error else None,
        error_message=_message(error) if error else None,
        hint=error.hint if error else None,
    )


def _message(error: ToolkitError) -> str:
    if isinstance(error, ManifestUnusable) and error.issues:
        return f"{error.message}: " + "; ".join(str(issue) for issue in error.issues)
    return error.message


class _Bug(ToolkitError):
    exit_code = 1


class _Exhausted(ToolkitError):
    """The machine ran out of something. An exit code of its own would not help anybody to react."""

    exit_code = 1


def _unforeseen(failure: Exception) -> ToolkitError:
    sentence = exhausted(failure)
    if sentence is not None:
        return _Exhausted(EXHAUSTED, sentence, hint="raise its limits, or run it with less `--jobs`")
    LineWriter(sys.stderr).write(traceback.format_exc().rstrip())
    return _Bug("bug", f"this is a bug in toolkit: {type(failure).__name__}", hint="report it with the traceback above")


class _OutputLost(ToolkitError):
    """The work was done, but a program that reads the result must not take a part for the whole."""

    exit_code = 1


def exit_with_help(context: typer.Context) -> NoReturn:
    """Show the help, because no command was named."""
    LineWriter(sys.stderr).write(context.get_help())
    raise typer.Exit(UsageError.exit_code)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP end a run as Ctrl-C does: a pipeline that cancels a job gets the same care."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = handle_interrupts(interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
