"""Events on a terminal: facts scroll by, and running work is drawn below them. The one module that imports rich.

Nothing but the cursor's visibility is changed on the terminal, and leaving the context gives it back. Output of others
is not captured: stdout may be a file, and rich would send it to the terminal instead.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from toolkit import events
from toolkit.cli.render.amounts import format_count, format_duration, format_size
from toolkit.cli.render.lines import visible
from toolkit.cli.render.plain import fact_lines, is_detail

# The steps whose `total` counts images.
IMAGE_STEPS = frozenset({"seed", "copy"})

_FRAMES = "-\\|/"
_FRAMES_PER_SECOND = 8
_RATE_SECONDS = 10.0
_NAME_WIDTH = 60
_BAR_WIDTH = 24
_AMOUNT_WIDTH = 20
_STYLES = {
    "error:": "bold red",
    "warning:": "yellow",
    "notice:": "yellow",
    "hint:": "cyan",
    "retry": "yellow",
    "delete": "red",
    "replace": "red",
    "create": "green",
    "copied": "green",
}


class LiveSink:
    """Prints finished facts above and draws running steps, resource changes and images below.

    Made for a console that is a terminal and not a dumb one. With `NO_COLOR` rich leaves out colours, but not bold or
    dim letters: then lines have no style at all.
    """

    def __init__(self, console: Console, *, verbose: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._verbose = verbose
        self._board = Board(clock)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop drawing, so that a question can be asked or stdout be written to the same terminal."""
        self._stop()
        try:
            yield
        finally:
            self._start()

    def receive(self, stamped: events.Stamped) -> None:
        """Draw or print one event."""
        event = stamped.event
        self._board.take(event)
        if event.ephemeral or isinstance(event, events.StepStarted | events.ImageStarted | events.InfraChangeStarted):
            return
        if self._verbose or not is_detail(event):
            style = Text if self._console.no_color else _styled
            self._print([style(line) for line in fact_lines(event)])

    def _start(self) -> None:
        self._live = Live(
            console=self._console,
            get_renderable=lambda: self._board,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            with self._unwatched_if_unwritable():
                live.stop()

    def _print(self, lines: Sequence[Text]) -> None:
        with self._unwatched_if_unwritable():
            self._console.print(Text("\n").join(lines), soft_wrap=True)

    @contextmanager
    def _unwatched_if_unwritable(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            # The terminal hung up; the run goes on.
            self._console.quiet = True


def _styled(line: str) -> Text:
    label = line.split(" ", 1)[0]
    text = Text(line)
    text.stylize(_STYLES.get(label, "dim"), 0, len(label))
    return text


@dataclass(slots=True)
class _Running:
    """Work that began at `started`; `total` and `done` are bytes of an image or items of a step."""

    label: str
    started: float
    total: int = 0
    done: int = 0

    @property
    def share(self) -> float:
        return min(self.done / self.total, 1.0) if self.total else 0.0


class Board:
    """The running work, drawn for the current size; threads may update it while another draws."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: dict[str, _Running] = {}
        self._changes: dict[str, _Running] = {}
        self._images: dict[str, _Running] = {}
        self._waits: dict[str, tuple[events.BudgetAwaited, float]] = {}
        self._ended_images = 0
        self._ended_bytes = 0
        self._samples: deque[tuple[float, int]] = deque()

    def take(self, event: events.Event) -> None:
        """Note from one event what began, went on or ended."""
        with self._lock:
            now = self._clock()
            match event:
                case events.StepStarted():
                    label = f"{event.step}: {event.detail}" if event.detail else event.step
                    self._steps[event.step] = _Running(label, now, event.total or 0)
                case events.StepFinished():
                    self._steps.pop(event.step, None)
                    self._waits.clear()
                case events.BudgetAwaited():
                    self._waits[event.registry] = (event, now - event.seconds)
                case events.InfraChangeStarted():
                    self._changes[event.address] = _Running(f"{event.action} {event.address}", now)
                case events.InfraChangeFinished() | events.InfraChangeFailed():
                    self._changes.pop(event.address, None)
                case events.RunFinished():
                    self._steps.clear()
                    self._changes.clear()
                    self._images.clear()
                    self._waits.clear()
                case _:
                    self._take_image(event, now)

    def _take_image(self, event: events.Event, now: float) -> None:
        match event:
            case events.ImageStarted():
                self._images[event.image] = _Running(event.image, now)
            case events.ImageProgressed() if event.image in self._images:
                image = self._images[event.image]
                image.done, image.total = event.done_bytes, event.total_bytes
            case events.ImageFinished():
                if self._images.pop(event.image, None):
                    self._ended_bytes += event.total_bytes
                self._ended_images += 1
            case events.ImageFailed():
                self._images.pop(event.image, None)
                self._ended_images += 1
            case events.ImagePostponed():
                self._images.pop(event.image, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        with self._lock:
            drawing = self._draw(options.max_width, max(3, console.height // 4))
        yield from drawing

    def _draw(self, width: int, limit: int) -> list[RenderableType]:
        """Steps, resource changes, images, then all images together; at most `limit` lines of a kind."""
        now = self._clock()
        frame = _FRAMES[int(now * _FRAMES_PER_SECOND) % len(_FRAMES)]
        drawing: list[RenderableType] = []
        for running in [*self._steps.values(), *_first(self._changes, limit)]:
            elapsed = format_duration(now - running.started)
            drawing.append(_one_line(f"{frame} {_shorten(running.label, width - len(elapsed) - 4)}  {elapsed}"))
        drawing += _left_out(self._changes, limit, "resource")
        if self._waits:
            drawing.append(_bars([_wait_row(event, now - since) for event, since in self._waits.values()], width))
        if self._images:
            drawing.append(_bars([_image_row(image) for image in _first(self._images, limit)], width))
            drawing += _left_out(self._images, limit, "image")
        asked_for = [step.total for name, step in self._steps.items() if name in IMAGE_STEPS]
        if expected := max([len(self._images), *asked_for]):
            drawing.append(_bars([self._total_row(expected, now)], width))
        return drawing

    def _total_row(self, expected: int, now: float) -> tuple[str, float, str]:
        expected = max(expected, self._ended_images + len(self._images))
        share = (self._ended_images + sum(image.share for image in self._images.values())) / expected
        bytes_done = self._ended_bytes + sum(image.done for image in self._images.values())
        rate = format_size(round(self._rate(now, bytes_done)))
        return (
            f"{self._ended_images} of {format_count(expected, 'image')}",
            share,
            f"{format_size(bytes_done)}, {rate}/s",
        )

    def _rate(self, now: float, bytes_done: int) -> float:
        """Bytes a second over the last drawings; never negative, although a failed image takes its bytes away."""
        self._samples.append((now, bytes_done))
        while now - self._samples[0][0] > _RATE_SECONDS:
            self._samples.popleft()
        then, bytes_then = self._samples[0]
        return max(0.0, (bytes_done - bytes_then) / (now - then)) if now > then else 0.0


def _wait_row(event: events.BudgetAwaited, seconds: float) -> tuple[str, float, str]:
    """The clock of a wait for pulls: how much has passed of the time after which all of them are back."""
    label = f"{event.registry}: {format_count(event.images, 'image')}, {event.remaining} of {event.limit} pulls left"
    clock = f"{format_duration(seconds)} of {format_duration(event.window_seconds)}"
    return label, min(seconds / max(event.window_seconds, 1.0), 1.0), clock


def _image_row(image: _Running) -> tuple[str, float, str]:
    amount = f"{format_size(image.done)} of {format_size(image.total)}" if image.total else ""
    return image.label, image.share, amount


def _bars(rows: Sequence[tuple[str, float, str]], width: int) -> Table:
    """A line for each name, share and amount, in fixed columns; a narrow terminal has fewer."""
    has_amounts = width >= 2 * _AMOUNT_WIDTH + 8
    has_bars = width >= 2 * _AMOUNT_WIDTH + 8 + _BAR_WIDTH
    taken = 4 + has_amounts * (_AMOUNT_WIDTH + 2) + has_bars * (_BAR_WIDTH + 2)
    name_width = min(width - taken - 2, _NAME_WIDTH)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=name_width, no_wrap=True)
    if has_bars:
        table.add_column(width=_BAR_WIDTH)
    table.add_column(width=4, justify="right", no_wrap=True)
    if has_amounts:
        table.add_column(width=_AMOUNT_WIDTH, no_wrap=True, overflow="crop")
    for name, share, amount in rows:
        cells: list[RenderableType] = [_one_line(_shorten(name, name_width))]
        if has_bars:
            cells.append(ProgressBar(total=1.0, completed=share, width=_BAR_WIDTH))
        cells.append(f"{int(share * 100)}%")
        if has_amounts:
            cells.append(_one_line(amount))
        table.add_row(*cells)
    return table


def _first(running: dict[str, _Running], limit: int) -> list[_Running]:
    return list(running.values())[:limit]


def _left_out(running: dict[str, _Running], limit: int, noun: str) -> list[Text]:
    more = len(running) - limit
    return [_one_line(f"  and {format_count(more, 'more ' + noun)}")] if more > 0 else []


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="crop")


def _shorten(name: str, width: int) -> str:
    """The end of a long name, which says more than its beginning."""
    shown = visible(name)
    return shown if len(shown) <= width else "..." + shown[-max(width - 3, 1) :]
