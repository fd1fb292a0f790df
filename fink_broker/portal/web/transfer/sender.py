"""Who sends a selection, and how far it is: what both ways have in common."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.portal.web.transfer.records import Ended, Record, Records
from fink_broker.portal.web.transfer.selection import Selection

#: Transfers of all visitors at the same time, and of one visitor in 24 hours.
MOST_AT_ONCE, MOST_A_DAY = 2, 10
#: Seconds within which whoever sends takes a transfer on; the portal that asked for it has ended otherwise.
BEGIN_SECONDS = 300.0
_DAY = 86400.0
#: Last bytes of a log that are read, and lines of it that are shown.
LOG_BYTES, LOG_LINES = 16_384, 40
_SENT = re.compile(r"sent ([\d,]+) of ([\d,]+) alerts")
_COMPLETE = re.compile(r"All [\d,]+ alerts are in |All [\d,]+ alerts were sent to ")

Standing = Literal["waiting", "running", "complete", "failed", "forgotten", "unknown"]


@dataclass(frozen=True)
class Progress:
    """How far a transfer is.

    Parameters
    ----------
    standing : {"waiting", "running", "complete", "failed", "forgotten", "unknown"}
        In one word. Forgotten: it is over, and who sent it does not know any more how it went. Unknown: who sends does
        not answer.
    log : str
        The last lines it wrote.
    sent, total : int
        Alerts, as far as the log tells; 0: it does not.
    """

    standing: Standing
    log: str = ""
    sent: int = 0
    total: int = 0


class Sender(Protocol):
    """Who sends."""

    def submit(self, selection: Selection, visitor: str) -> Record:
        """Begin a transfer; raises FinkError with a sentence for the visitor where that is not possible."""

    def look(self, record: Record) -> Progress:
        """Tell how far a transfer is."""


def begin(
    config: Config, selection: Selection, visitor: str, *, standing_of: Callable[[Record], Standing],
    start: Callable[[Record], Record],
) -> Record:  # fmt: skip
    """Begin a transfer, unless there are too many already; one of which nothing is known counts as being sent.

    The lock of the records is held only to count and to keep a place: whoever sends may take long to answer.

    Parameters
    ----------
    config : Config
        The configuration in force.
    selection : Selection
        What is sent.
    visitor : str
        Who asks, as a digest.
    standing_of : callable
        How a transfer that was begun stands.
    start : callable
        Starts it, and gives the record as it is to be kept.

    Raises
    ------
    UsageError
        If there are too many.
    """
    records, now = Records(config), time.time()
    _settle(records, standing_of, now)
    with records.alone():
        recent = _recent(records, now)
        mine = [record for record in recent if record.visitor == visitor]
        if len(mine) >= MOST_A_DAY:
            raise UsageError(f"You have begun {len(mine)} transfers within 24 hours.", "Come back tomorrow.")
        running = [record for record in recent if not record.ended]
        if len(running) >= MOST_AT_ONCE:
            raise UsageError(
                f"{len(running)} transfers are being sent, which is as many as there may be.",
                "Your selection is kept in the address of this page: submit it again in a few minutes.",
            )
        record = Record(records.new_topic(config.survey, now), now, visitor, selection.query())
        records.write(record)
    try:
        begun = start(record)
    except BaseException:
        records.remove(record.topic)
        raise
    records.write(begun)
    return begun


def keep_end(records: Records, record: Record, standing: Standing) -> None:
    """Keep how a transfer ended, if it did: nobody has to be asked again."""
    ends: dict[Standing, Ended] = {"complete": "complete", "failed": "failed", "forgotten": "forgotten"}
    if standing in ends and not record.ended:
        records.write(replace(record, ended=ends[standing]))


def _settle(records: Records, standing_of: Callable[[Record], Standing], now: float) -> None:
    """See which transfers have ended meanwhile; where one cannot be told, the others are not asked about."""
    for record in _recent(records, now):
        if record.ended:
            continue
        if record.is_begun:
            standing = standing_of(record)
        else:
            standing = "waiting" if record.created > now - BEGIN_SECONDS else "failed"
        if standing == "unknown":
            return
        keep_end(records, record, standing)


def _recent(records: Records, now: float) -> list[Record]:
    return [record for record in records.read_all() if record.created > now - _DAY]


def told(lines: Sequence[str], *, is_running: bool) -> Progress:
    """Return how far a transfer is by what it wrote."""
    text = "\n".join(lines[-LOG_LINES:])
    if any(_COMPLETE.search(line) for line in lines):
        return Progress("complete", text)
    if not is_running:
        return Progress("failed", text)
    for line in reversed(lines):
        if match := _SENT.search(line):
            return Progress("running", text, *(int(number.replace(",", "")) for number in match.groups()))
    return Progress("running", text)
