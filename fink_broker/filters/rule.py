"""What a rule is: something that looks at a batch of alerts and says of each whether it passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.view import AlertView


class Rule(Protocol):
    """A condition on alerts. Pure: what it says of an alert depends on that alert alone."""

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns it reads, as paths (``cdsxmatch``, ``candidate.drb``, ``prv_candidates.magpsf``)."""

    @property
    def text(self) -> str:
        """How it is written: what a person reads in a list of filters, and what its digest is made of."""

    def check(self, schema: pa.Schema) -> None:
        """See whether it can be evaluated on tables of this schema.

        Raises
        ------
        ConfigError
            If it reads a column that is not there or of another type; the hint helps on.
        """

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts pass (bool, shape (n,)); a missing value never passes."""


@dataclass(frozen=True)
class Function:
    """A vectorised function of the broker's own.

    Parameters
    ----------
    function : callable
        From the view of a batch to a bool array of its length.
    reads : tuple of str
        Columns it reads.
    text : str
        The rule in words and formulas.
    """

    function: Callable[[AlertView], Mask]
    reads: tuple[str, ...]
    text: str

    def check(self, schema: pa.Schema) -> None:
        """See whether the columns are there."""
        for path in self.reads:
            AlertView.type_of(schema, path)

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts pass."""
        return self.function(view)
