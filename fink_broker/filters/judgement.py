"""What all filters say of a batch, in two parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fink_broker.filters.filter import Filter
from fink_broker.filters.verdict import Verdict


class Judgement:
    """What filters say of a batch: those the broker trusts at once, those of users when they are asked for.

    Parameters
    ----------
    filters : sequence of Filter
        In the order of which the verdicts are wanted.
    trusted : list of Verdict
        Verdicts that are there.
    collect : callable
        Waits for those that are still to come.
    """

    def __init__(self, filters: Sequence[Filter], trusted: list[Verdict], collect: Callable[[], list[Verdict]]) -> None:
        self.trusted = trusted
        self._filters, self._collect = filters, collect
        self._late: list[Verdict] | None = None

    def late(self) -> list[Verdict]:
        """Wait for the verdicts of users' functions: at most the time they have together."""
        if self._late is None:
            self._late = self._collect()
        return self._late

    def all(self) -> list[Verdict]:
        """Return all verdicts in the order of the filters."""
        found = {verdict.filter.name: verdict for verdict in [*self.trusted, *self.late()]}
        return [found[entry.name] for entry in self._filters if entry.name in found]
