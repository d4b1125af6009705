"""Where a run begins and ends: sinks are opened, every error becomes one message and one exit code.

The only place that catches `Exception`. An unexpected one is a bug: exit 1, with its traceback, unless the machine ran
out of something. `toolkit.cli.main` has a second `except`, for limits that are met before a command runs.
"""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup, TyperOption
from typer.exceptions import TyperException

from toolkit import __version__
from toolkit.cli.ci import Annotation, FoldingSink, Service, annotation_lines, find_service, write_summary
from toolkit.cli.completion import VARIABLE, complete_in_bash
from toolkit.cli.options import Format, LogFormat, ScanFormat
from toolkit.cli.outputs import Output, open_outputs
from toolkit.cli.process import EXHAUSTED, encode, exhausted, handle_interrupts
from toolkit.cli.render.json_lines import JsonLinesSink
from toolkit.cli.render.lines import LineWriter, reader_is_gone, send_to_nowhere
from toolkit.cli.render.plain import PlainSink
from toolkit.cli.render.result import Look, Other, Result, error_text, render, result_document, text_of, value_document
from toolkit.cli.terraform_flags import hint_for, refuse_terraform_flags
from toolkit.cli.variables import name_variable, refuse_variables, variable_in_use, with_variable
from toolkit.errors import Interrupted, ManifestUnusable, ToolkitError, UsageError
from toolkit.events import EventStream, NoticeGiven, RunFinished, RunStarted, Sink, Stamped

if TYPE_CHECKING:
    from toolkit.codebuild.scan_report import ScanReport
    from toolkit.plan.model import Plan
    from toolkit.plan.pruning import PrunePlan
    from toolkit.plan.status import StatusReport
    from toolkit.report import CopyPreview, Finding, LockChanges, Report

T = TypeVar("T")


class ToolkitGroup(TyperGroup):
    """Turns usage errors into exit 64: Typer's own 2 means "changes present" here. Gives options their variables."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for option in _options(self):
            name_variable(option)

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
        if os.environ.get(VARIABLE) == "complete_bash":
            complete_in_bash(lambda: super(ToolkitGroup, self).main(args, "toolkit", None, False))
            return 0
        try:
            options = list(_options(self))
            refuse_terraform_flags(
                given,
                known={name for option in options for name in option.opts},
                with_value={name for option in options if not option.is_flag for name in option.opts},
            )
            if not {"--help", "-h"} & set(given):
                refuse_variables(options, os.environ)
            code = super().main(args, prog_name or "toolkit", complete_var, False, windows_expand_args, **extra)
        except TyperException as error:
            return self._report_usage(_usage_error(error), given)
        except UsageError as error:
            return self._report_usage(error, given)
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

    def _report_usage(self, usage: UsageError, arguments: Sequence[str]) -> int:
        match _asked_format(arguments):
            case Format.JSON:
                command = next((word for word in arguments if word in self.commands), "toolkit")
                result = Result(command, usage.exit_code, error=error_document(usage))
                LineWriter(sys.stdout).write(json.dumps(result_document(result), indent=2))
            case Format.JSON_LINES:
                JsonLinesSink(sys.stdout).receive(Stamped(1, time.time(), _end_of_run(usage.exit_code, 0.0, usage)))
        _print_error(usage)
        return usage.exit_code


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
    message = re.sub(r" \(env var: [^)]*\)", "", message)  # of every option that has one, wherever the value comes from
    if variable := variable_in_use(context, getattr(error, "param", None)):
        message = f"`{variable}`: {message}"
    return UsageError("usage", message, hint=hint)


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
        document["issues"] = [asdict(issue) for issue in error.issues]
    return document


def _print_error(error: ToolkitError) -> None:
    LineWriter(sys.stderr).write(error_text(error_document(error)))


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a run is shown.

    `format` is a member of the enumeration of the command's formats. A brief run is over at once, so its beginning and
    end are not reported. `shows_unchanged` and `has_places` are those of `Look`. `log` is what stderr carries, and
    `manifest` the file that the run is about. `outputs` are `FORMAT=FILE`, none of which may be one of `files`, which
    the run reads or writes besides.
    """

    format: StrEnum = Format.TEXT
    no_progress: bool = False
    verbose: bool = False
    is_brief: bool = False
    shows_unchanged: bool = False
    has_places: bool = False
    log: LogFormat = LogFormat.TEXT
    manifest: Path | None = None
    outputs: Sequence[str] = ()
    files: Sequence[Path | None] = ()

    def look(self, *, width: int = 100, colour: bool = False) -> Look:
        """How its texts look."""
        return Look(width, colour, self.shows_unchanged, self.has_places)


class Run:
    """One command under way: where its events go and how its result reaches stdout."""

    def __init__(self, presentation: Presentation, stack: ExitStack) -> None:
        self.presentation = presentation
        self._service = find_service()
        self._notices = _Notices()
        self._lines = JsonLinesSink(sys.stdout) if presentation.format == Format.JSON_LINES else None
        self._recorded = io.StringIO()
        self._live: Any = None
        self._out = LineWriter(sys.stdout)
        sinks: list[Sink] = [self._notices]
        if self._lines is not None:
            sinks.append(self._lines)
        if presentation.log is LogFormat.JSON:
            sinks.append(JsonLinesSink(sys.stderr))
        elif self._lines is not None:
            pass
        elif presentation.is_brief:
            sinks.append(PlainSink(sys.stderr, is_brief=True))
        elif self._service is not Service.NONE:
            self._live = FoldingSink(sys.stderr, self._service, verbose=presentation.verbose)
            sinks.append(self._live)
        elif _is_live(presentation):
            from rich.console import Console

            from toolkit.cli.render.live import LiveSink

            self._live = stack.enter_context(LiveSink(Console(stderr=True), verbose=presentation.verbose))
            sinks.append(self._live)
        else:
            sinks.append(PlainSink(sys.stderr, verbose=presentation.verbose))
        self._recorder = JsonLinesSink(self._recorded)
        if any(text.startswith(f"{Format.JSON_LINES}=") for text in presentation.outputs):
            sinks.append(self._recorder)
        self._stream = EventStream(sinks)
        self.emit = self._stream.emit
        self._values: dict[str, Any] = {}
        self._shown: Result | None = None
        self._outputs: tuple[Output, ...] = ()

    def open_outputs(self) -> None:
        """Prepare the files of `--output`. Raises UsageError."""
        given = self.presentation
        self._outputs = open_outputs(given.outputs, type(given.format), given.files)

    @property
    def output_formats(self) -> tuple[str, ...]:
        """What the files of `--output` are written as."""
        return tuple(output.format for output in self._outputs)

    def show_plan(self, plan: Plan) -> None:
        """Put the plan on stdout: at once as text or JSON lines, else with the end of the run."""
        self._show("plan", plan)

    def show_report(self, report: Report) -> None:
        """Put the report on stdout, as `show_plan` does."""
        self._show("report", report)

    def show_previews(self, previews: Sequence[CopyPreview]) -> None:
        """Put what copying would do on stdout, as `show_plan` does."""
        self._show("preview", tuple(previews))

    def show_scan(self, report: ScanReport) -> None:
        """Put what a scan found on stdout, as `show_plan` does."""
        self._show("scan", report)

    def show_diagnosis(self, findings: tuple[Finding, ...]) -> None:
        """Put what `doctor` found on stdout, as `show_plan` does."""
        self._show("diagnosis", findings)

    def show_status(self, report: StatusReport) -> None:
        """Put the state of the images on stdout, as `show_plan` does."""
        self._show("status", report)

    def show_prune(self, plan: PrunePlan) -> None:
        """Put what `prune` deletes on stdout, as `show_plan` does."""
        self._show("prune", plan)

    def show_lock(self, changes: LockChanges) -> None:
        """Put what became of the lock on stdout, as `show_plan` does."""
        self._show("lock", changes)

    def show(self, kind: str, document: Mapping[str, object], text: str, *, is_exact: bool = False) -> None:
        """Put any other result on stdout; an exact text is for a program: nothing in it is escaped."""
        if is_exact:
            encode(sys.stdout, encoding="utf-8", errors="surrogateescape")
        self._show(kind, Other(document, text, is_exact))

    def show_result(self, result: Result) -> None:
        """Put the result of another run on stdout, in place of this run's own."""
        for kind, value in result.values.items():
            self._show(kind, value)
        if result.error and self.presentation.format == Format.TEXT:
            self._out.write(error_text(result.error))
        self._shown = result

    def _show(self, kind: str, value: Any) -> None:
        self._values[kind] = value
        if Format.JSON_LINES in self.output_formats:
            self._recorder.write_result(kind, value_document(kind, value))
        if self._lines is not None:
            self._lines.write_result(kind, value_document(kind, value))
        elif self.presentation.format == Format.TEXT:
            with self.paused():
                look = self.presentation.look(width=width(), colour=has_colour())
                write = self._out.write_exact if isinstance(value, Other) and value.is_exact else self._out.write
                write(text_of(kind, value, look).rstrip("\n"))

    def summarise(self, result: Result) -> None:
        """Add the result to the summary of GitHub's step; that this failed is a notice."""
        if self._service is not Service.GITHUB or self._shown is not None:
            return
        try:
            notice = write_summary(render(result, ScanFormat.MARKDOWN, self.presentation.look()) or "")
        except Exception as failure:  # noqa: BLE001  a summary that cannot be made is no reason to fail
            notice = NoticeGiven("summary.unwritten", f"the summary cannot be made: {type(failure).__name__}")
        if notice:
            self.emit(notice)

    def annotate(self, result: Result) -> None:
        """Tell GitHub which lines of which files the result is about."""
        if self._service is not Service.GITHUB or self.presentation.log is LogFormat.JSON or self._shown is not None:
            return
        from toolkit.cli.annotations import annotations_of

        found = [*annotations_of(result, self.presentation.manifest), *self._notices.annotations]
        for line in annotation_lines(found):
            LineWriter(sys.stderr).write_exact(line)

    def result(self, command: str, code: int, error: ToolkitError | None) -> Result:
        """What the run ended with."""
        return Result(command, code, self._values, error_document(error) if error else None)

    def finish(self, own: Result) -> Iterator[ToolkitError]:
        """Write the views that are made when a run ends, on stdout and in files; yields what could not be written."""
        result = own if own.error or self._shown is None else self._shown
        look = self.presentation.look()
        if self.presentation.format not in (Format.TEXT, Format.JSON_LINES):
            text = render(result, self.presentation.format, look)
            if text:
                self._out.write(text.rstrip("\n"))
        for output in self._outputs:
            is_stream = output.format == Format.JSON_LINES
            text = self._recorded.getvalue() if is_stream else render(result, output.format, look)
            try:
                if text is not None:
                    output.write(text)
            except OSError as failure:
                yield _OutputLost("output.lost", f"`{output.path}` cannot be written: {failure.strerror}")

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


class _Notices:
    """Keeps the notices of a run."""

    def __init__(self) -> None:
        self.annotations: list[Annotation] = []

    def receive(self, stamped: Stamped) -> None:
        """Keep one event, if it is a notice."""
        event = stamped.event
        if isinstance(event, NoticeGiven):
            text = f"{event.message}\nhint: {event.hint}" if event.hint else event.message
            self.annotations.append(Annotation(False, event.code, text))


def _is_live(presentation: Presentation) -> bool:
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return is_terminal and not presentation.no_progress and presentation.format == Format.TEXT


def width() -> int:
    """How many columns a text has."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100


def has_colour() -> bool:
    """Whether stdout takes colours."""
    is_asked_not_to = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not is_asked_not_to and find_service() is Service.NONE


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
                run.open_outputs()
                code = body(run)
        except UsageError as failure:
            error = with_variable(failure)
        except ToolkitError as failure:
            error = failure
        except KeyboardInterrupt:
            error = _interrupted()
        except Exception as failure:  # noqa: BLE001  the boundary
            # `__set_name__`, in the middle of an import, makes a RuntimeError of an interrupt.
            error = _interrupted() if isinstance(failure.__cause__, KeyboardInterrupt) else _unforeseen(failure)
        if error:
            code = error.exit_code
        result = run.result(command, code, error)
        run.summarise(result)
        run.emit(_end_of_run(code, time.monotonic() - started, error))
    try:
        losses = list(run.finish(result))
    except Exception as failure:  # noqa: BLE001  a view that cannot be made
        losses = [_unforeseen(failure)]
    is_told = presentation.log is LogFormat.JSON or (presentation.format == Format.JSON_LINES and not run.lost_output)
    if error and not is_told:
        _print_error(error)
    try:
        run.annotate(result)
    except Exception as failure:  # noqa: BLE001  as above
        losses.append(_unforeseen(failure))
    if run.lost_output:
        why = run.lost_output.strerror
        losses.append(
            _OutputLost(
                "output.lost",
                f"stdout cannot be written: {why}; the run went on and ended with exit code {code}",
                hint=_hint_for(run.lost_output),
            )
        )
    for loss in losses:
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
