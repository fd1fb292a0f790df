"""How often a webhook may post, and when alerts are gathered into a summary instead."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

WINDOW_SECONDS = 60.0


@dataclass(frozen=True)
class Turn:
    """What may be done now.

    Parameters
    ----------
    post : {"nothing", "one", "all"}
        One alert by itself, or all that wait in a summary.
    wait : float
        Seconds after which to ask again, where nothing may be posted.
    """

    post: Literal["nothing", "one", "all"]
    wait: float = 0.0


class Pace:
    """At most so many posts in any minute, the last of which is kept for a summary.

    People read a channel: ten alerts in a row are news, two hundred bury what stands above them. So alerts are posted
    one by one until the minute has a single post left. From then on they are gathered for a whole minute and told in
    one summary, and then one by one again. A far end never gets more than ``per_minute`` posts in 60 s, whatever the
    stream does.

    Parameters
    ----------
    per_minute : int
        Posts in any window.
    window_seconds : float
        Length of that window.
    gap_seconds : float
        Least time between two posts.
    """

    def __init__(self, per_minute: int, window_seconds: float = WINDOW_SECONDS, gap_seconds: float = 0.0) -> None:
        self.per_minute, self.window_seconds, self.gap_seconds = per_minute, window_seconds, gap_seconds
        self._posts: deque[float] = deque()
        self._summary_due: float | None = None

    def note_post(self, now: float) -> None:
        """Count a post the far end has answered.

        Parameters
        ----------
        now : float
            Of a monotonic clock, in seconds.
        """
        self._posts.append(now)
        self._summary_due = None

    def slot(self, now: float) -> float:
        """Return the seconds until there may be a post: 0 if now."""
        while self._posts and self._posts[0] <= now - self.window_seconds:
            self._posts.popleft()
        if not self._posts:
            return 0.0
        until = self._posts[-1] + self.gap_seconds
        if len(self._posts) >= self.per_minute:
            until = max(until, self._posts[-self.per_minute] + self.window_seconds)
        return max(0.0, until - now)

    def turn(self, now: float, waiting: int) -> Turn:
        """Return what may be done for so many waiting alerts."""
        wait = self.slot(now)
        if waiting == 0:
            return Turn("nothing", self.window_seconds)
        if self._summary_due is None and waiting > 1 and self.per_minute - len(self._posts) <= 1:
            self._summary_due = self._posts[-1] + self.window_seconds if self._posts else now
        if self._summary_due is not None:
            wait = max(wait, self._summary_due - now)
            return Turn("nothing", wait) if wait > 0 else Turn("all")
        return Turn("nothing", wait) if wait > 0 else Turn("one")
