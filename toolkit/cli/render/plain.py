"""Events as lines of text for a pipeline's log. The live display prints finished facts in the same words."""

from __future__ import annotations

from typing import TextIO

from toolkit import events
from toolkit.cli.render.amounts import format_count, format_duration, format_size
from toolkit.cli.render.lines import LineWriter, visible, visible_lines

# Terraform reports a running change about every 10 s: a threshold of 10 would drop every other report.
_PROGRESS_SECONDS = 9.5

# A wait for pulls takes hours, and nothing can be done about it.
_WAIT_SECONDS = 600.0

# A shorter one is over before anybody could do something about it.
_LONG_PAUSE = 5.0

_LABEL_WIDTH = len("unchanged")


class PlainSink:
    """Writes every fact at once, and for long work one line in ten seconds for each image or resource.

    `verbose` adds the start of each resource change and short pauses before a retry; a brief log leaves out when the
    run began and ended. Times are those of the events.
    """

    def __init__(self, stream: TextIO, *, verbose: bool = False, is_brief: bool = False) -> None:
        self._writer = LineWriter(stream)
        self._verbose = verbose
        self._is_brief = is_brief
        self._last_spoken: dict[str, float] = {}

    def receive(self, stamped: events.Stamped) -> None:
        """Write the lines of one event, if it is due."""
        event = stamped.event
        if event.ephemeral and not self._is_due(event, stamped.time):
            return
        if self._is_brief and isinstance(event, events.RunStarted | events.RunFinished):
            return
        self._note_time(event, stamped.time)
        if self._verbose or not is_detail(event):
            self._writer.write(*fact_lines(event))

    def _is_due(self, event: events.Event, now: float) -> bool:
        pause = _WAIT_SECONDS if isinstance(event, events.BudgetAwaited) else _PROGRESS_SECONDS
        return now - self._last_spoken.setdefault(_subject(event), now) >= pause

    def _note_time(self, event: events.Event, now: float) -> None:
        match event:
            case events.ImageFinished() | events.ImageFailed() | events.ImagePostponed():
                self._last_spoken.pop(event.image, None)
            case events.InfraChangeFinished() | events.InfraChangeFailed():
                self._last_spoken.pop(event.address, None)
            case _ if subject := _subject(event):
                self._last_spoken[subject] = now


def is_detail(event: events.Event) -> bool:
    """Whether `event` is left out of a log that was not asked to be verbose."""
    match event:
        case events.InfraChangeStarted():
            return True
        case events.RetryScheduled():
            return event.seconds < _LONG_PAUSE
    return False


def fact_lines(event: events.Event) -> list[str]:
    """The words for `event`: a label of fixed width, its object, the facts; errors, warnings and hints go by name."""
    match event:
        case events.RunStarted():
            return [_labelled("run", f"toolkit {event.toolkit_version}: {event.command}")]
        case events.RunFinished():
            # The boundary prints the error, in full and last.
            return [_labelled("finished", f"exit {event.exit_code} after {format_duration(event.seconds)}")]
        case events.StepStarted():
            total = f" ({event.total})" if event.total is not None else ""
            return [_labelled("start", f"{event.step}{total}{_after_colon(event.detail)}")]
        case events.StepFinished():
            return [_labelled("done", f"{event.step} in {format_duration(event.seconds)}{_after_colon(event.detail)}")]
        case events.NoticeGiven():
            return [f"notice: {visible(event.message)} [{visible(event.code)}]", *_hint(event.hint)]
        case events.DiagnosticReported():
            return _diagnostic(event)
        case events.RetryScheduled():
            due = f"{event.host} in {format_duration(event.seconds)} (attempt {event.attempt}): {event.reason}"
            return [_labelled("retry", due)]
        case events.BudgetAwaited():
            return [_labelled("wait", _awaited(event))]
        case events.BuildChanged():
            return [_labelled("build", f"{event.build}: {event.status}")]
    return _infra_change(event) or _image(event)


def _awaited(event: events.BudgetAwaited) -> str:
    images = f"{format_count(event.images, 'image')} from {event.registry}"
    clock = f"{format_duration(event.seconds)} of at most {format_duration(event.window_seconds)}"
    return f"{images}: {event.remaining} of {event.limit} pulls are left; {clock}"


def _infra_change(event: events.Event) -> list[str]:
    match event:
        case events.InfraChangeStarted():
            return [_labelled(event.action, f"{event.address} started")]
        case events.InfraChangeProgressed():
            return [_labelled(event.action, f"{event.address} under way for {format_duration(event.seconds)}")]
        case events.InfraChangeFinished():
            return [_labelled(event.action, f"{event.address} done in {format_duration(event.seconds)}")]
        case events.InfraChangeFailed():
            after = format_duration(event.seconds)
            return [f"error: {visible(event.action)} of `{visible(event.address)}` failed after {after}"]
    return []


def _image(event: events.Event) -> list[str]:
    match event:
        case events.ImageStarted():
            return [_labelled("copy", f"{event.image} from {event.source} to {event.destination}")]
        case events.ImageProgressed():
            done, total = event.done_bytes, event.total_bytes
            share = f"{100 * done // total}% " if total else ""
            return [_labelled("copy", f"{event.image} {share}({format_size(done)} of {format_size(total)})")]
        case events.ImageFinished():
            amount = f"{format_size(event.moved_bytes)} of {format_size(event.total_bytes)} moved"
            facts = f"{amount} in {format_duration(event.seconds)}" if event.total_bytes else ""
            return [_labelled(event.status, f"{event.image} {event.digest} {facts}".rstrip())]
        case events.ImageFailed():
            failure = f"error: {visible(event.image)}: {visible(event.message)} [{visible(event.code)}]"
            return [failure, *_hint(event.hint)]
        case events.ImagePostponed():
            return [_labelled("postponed", f"{event.image}: {event.message} [{event.code}]")]
    raise TypeError(f"no words for `{event.name}`")


def _diagnostic(event: events.DiagnosticReported) -> list[str]:
    address = f" ({visible(event.address)})" if event.address else ""
    detail = [f"  {line}".rstrip() for line in visible_lines(event.detail)] if event.detail else []
    return [f"{visible(event.severity)}: {visible(event.summary)}{address}", *detail, *_hint(event.hint)]


def _hint(hint: str | None) -> list[str]:
    return [f"hint: {visible(hint)}"] if hint else []


def _labelled(label: str, facts: str) -> str:
    return f"{visible(label):<{_LABEL_WIDTH}} {visible(facts)}"


def _after_colon(detail: str) -> str:
    return f": {detail}" if detail else ""


def _subject(event: events.Event) -> str:
    """The image or resource whose progress is reported; "" for other events."""
    match event:
        case events.ImageStarted() | events.ImageProgressed():
            return event.image
        case events.InfraChangeStarted() | events.InfraChangeProgressed():
            return event.address
        case events.BudgetAwaited():
            return f"pulls at {event.registry}"
    return ""
