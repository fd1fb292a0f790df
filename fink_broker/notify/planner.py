"""What to post next."""

from __future__ import annotations

from collections.abc import Sequence

from fink_broker.notify.formats import Post
from fink_broker.notify.notice import Notice
from fink_broker.notify.pace import Pace

#: Alerts of an outage are read for at most so long before they are summarised.
GATHER_SECONDS = 30.0


class Planner:
    """Chooses between one alert, a summary, and waiting.

    Parameters
    ----------
    pace : Pace
        How often there may be a post.
    stale_seconds : float
        Alerts sent longer ago are too old to be news: they are told in a summary of their own.
    """

    def __init__(self, pace: Pace, stale_seconds: float) -> None:
        self.pace, self.stale_seconds = pace, stale_seconds
        self._stale_since: float | None = None

    def next(
        self, waiting: Sequence[Notice], now: float, clock: float, *, more_to_come: bool
    ) -> tuple[Post | None, float]:
        """Return what to post, or nothing and the seconds after which to ask again.

        Parameters
        ----------
        waiting : sequence of Notice
            What was read and not told yet, in order.
        now : float
            Of a monotonic clock, in seconds.
        clock : float
            Seconds since 1970.
        more_to_come : bool
            Whether more is being read: old alerts are then gathered a while longer.
        """
        stale = tuple(n for n in waiting if n.sent is not None and clock - n.sent > self.stale_seconds)
        if stale:
            return self._late(stale, now, more_to_come=more_to_come)
        self._stale_since = None
        turn = self.pace.turn(now, len(waiting))
        if turn.post == "nothing":
            return None, turn.wait
        # a summary that is due tells even a single alert by itself: "+ 1 more" would say less
        if turn.post == "one" or len(waiting) == 1:
            return Post("alert", (waiting[0],)), 0.0
        return Post("more", tuple(waiting)), 0.0

    def _late(self, stale: tuple[Notice, ...], now: float, *, more_to_come: bool) -> tuple[Post | None, float]:
        if self._stale_since is None:
            self._stale_since = now
        if more_to_come and now < self._stale_since + GATHER_SECONDS:
            return None, 0.2
        wait = self.pace.slot(now)
        if wait > 0:
            return None, wait
        return Post("late", stale), 0.0
