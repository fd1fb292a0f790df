"""Show how far the simulator is: a bar for who looks at it, a line now and then for a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0
_SHOW_SECONDS = 0.1

Say = Callable[[str], None]


class SendingProgress:
    """Progress of sending, shown while the block lasts.

    Parameters
    ----------
    say : callable
        Takes the lines of the log, and whatever is said meanwhile.
    console : Console, optional
        Where a bar goes; by default standard error, where both it and standard output are a terminal.
    """

    def __init__(self, say: Say, console: Console | None = None) -> None:
        self._say = say
        self._console = console or Console(stderr=True, force_terminal=None if sys.stdout.isatty() else False)
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._began = self._shown = self._told = time.monotonic()
        self._before = 0

    def __enter__(self) -> SendingProgress:
        if self._console.is_terminal:
            self._bar = Progress(
                TextColumn("sending"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]:.0f}/s"),
                TimeRemainingColumn(),
                console=self._console,
                transient=True,
            )
            self._task = self._bar.add_task("sending", total=None, rate=0.0)
            self._bar.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def say(self, text: str) -> None:
        """Say a line; the bar makes way for it."""
        if self._bar is None:
            self._say(text)
            return
        self._bar.stop()
        self._say(text)
        self._bar.start()

    def show(self, delivered: int, total: int | None) -> None:
        """Show how many alerts have been delivered, of how many if that is known; cheap to call often."""
        now = time.monotonic()
        if self._bar is not None:
            if now - self._shown >= _SHOW_SECONDS:
                self._shown = now
                rate = delivered / max(now - self._began, 1e-3)
                self._bar.update(self._task, completed=delivered, total=total, rate=rate)
        elif now - self._told >= _LINE_SECONDS:
            rate = (delivered - self._before) / (now - self._told)
            self._told, self._before = now, delivered
            of = f" of {total:,}" if total else ""
            self._say(f"sent {delivered:,}{of} alerts, {rate:.0f}/s")
