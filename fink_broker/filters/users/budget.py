"""The time users' functions have together on a batch, and what each has taken of it."""

from __future__ import annotations


class Budget:
    """What is left of the time for a batch.

    Parameters
    ----------
    seconds : float
        Time in all.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.spent: dict[str, float] = {}

    @property
    def left(self) -> float:
        """Seconds that are left; negative where more was taken."""
        return self.seconds - sum(self.spent.values())

    @property
    def largest(self) -> str:
        """Who has taken most of it; empty if nobody has taken any."""
        return max(self.spent, key=lambda name: self.spent[name], default="")

    def blame(self, name: str) -> str:
        """Return in a sentence what somebody took."""
        taken = self.spent.get(name, 0.0)
        return f"users' functions took more than {self.seconds:g} s on a batch, {taken:.1f} s of it this one"
