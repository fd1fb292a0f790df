"""``fink reject replay``: send rejected packets again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import typer
from rich.console import Console

from fink_broker.archive.rejected import (
    Arrival,
    RejectedPacket,
    checked_day,
    rejected_arrivals,
    rejected_packet,
    rejected_packets,
    rejected_summary,
)
from fink_broker.archive.replayed import Replayed
from fink_broker.cli.configuration import load
from fink_broker.cli.reject_list import check_reason
from fink_broker.cli.reject_show import place_of
from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.simulate.progress import SendingProgress
from fink_broker.simulate.replay_rejected import Replay

#: Packets from which on it is asked whether that is meant.
ASK_FROM = 1000


@dataclass(frozen=True)
class Wanted:
    """What ``fink reject replay`` was given; see `reject_replay`."""

    place: str = ""
    reason: str = ""
    day: str = ""
    everything: bool = False
    topic: str = ""
    again: bool = False
    yes: bool = False
    simulator: bool = False

    def check(self) -> None:
        """See that it is clear what is meant.

        Raises
        ------
        UsageError
            If not.
        """
        some = bool(self.reason or self.day)
        if [bool(self.place), some, self.everything].count(True) != 1:
            raise UsageError(
                "It is not clear which packets are meant.",
                "Give one packet as TOPIC/PARTITION/OFFSET, or --reason and --day, or --all.",
            )


def replay(conf: str | None, wanted: Wanted) -> int:
    """Send packets again; return the exit code."""
    wanted.check()
    config = load(conf, simulator=wanted.simulator, quiet=True).config
    ledger = Replayed(config)
    with ledger.held():
        return _replay(config, wanted, set() if wanted.again else ledger.arrivals())


def _replay(config: Config, wanted: Wanted, done: set[Arrival]) -> int:
    """Send what is wanted and was not sent before; return the exit code."""
    if wanted.reason:
        check_reason(rejected_summary(config), wanted.reason)
    number, left_out = _counted(config, wanted, done)
    if left_out:
        print(f"{_packets(left_out)} sent again before; --again sends {'it' if left_out == 1 else 'them'} once more.")
    if not number:
        print("There is nothing to send.")
        return 0
    if number > ASK_FROM and not wanted.yes and not _confirmed(number):
        print("Nothing was sent.")
        return 1
    sender = Replay(config, os.environ, wanted.topic)
    console = Console(stderr=True, highlight=False)
    with SendingProgress(lambda text: console.print(text, markup=False)) as progress:
        sender.send(_chosen(config, wanted, done), lambda sent: progress.show(sent, number))
    for topic, sent in sorted(sender.topics.items()):
        print(f"{sent:,} packet{'' if sent == 1 else 's'} went to {topic}.")
    if sender.sent < number:
        print(f"{number - sender.sent:,} without any bytes stayed: they can never become alerts.")
    print("`fink reject list` shows what is rejected again, `fink start checkstream` what becomes of the rest.")
    return 0


def _counted(config: Config, wanted: Wanted, done: set[Arrival]) -> tuple[int, int]:
    """Return how many packets are to be sent, and how many were before."""
    left_out = number = 0
    for arrival in _arrivals(config, wanted):
        left_out += arrival in done
        number += arrival not in done
    return number, left_out


def _arrivals(config: Config, wanted: Wanted) -> Iterable[Arrival]:
    if wanted.place:
        return [rejected_packet(config, *place_of(wanted.place)).entry.arrival]
    return rejected_arrivals(config, wanted.reason, checked_day(wanted.day))


def _chosen(config: Config, wanted: Wanted, done: set[Arrival]) -> Iterator[RejectedPacket]:
    """Give the packets that are to be sent, the oldest first."""
    if wanted.place:
        yield rejected_packet(config, *place_of(wanted.place))
        return
    for packet in rejected_packets(config, wanted.reason, checked_day(wanted.day)):
        if packet.entry.arrival not in done:
            yield packet


def _confirmed(number: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(f"{number:,} packets would be sent.", "Give --yes if that is meant.")
    return typer.confirm(f"Send {number:,} packets?")


def _packets(number: int) -> str:
    return "1 packet was" if number == 1 else f"{number:,} packets were"
