"""Whether counts close between two stages, batch by batch as they come; the rules are those of `monitor.counts`."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from fink_broker.archive import Commit
from fink_broker.monitor.board.views import Waiting
from fink_broker.monitor.counts import Stage, explained, handed_on, stored

#: Differences of a stage that are kept as sentences; all are counted.
KEPT_SENTENCES = 20
#: Batches that wait and are known one by one; of older ones only the sum is known.
MOST_WAITING = 50_000
#: Batches that were taken in and are remembered, so that one that is taken again is noticed.
MOST_TAKEN = 20_000
_MINUTE = 60
#: Minutes of which it is known how many differences came up in them: those of the last day, and some more.
_KEPT_MINUTES = 2000


class Differences:
    """What does not add up: the latest sentences, how many there were, and when the last one came up (unix seconds)."""

    def __init__(self) -> None:
        self.sentences: deque[str] = deque(maxlen=KEPT_SENTENCES)
        self.count = 0
        self.last: float | None = None
        self._minutes: Counter[int] = Counter()

    def add(self, moment: float, sentences: Sequence[str]) -> None:
        """Note some that came up with a batch committed at a unix time in seconds."""
        if sentences:
            self.sentences.extend(sentences)
            self.count += len(sentences)
            self.last = max(moment, self.last or 0.0)
            self._minutes[int(moment // _MINUTE)] += len(sentences)
            if len(self._minutes) > _KEPT_MINUTES:
                del self._minutes[min(self._minutes)]

    def since(self, begin: float) -> int:
        """Return how many came up since a unix time, to the minute; at most a day back."""
        return sum(number for minute, number in self._minutes.items() if (minute + 1) * _MINUTE > begin)


def within(stage: str, commit: Commit) -> list[str]:
    """Return what does not add up within one batch: files against counts, reasons against what was set aside."""
    alone = Stage(stage, (commit,))
    if stage == "raw":
        return stored(alone) + explained(alone, "rejected", "reasons")
    if stage == "science":
        return stored(alone) + explained(alone, "cut", "cuts")
    return []


@dataclass(frozen=True)
class _Batch:
    """A batch that was put out: alerts, when, and by which batch it was taken in."""

    alerts: int
    committed: float
    taker: str = ""


class Handover:
    """What one stage puts out and the next takes in.

    Parameters
    ----------
    earlier, later : str
        Names of the stages.
    """

    def __init__(self, earlier: str, later: str) -> None:
        self.earlier, self.later = earlier, later
        self._waiting: OrderedDict[str, _Batch] = OrderedDict()
        self._taken: OrderedDict[str, _Batch] = OrderedDict()
        # of the batches beyond MOST_WAITING
        self._old_batches, self._old_alerts, self._old_since = 0, 0, 0.0

    def put_out(self, commit: Commit) -> None:
        """Note a batch of the earlier stage."""
        self._waiting[commit.id] = _Batch(commit.counts["out"], commit.committed)
        if len(self._waiting) > MOST_WAITING:
            _, oldest = self._waiting.popitem(last=False)
            self._old_since = self._old_since if self._old_batches else oldest.committed
            self._old_batches += 1
            self._old_alerts += oldest.alerts

    def knows_inputs(self, commit: Commit) -> bool:
        """Tell whether all batches that a batch of the later stage has taken in were put out, as far as known."""
        return self._old_batches > 0 or all(batch in self._waiting or batch in self._taken for batch in commit.inputs)

    def take_in(self, commit: Commit) -> list[str]:
        """Note a batch of the later stage; return what does not add up, in sentences."""
        known = {batch: found for batch in commit.inputs if (found := self._find(batch)) is not None}
        unknown = [batch for batch in commit.inputs if batch not in known]
        takers = [_stand_in(found.taker, found.alerts, [batch]) for batch, found in known.items() if found.taker]
        for batch, found in known.items():
            self._waiting.pop(batch, None)
            self._taken[batch] = _Batch(found.alerts, found.committed, found.taker or commit.id)
        while len(self._taken) > MOST_TAKEN:
            self._taken.popitem(last=False)
        if unknown and self._old_batches:
            self._take_old(commit, unknown, sum(found.alerts for found in known.values()))
            return []
        batches = tuple(_stand_in(batch, found.alerts, []) for batch, found in known.items())
        return handed_on(Stage(self.earlier, batches), Stage(self.later, (*takers, _without_details(commit))))

    def steps(self, commit: Commit) -> list[tuple[float, int]]:
        """Return seconds from the commits a batch of the later stage takes in to its own, and alerts in each."""
        known = [found for batch in commit.inputs if (found := self._find(batch)) is not None]
        return [(max(0.0, commit.committed - found.committed), found.alerts) for found in known if found.alerts]

    def waiting(self) -> Waiting:
        """Return what the later stage has not taken in yet."""
        held = [batch for batch in self._waiting.values() if batch.alerts]
        alerts = self._old_alerts + sum(batch.alerts for batch in held)
        if not alerts:
            return Waiting(self.earlier, self.later)
        oldest = self._old_since if self._old_batches else held[0].committed
        return Waiting(self.earlier, self.later, alerts, self._old_batches + len(held), oldest)

    def _find(self, batch: str) -> _Batch | None:
        return self._waiting.get(batch) or self._taken.get(batch)

    def _take_old(self, commit: Commit, unknown: Sequence[str], known_alerts: int) -> None:
        """Take batches off those of which only the sum is known."""
        self._old_batches = max(0, self._old_batches - len(unknown))
        self._old_alerts = max(0, self._old_alerts - (commit.counts["in"] - known_alerts)) if self._old_batches else 0


def _stand_in(name: str, alerts: int, inputs: list[str]) -> Commit:
    """Return a batch of which no more is known than what was handed on."""
    return Commit(name, inputs, [], {"in": alerts, "out": alerts}, 0.0, 0.0)


def _without_details(commit: Commit) -> Commit:
    return Commit(commit.id, commit.inputs, [], commit.counts, commit.started, commit.committed)
