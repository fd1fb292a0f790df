"""How many requests a second SkyPortal is asked, by all threads together."""

from __future__ import annotations

import threading
import time

#: What SkyPortal allows a token that is not on its list of exceptions.
REQUESTS_PER_SECOND = 5.0
BURST = 10

SHORT_WAIT_SECONDS = 5.0

#: Least share of the rate that is left after answers of "too many requests", and what each good answer gives back.
_LEAST_SHARE = 0.1
_REGAINED_SHARE = 0.01
#: A token that is there but for this counts as whole, or waits would become too short for a clock.
_ROUNDING = 1e-6


class Pace:
    """A bucket of ``burst`` tokens refilled at the given rate; each request takes one.

    SkyPortal counts per token of the user, and so other programs may use up the same allowance: after each answer of
    429 the rate is halved, and it comes back within a hundred good answers.

    Parameters
    ----------
    requests_per_second : float or None
        Requests a second in the long run; None for as many as there are (the token is whitelisted).
    burst : int
        Requests that may follow one another at once after a rest.
    """

    def __init__(self, requests_per_second: float | None = REQUESTS_PER_SECOND, burst: int = BURST) -> None:
        self.requests_per_second, self.burst = requests_per_second, burst
        self._share = 1.0
        self._tokens = float(burst)
        self._counted_at = time.monotonic()
        self._closed_until = 0.0
        self._lock = threading.Lock()

    def take(self, stop: threading.Event, leave: threading.Event) -> bool:
        """Wait for a turn and take it.

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
        return not leave.is_set()

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
            if self.requests_per_second is None:
                return 0.0
            rate = self.requests_per_second * self._share
            self._tokens = min(float(self.burst), self._tokens + (now - self._counted_at) * rate)
            self._counted_at = now
            if self._tokens >= 1.0 - _ROUNDING:
                self._tokens -= 1.0
                return 0.0
            return (1.0 - self._tokens) / rate
