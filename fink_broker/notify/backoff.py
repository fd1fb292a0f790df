"""How long to leave a far end alone after a failure."""

from __future__ import annotations

import random

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 300.0
#: A far end that asks for more than an hour is asked again after an hour.
LONGEST_ASKED_SECONDS = 3600.0


class Backoff:
    """Pauses that double with each failure in a row, each shortened by up to half at random.

    The random part keeps many clients of a far end that comes back from knocking all at once.

    Parameters
    ----------
    first, longest : float
        First and longest pause in seconds.
    chance : random.Random, optional
        Where the random part comes from.
    """

    def __init__(
        self, first: float = FIRST_SECONDS, longest: float = LONGEST_SECONDS, chance: random.Random | None = None
    ) -> None:
        self.first, self.longest = first, longest
        self.failures = 0
        self._chance = chance or random.Random()  # noqa: S311 - spreads load, keeps no secret

    def failed(self, asked_seconds: float | None = None) -> float:
        """Note a failure and return the pause in seconds.

        Parameters
        ----------
        asked_seconds : float, optional
            What the far end asked for (``Retry-After``); never less is returned, up to an hour.
        """
        pause = min(self.longest, self.first * 2.0 ** min(self.failures, 30))
        self.failures += 1
        pause *= self._chance.uniform(0.5, 1.0)
        return max(pause, min(asked_seconds or 0.0, LONGEST_ASKED_SECONDS))

    def succeeded(self) -> None:
        """Note a success: the next pause is a short one again."""
        self.failures = 0
