"""``fink transfer``: send past alerts to a topic for the community's download clients."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import FrameType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.cli.configuration import load
from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.simulate.progress import SendingProgress
from fink_broker.stream.transfer.manifest import Manifest
from fink_broker.stream.transfer.planning import estimate_of
from fink_broker.stream.transfer.selection import Selection
from fink_broker.stream.transfer.stopping import Stopped
from fink_broker.stream.transfer.transfers import COMPLETE, Listed, Transfers

#: Exit code of a command that a signal ended: this, and the number of the signal.
BY_SIGNAL = 128


@dataclass(frozen=True)
class TransferOptions:
    """What ``fink transfer`` was given, as typed; see `transfer`."""

    start: str = ""
    stop: str = ""
    classes: tuple[str, ...] = ()
    where: str = ""
    columns: str = ""
    output: str = ""
    topic: str = ""
    dry_run: bool = False
    max_alerts: int = 10_000_000
    resume: str = ""
    list_all: bool = False
    remove: str = ""

    def check(self) -> None:
        """See that one thing is asked for, with what belongs to it and nothing else.

        Raises
        ------
        UsageError
            If not.
        """
        doing = {"--resume": bool(self.resume), "--list": self.list_all, "--remove": bool(self.remove)}
        others = [option for option, given in doing.items() if given]
        selecting = self._selecting()
        if len(others) > 1 or not (others or selecting) or (others and (self.start or self.stop)):
            raise UsageError(
                "It is not clear what to do.",
                "Give --start and --stop to send alerts, or one of --resume TOPIC, --list, --remove TOPIC.",
            )
        if others and selecting:
            raise UsageError(
                f"{selecting[0]} does not go with {others[0]}.",
                "What a transfer sends is said when it begins: with --start and --stop.",
            )
        for option, night in (("--start", self.start), ("--stop", self.stop)):
            if not others and not night:
                raise UsageError(
                    f"{option} is missing.",
                    "Give the first observing night with --start and the last with --stop; one night is both.",
                )

    def _selecting(self) -> list[str]:
        """Return the options given that say what a new transfer sends, and where."""
        usual = TransferOptions()
        apart = ("resume", "list_all", "remove")
        names = [field.name for field in fields(self) if field.name not in apart]
        given = [name for name in names if getattr(self, name) != getattr(usual, name)]
        return ["--class" if name == "classes" else f"--{name.replace('_', '-')}" for name in given]


def transfer(options: TransferOptions, conf: str | None) -> int:
    """Carry out one of: send a selection, go on with a transfer, list all, remove one; return the exit code.

    Raises
    ------
    FinkError
        If it cannot be carried out.
    """
    config = load(conf, quiet=True).config
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    options.check()
    with _stopping() as (stop, signals):
        command = _Command(config, console, stop)
        try:
            if options.list_all:
                command.list_all()
            elif options.remove:
                command.remove(options.remove)
            elif options.resume:
                command.resume(options.resume)
            else:
                command.send(options)
        except Stopped:
            console.print(command.how_to_go_on)
            return BY_SIGNAL + (signals[0] if signals else signal.SIGINT)
    return 0


class _Command:
    """The parts of the command.

    Parameters
    ----------
    config : Config
        Of the broker.
    console : rich.console.Console
        Where progress and hints go; results go to standard output.
    stop : threading.Event
        Ends all work.
    """

    def __init__(self, config: Config, console: Console, stop: threading.Event) -> None:
        self._console, self._survey = console, config.survey
        self._transfers = Transfers(config, stop, self._say)
        self._progress: SendingProgress | None = None
        self.how_to_go_on = "Interrupted; nothing was sent."

    def send(self, options: TransferOptions) -> None:
        """Plan a transfer, say how much it is, and send it; go on with it where it was begun before."""
        columns = options.columns.split(",")
        selection = Selection.asked(
            options.start,
            options.stop,
            classes=options.classes,
            where=options.where,
            output=options.output,
            columns=columns,
        )
        topic = options.topic or self._transfers.new_topic(time.time())
        manifest = self._transfers.known(selection, topic)
        begun = manifest is not None
        if manifest is None:
            with self._console.status("looking at the archive") as status:
                manifest = self._transfers.plan(
                    selection,
                    topic,
                    lambda done, files: status.update(f"looking at the archive: file {done} of {files}"),
                )
        self._console.print(f"{estimate_of(manifest)}: {selection}")
        if options.dry_run:
            self._console.print("Nothing was sent: this was a dry run.")
            return
        if not begun:
            self._transfers.begin(manifest, options.max_alerts)
        self._send(manifest)

    def resume(self, topic: str) -> None:
        """Go on with a transfer."""
        manifest = self._transfers.store.find(topic)
        self._console.print(f"{estimate_of(manifest)}: {manifest.selection}")
        self._send(manifest)

    def list_all(self) -> None:
        """Print all transfers and how they stand."""
        with self._console.status("asking Kafka"):
            found = self._transfers.list_all()
        if not found:
            print("There are no transfers.")
            return
        table = Table("topic", "begun (UTC)", "alerts", "sent", "state", "selection")
        table.columns[0].no_wrap = True  # it is copied
        for entry in found:
            table.add_row(*_cells(entry))
        Console(highlight=False).print(table)

    def remove(self, topic: str) -> None:
        """Remove a transfer."""
        self._transfers.remove(topic)
        print(f"The transfer to {topic} is removed, with its topics.")

    def _send(self, manifest: Manifest) -> None:
        topic = manifest.topic
        if manifest.finished and self._transfers.is_whole(manifest):
            print(f"All {manifest.alerts:,} alerts were sent to {topic} by {_moment(manifest.finished)}.")
            self._print_clients(topic)
            return
        self.how_to_go_on = f"Interrupted: `fink transfer --resume {topic}` goes on where this ended."
        began = time.monotonic()
        with SendingProgress(self._print) as self._progress:
            sent = self._transfers.send(topic, self._progress.show)
        self._progress = None
        seconds = time.monotonic() - began
        self._console.print(f"{sent:,} alerts sent in {seconds:.1f} s, {sent / max(seconds, 1e-3):,.0f} a second")
        print(f"All {manifest.alerts:,} alerts are in {topic}.")
        self._print_clients(topic)

    def _print_clients(self, topic: str) -> None:
        print("To download them:")
        print(
            f"  finkctl transfer -survey {self._survey} -topic {topic} -outdir {topic} -partitionby finkclass --verbose"
        )
        print(
            f"  fink_datatransfer -topic {topic} -outdir {topic} -partitionby finkclass --verbose  (fink-client < 12)"
        )

    def _say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.say(text)
        else:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False)


@contextmanager
def _stopping() -> Iterator[tuple[threading.Event, list[int]]]:
    """Let SIGINT and SIGTERM set an event while the block lasts; a second SIGINT ends at once."""
    stop, signals = threading.Event(), list[int]()

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        signals.append(number)
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop, signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cells(entry: Listed) -> tuple[str, ...]:
    manifest = entry.manifest
    sent = "unknown" if entry.sent is None else f"{entry.sent:,}"
    state = f"{COMPLETE} {_moment(manifest.finished)}" if entry.state == COMPLETE else escape(entry.state)
    selection = escape(str(manifest.selection))
    return manifest.topic, _moment(manifest.created), f"{manifest.alerts:,}", sent, state, selection


def _moment(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%d %H:%M")
