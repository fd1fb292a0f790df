"""What of a topic is finished with: how far each partition may be committed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

#: A topic and the number of a partition.
Place = tuple[str, int]


@dataclass
class _Partition:
    """Messages handed out and not all done, in order.

    `start` is the first one handed out, `upto` where a reader would go on, `committed` what Kafka has of that.
    """

    waiting: deque[int] = field(default_factory=deque)
    done: set[int] = field(default_factory=set)
    start: int | None = None
    upto: int | None = None
    committed: int | None = None

    def hand_out(self, offset: int) -> None:
        if self.start is None:
            self.start = offset
        self.waiting.append(offset)

    def last(self) -> int:
        """Return the last offset handed out, or before where a reader would go on; -1 if there is none."""
        return self.waiting[-1] if self.waiting else (self.upto or 0) - 1

    def finish(self, offset: int) -> None:
        if offset not in self.waiting:
            return
        self.done.add(offset)
        while self.waiting and self.waiting[0] in self.done:
            first = self.waiting.popleft()
            self.done.remove(first)
            self.upto = first + 1

    def resume(self, committed: int | None) -> int | None:
        """Return where to go on if nobody else has read on since; else None."""
        if self.upto is None or self.start is None:
            return None
        if committed is None:  # a group that never committed, or a topic that was made anew
            return self.upto if self.committed is None else None
        return self.upto if self.start <= committed < self.upto else None


class Progress:
    """Keeps for each partition how far all of its messages are done; threads may share it."""

    def __init__(self) -> None:
        self._partitions: dict[Place, _Partition] = {}
        self._lost: dict[Place, _Partition] = {}
        self._lock = threading.Lock()

    def lose(self, places: Iterable[Place]) -> None:
        """Note that partitions are taken away; what is done of them is remembered, should they come back."""
        with self._lock:
            for place in places:
                if place in self._partitions:
                    self._lost[place] = self._partitions.pop(place)

    def unsure(self, places: Iterable[Place]) -> list[Place]:
        """Return the partitions of which more may be done than Kafka knows, from before they were taken away."""
        with self._lock:
            return [place for place in places if place in self._lost and self._lost[place].upto is not None]

    def begin(self, places: Iterable[Place], committed: dict[Place, int | None]) -> dict[Place, int]:
        """Begin with partitions that were assigned.

        Parameters
        ----------
        places : iterable of (topic, partition)
            What was assigned.
        committed : dict
            What Kafka knows of those that are unsure: the offset, or None if it knows none.

        Returns
        -------
        dict
            Where to go on, for partitions where it is not where Kafka says.
        """
        further = {}
        with self._lock:
            for place in places:
                before, new = self._lost.pop(place, None), _Partition()
                if before is not None and place in committed:
                    new.upto = new.start = before.resume(committed[place])
                    new.committed = committed[place]
                if new.upto is not None:
                    further[place] = new.upto
                self._partitions[place] = new
        return further

    def hand_out(self, place: Place, offset: int) -> bool:
        """Note that a message is handed out; return False if its partition is not ours."""
        with self._lock:
            partition = self._partitions.get(place)
            if partition is None:
                return False
            if offset <= partition.last():  # the topic was made anew, and is read from its beginning
                partition = self._partitions[place] = _Partition()
            partition.hand_out(offset)
            return True

    def done(self, place: Place, offset: int) -> None:
        """Note that a message is finished with; one that is not known is ignored."""
        with self._lock:
            if partition := self._partitions.get(place) or self._lost.get(place):
                partition.finish(offset)

    def due(self, places: Iterable[Place] | None = None) -> dict[Place, int]:
        """Return where a reader would go on, of the partitions (all if None) where that is not committed yet."""
        with self._lock:
            wanted = self._partitions.keys() if places is None else self._partitions.keys() & set(places)
            return {
                place: found.upto
                for place in wanted
                if (found := self._partitions[place]).upto is not None and found.upto != found.committed
            }

    def committed(self, place: Place, offset: int) -> None:
        """Note that Kafka has taken an offset."""
        with self._lock:
            if partition := self._partitions.get(place):
                partition.committed = offset
