"""How many requests a second SkyPortal is asked, by all threads together."""

from __future__ import annotations

import threading
import time

#: What SkyPortal allows a token that is not on its list of exceptions.
REQUESTS_PER_SECOND = 5.0
BURST = 10
#: Share of that which is used: its clock may run slower than ours.
_USED_SHARE = 0.98

SHORT_WAIT_SECONDS = 5.0

#: Least share of the rate that is left after answers of "too many requests", and what each good answer gives back.
_LEAST_SHARE = 0.1
_REGAINED_SHARE = 0.01
#: A token that is there but for this counts as whole, or waits would become too short for a clock.
_ROUNDING = 1e-6


class Pace:
    """A bucket of ``burst`` tokens refilled at the given rate; each request takes one.

    SkyPortal has such a bucket, too, but counts a request when it arrives, at some moment before its answer. While it
    is under way the bucket here is filled up to its rim less one token: what SkyPortal gives meanwhile is lost if its
    bucket is full until the request arrives late. So there are never more tokens here than there. It begins empty, as
    the client that ran before may have used up what there was.

    SkyPortal counts per token of the user, and so other programs may use up the same allowance: after each answer of
    429 the rate is halved, and it comes back within a hundred good answers.

    Parameters
    ----------
    requests_per_second : float or None
        Requests a second in the long run; None for as many as there are (the token is whitelisted).
    burst : int
        Requests that SkyPortal takes at once after a rest.
    """

    def __init__(self, requests_per_second: float | None = REQUESTS_PER_SECOND, burst: int = BURST) -> None:
        self.requests_per_second, self.burst = requests_per_second, burst
        self._share = 1.0
        self._tokens = 0.0
        self._under_way = 0
        self._counted_at = time.monotonic()
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def take(self, stop: threading.Event, leave: threading.Event) -> bool:
        """Wait for a turn and take it; `answered` must follow.

        Parameters
        ----------
        stop : threading.Event
            Ends waits of more than `SHORT_WAIT_SECONDS` at once: what was begun can be completed after it.
        leave : threading.Event
            Ends every wait at once.

        Returns
        -------
        bool
            False if the wait was ended before there was a turn.
        """
        while (wait_seconds := self._try()) > 0:
            is_long = wait_seconds > SHORT_WAIT_SECONDS
            if (stop if is_long else leave).wait(wait_seconds):
                return False
        if leave.is_set():
            self.answered()
            return False
        return True

    def answered(self) -> None:
        """Note that a request is no longer under way."""
        with self._lock:
            self._refill(time.monotonic())
            self._under_way -= 1

    def slow_down(self, seconds: float = 0.0) -> None:
        """Note that SkyPortal has had too many requests.

        Parameters
        ----------
        seconds : float
            For how long nobody should ask again.
        """
        with self._lock:
            now = time.monotonic()
            if now >= self._closed_until:  # answers to requests that were under way at the same time count once
                self._share = max(_LEAST_SHARE, self._share / 2)
            self._closed_until = max(self._closed_until, now + seconds)
            self._tokens, self._counted_at = 0.0, self._closed_until

    def went_well(self) -> None:
        """Note a good answer."""
        if self._share < 1.0:
            with self._lock:
                self._share = min(1.0, self._share + _REGAINED_SHARE)

    def _try(self) -> float:
        """Take a turn and return 0, or the seconds after which to try again."""
        with self._lock:
            now = time.monotonic()
            if now < self._closed_until:
                return self._closed_until - now
            self._refill(now)
            if self.requests_per_second is not None:
                if self._tokens < 1.0 - _ROUNDING:
                    return (1.0 - self._tokens) / self._rate()
                self._tokens -= 1.0
            self._under_way += 1
            return 0.0

    def _refill(self, now: float) -> None:
        """Add the tokens of the time since it was last done, which must be before a request is taken or answered."""
        added = max(0.0, now - self._counted_at) * self._rate()
        self._tokens = min(float(self.burst - self._under_way), self._tokens + added)
        self._counted_at = max(now, self._counted_at)

    def _rate(self) -> float:
        return (self.requests_per_second or 0.0) * _USED_SHARE * self._share
