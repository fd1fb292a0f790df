"""Faults on request, and the pace that is allowed."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Faults:
    """What goes wrong; all can be changed while the server runs. "Next" ones come first and count down.

    Parameters
    ----------
    slow_seconds : float
        How long each answer takes.
    error_next, error_probability : int, float
        Answer 500 (`error_status`) without carrying out.
    cut_before_next, cut_before_probability : int, float
        Cut the connection without carrying out.
    cut_after_next, cut_after_probability : int, float
        Carry out, then cut the connection without an answer.
    too_many_next, too_many_probability : int, float
        Answer 429, with Retry-After of `retry_after` seconds unless that is None.
    token_expires_after : int or None
        After this many requests the token is bad.
    calls : set of str
        The calls this concerns, such as `POST /api/candidates`; empty: all under /api.
    seed : int
        Of the probabilities.
    """

    slow_seconds: float = 0.0
    error_next: int = 0
    error_probability: float = 0.0
    error_status: int = 500
    cut_before_next: int = 0
    cut_before_probability: float = 0.0
    cut_after_next: int = 0
    cut_after_probability: float = 0.0
    too_many_next: int = 0
    too_many_probability: float = 0.0
    retry_after: int | None = None
    token_expires_after: int | None = None
    calls: set[str] = field(default_factory=set)
    seed: int = 1
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def choose(self, call: str) -> str:
        """Return what happens to a request: cut_before, cut_after, error, too_many, or nothing."""
        if self.calls and call not in self.calls:
            return ""
        for kind in ("cut_before", "cut_after", "error", "too_many"):
            waiting = getattr(self, f"{kind}_next")
            probability = getattr(self, f"{kind}_probability")
            if waiting or (probability and self._chance.random() < probability):
                setattr(self, f"{kind}_next", max(0, waiting - 1))
                self.done[kind] += 1
                return kind
        return ""

    def has_token_expired(self) -> bool:
        """Count a request against the life of the token."""
        if self.token_expires_after is None:
            return False
        self.token_expires_after = max(-1, self.token_expires_after - 1)
        return self.token_expires_after < 0


class Limit:
    """At most `per_second` requests with one token in the long run, `burst` at once."""

    def __init__(self, per_second: float = 5, burst: float = 10, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, token: str) -> bool:
        now = self._clock()
        left, at = self._left.get(token, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_second)
        is_allowed = left >= 1
        self._left[token] = (left - is_allowed, now)
        return is_allowed


class Busiest:
    """The most requests in any second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._times = clock, deque[float]()
        self.most = 0

    def count(self) -> None:
        now = self._clock()
        self._times.append(now)
        while self._times[0] <= now - 1:
            self._times.popleft()
        self.most = max(self.most, len(self._times))
