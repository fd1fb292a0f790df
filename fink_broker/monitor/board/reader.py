"""The commit logs of all stages, each commit read once and added to sums."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from fink_broker.archive import AlertTable, Commit, CommitLog, Layout
from fink_broker.errors import DataError
from fink_broker.monitor.board.closing import Differences, Handover, within
from fink_broker.monitor.board.history import History
from fink_broker.monitor.board.slots import Slots
from fink_broker.monitor.board.sums import StageSums
from fink_broker.monitor.kafka import Place
from fink_broker.monitor.waiting import taken_until

STAGES = ("raw", "science", "topics", "archived")
_EARLIER = {"science": "raw", "topics": "science", "archived": "science"}
#: Commits of a log that are read before others get their turn.
MOST_A_ROUND = 1000


class Ledger:
    """All that the commits add up to.

    Parameters
    ----------
    clock : callable
        Gives the unix time in seconds.
    trigger_seconds : float
        Seconds between two starts of a batch of raw.
    """

    def __init__(self, clock: Callable[[], float] = time.time, trigger_seconds: float = 0.0) -> None:
        self._trigger_seconds = trigger_seconds
        self._last_raw: Commit | None = None
        self.slots = Slots(clock)
        self.stages = {name: StageSums(name, self.slots) for name in STAGES}
        self.differences = {name: Differences() for name in STAGES}
        self.handovers = (
            Handover("raw", "science"),
            Handover("science", "topics"),
            Handover("science", "archived"),
        )
        self.history = History()
        #: offset after the last message taken in, by topic and partition
        self.taken: dict[Place, int] = {}

    def is_ready_for(self, stage: str, commit: Commit) -> bool:
        """Tell whether the batches that a batch takes in are there."""
        return all(each.knows_inputs(commit) for each in self.handovers if each.later == stage)

    def add(self, stage: str, commit: Commit) -> None:
        """Add a batch."""
        self.stages[stage].add(commit)
        self.history.add(stage, commit)
        wrong = self.differences[stage]
        wrong.add(commit.committed, within(stage, commit))
        for handover in self.handovers:
            if handover.later == stage:
                self.stages[stage].add_steps(commit.committed, handover.steps(commit))
                wrong.add(commit.committed, handover.take_in(commit))
            if handover.earlier == stage:
                handover.put_out(commit)
        if stage == "raw":
            self._add_offsets(commit)
            self.stages[stage].add_steps(commit.committed, [(self._seconds_since_kafka(commit), commit.counts["in"])])
            self._last_raw = commit

    def _seconds_since_kafka(self, commit: Commit) -> float:
        """Return how long alerts of a batch of raw have been in Kafka at most, if the batch before left none there.

        The oldest came in when the batch before had just begun, or a trigger ago, if nothing came in for longer.
        """
        waited, last = self._trigger_seconds, self._last_raw
        if last is not None:
            between = max(0.0, commit.started - last.started)
            waited = min(between, max(self._trigger_seconds, last.committed - last.started))
        return waited + max(0.0, commit.committed - commit.started)

    def _add_offsets(self, commit: Commit) -> None:
        if "offsets" in commit.details:
            self.taken |= taken_until([commit])
        if lost := int(commit.details.get("lost_offsets") or 0):
            text = f"Kafka no longer had {lost:,} messages when raw asked for them."
            self.differences["raw"].add(commit.committed, [text])


class LogReader:
    """Reads what is new in the logs.

    Parameters
    ----------
    online : str
        The data prefix.
    clock : callable
        Gives the unix time in seconds.
    trigger_seconds : float
        Seconds between two starts of a batch of raw.
    """

    def __init__(self, online: str, clock: Callable[[], float] = time.time, trigger_seconds: float = 0.0) -> None:
        layout = Layout(online)
        self._clock, self._trigger_seconds = clock, trigger_seconds
        self._logs: Mapping[str, CommitLog] = {name: AlertTable(layout.table(name)).log for name in STAGES}
        #: whether there were commits, and there are none any more
        self.are_gone = False
        self._begin_again()

    def _begin_again(self) -> None:
        self.ledger = Ledger(self._clock, self._trigger_seconds)
        #: whether all there was has been added once
        self.is_complete = False
        self._positions = dict.fromkeys(STAGES, 0)
        self._ends = dict.fromkeys(STAGES, 0)
        self._held: dict[str, deque[Commit]] = {name: deque() for name in STAGES}

    @property
    def read(self) -> int:
        """How many commits were added."""
        return sum(self._positions.values()) - sum(map(len, self._held.values()))

    @property
    def to_read(self) -> int:
        """How many commits there are."""
        return max(sum(self._ends.values()), self.read)

    def read_round(self) -> bool:
        """Add what is new, at most `MOST_A_ROUND` commits of a log; tell whether that was all.

        A later stage is read before the one it takes its input from, so that every batch it names is there; it is added
        after that one.

        Raises
        ------
        DataError
            If a commit cannot be read, or there are none any more.
        """
        self._see_to_what_is_gone()
        at_end = {name: self._read(name) for name in reversed(STAGES)}
        for name in STAGES:
            held, earlier = self._held[name], _EARLIER.get(name)
            # a batch that is named and is not there is waited for until all batches of the earlier stage were added
            is_waited_for = earlier is not None and (not at_end[earlier] or bool(self._held[earlier]))
            while held and (not is_waited_for or self.ledger.is_ready_for(name, held[0])):
                self.ledger.add(name, held.popleft())
        self.ledger.slots.forget_old()
        is_all = self.read == self.to_read
        self.is_complete = self.is_complete or is_all
        return is_all

    def _see_to_what_is_gone(self) -> None:
        """Begin again if the data were removed and others came in their place; keep all sums if nothing came."""
        is_shorter = any([self._end_of(name) < self._positions[name] for name in STAGES])
        # The folder a disk was mounted at is empty. All logs are looked at again: it may have gone between two of them.
        self.are_gone = is_shorter and not any([self._end_of(name) for name in STAGES])
        if self.are_gone:
            raise DataError(f"{self.read:,} were there, and none is any more. Is the disk mounted?")
        if is_shorter:
            self._begin_again()

    def _end_of(self, name: str) -> int:
        self._ends[name] = self._logs[name].end()
        return self._ends[name]

    def _read(self, name: str) -> bool:
        """Read what is new in a log; tell whether that was all.

        One that holds commits back reads no more until the stage before it has come as far.
        """
        if len(self._held[name]) >= MOST_A_ROUND:
            return False
        fresh = self._logs[name].read_from(self._positions[name], MOST_A_ROUND)
        self._held[name].extend(fresh)
        self._positions[name] += len(fresh)
        return len(fresh) < MOST_A_ROUND
