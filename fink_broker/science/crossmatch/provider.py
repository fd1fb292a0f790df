"""The port to whoever knows what lies at a position, and the chain that asks one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats
from fink_broker.science.crossmatch.sky import on_sky

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Answer:
    """What a provider says about positions, row by row.

    Parameters
    ----------
    nearest : pyarrow.Table
        The columns of the nearest source of each position, null where there is none within the radius.
    failure : numpy.ndarray of object
        None where the provider could say, else why it could not be asked: ``Fail`` or ``Fail <status>``.
    """

    nearest: pa.Table
    failure: Texts


class Provider(Protocol):
    """One that can be asked for the nearest source of positions."""

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer for positions on the sky (degrees, all finite), row by row; never raises for a failed service."""
        ...


class NoProvider:
    """Knows nothing: no position has a source."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer that there is nothing."""
        nulls = {name: pa.nulls(len(ra_deg), pa.string()) for name in self._columns}
        return Answer(pa.table(nulls), np.full(len(ra_deg), None, dtype=object))


class Chain:
    """Asks providers in turn.

    The first that can be asked decides, also when it says that there is nothing. The next is asked only about
    positions the ones before could not be asked about, and decides only where it knows a source: a catalogue on disk
    that has none does not turn "could not ask" into "nothing there".

    Parameters
    ----------
    providers : sequence of Provider
        In the order they are asked.
    column : str
        The column of their answers that is the label.
    no_match : str
        Label where a provider said that there is nothing, or none was asked.
    """

    def __init__(self, providers: Sequence[Provider], column: str, no_match: str = "Unknown") -> None:
        self._providers = tuple(providers)
        self._column = column
        self._no_match = no_match

    def labels(self, ra_deg: Floats, dec_deg: Floats) -> Texts:
        """Return a label for each position; one that does not exist on the sky gets the no-match label.

        Parameters
        ----------
        ra_deg, dec_deg : numpy.ndarray
            Positions in degrees, NaN allowed.
        """
        labels = np.full(len(ra_deg), self._no_match, dtype=object)
        open_rows = np.flatnonzero(on_sky(ra_deg, dec_deg))
        for provider in self._providers:
            if not len(open_rows):
                break
            answer = provider.match(ra_deg[open_rows], dec_deg[open_rows])
            found = np.array(answer.nearest[self._column].to_pylist(), dtype=object)
            known = np.array([label is not None for label in found], dtype=bool)
            failed = np.array([reason is not None for reason in answer.failure], dtype=bool)
            labels[open_rows[known]] = found[known]
            labels[open_rows[failed & ~known]] = answer.failure[failed & ~known]
            open_rows = open_rows[failed & ~known]
        return labels
