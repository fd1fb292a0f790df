"""The port to whoever knows what lies at a position, and the chain that asks one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.sky import on_sky
from fink_broker.science.crossmatch.catalogue import Catalogue

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Answer:
    """What a provider says about positions, row by row.

    Parameters
    ----------
    nearest : pyarrow.Table
        The columns of the nearest source of each position, all null where there is none within the radius.
    failure : numpy.ndarray of object
        None where the provider could say, else why it could not be asked: ``Fail`` or ``Fail <status>``.
    """

    nearest: pa.Table
    failure: Texts

    @property
    def failed(self) -> Mask:
        """Where the provider could not be asked."""
        return pa.array(self.failure, pa.string()).is_valid().to_numpy(zero_copy_only=False)

    @property
    def known(self) -> Mask:
        """Where a source is known."""
        known = np.zeros(self.nearest.num_rows, dtype=bool)
        for column in self.nearest.columns:
            known |= column.is_valid().to_numpy()
        return known


class Provider(Protocol):
    """One that can be asked for the nearest source of positions."""

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer for positions on the sky (degrees, all finite), row by row; never raises for a failed service."""
        ...


def no_failure(length: int) -> Texts:
    """Return that every position could be asked about."""
    return np.full(length, None, dtype=object)


class NoProvider:
    """Knows nothing: no position has a source.

    Parameters
    ----------
    columns : pyarrow.Schema
        Columns of its answers.
    """

    def __init__(self, columns: pa.Schema) -> None:
        self._columns = columns

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer that there is nothing."""
        length = len(ra_deg)
        nulls = [pa.nulls(length, field.type) for field in self._columns]
        return Answer(pa.Table.from_arrays(nulls, schema=self._columns), no_failure(length))


class LocalProvider:
    """A catalogue on disk.

    Parameters
    ----------
    catalogue : callable
        Returns the catalogue in use; its label columns stand in the order of ``columns``.
    columns : pyarrow.Schema
        Columns of the answers.
    radius_arcsec : float
        Matches are strictly nearer.
    """

    def __init__(self, catalogue: Callable[[], Catalogue], columns: pa.Schema, radius_arcsec: float) -> None:
        self._catalogue, self._columns, self._radius = catalogue, columns, radius_arcsec

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer from the catalogue."""
        nearest = self._catalogue().match(ra_deg, dec_deg, self._radius)
        return Answer(nearest.rename_columns(self._columns.names).cast(self._columns), no_failure(len(ra_deg)))


class Chain:
    """Asks providers in turn.

    The first that can be asked decides, also when it says that there is nothing. The next is asked only about
    positions the ones before could not be asked about, and decides only where it knows a source: a catalogue on disk
    that has none does not turn "could not ask" into "nothing there".

    Parameters
    ----------
    providers : sequence of Provider
        In the order they are asked.
    columns : pyarrow.Schema
        Columns of their answers.
    """

    def __init__(self, providers: Sequence[Provider], columns: pa.Schema) -> None:
        self._providers = tuple(providers)
        self._columns = columns
        self._asks_nobody = all(isinstance(provider, NoProvider) for provider in self._providers)

    def skipped(self, ra_deg: Floats, dec_deg: Floats) -> Mask:
        """Tell about which positions nobody is asked: all if the match is switched off, else those off the sky."""
        return np.ones(len(ra_deg), dtype=bool) if self._asks_nobody else ~on_sky(ra_deg, dec_deg)

    def match(self, ra_deg: Floats, dec_deg: Floats) -> Answer:
        """Answer for each position; one that does not exist on the sky has no source and no failure.

        Parameters
        ----------
        ra_deg, dec_deg : numpy.ndarray
            Positions in degrees, NaN allowed.
        """
        length = len(ra_deg)
        failure = no_failure(length)
        answers = [NoProvider(self._columns).match(ra_deg[:0], dec_deg[:0]).nearest]
        source = np.full(length, -1)  # row of the decisive answer in all answers, one after another
        answered = 0
        open_rows = np.flatnonzero(on_sky(ra_deg, dec_deg))
        for provider in self._providers:
            if not len(open_rows):
                break
            answer = provider.match(ra_deg[open_rows], dec_deg[open_rows])
            known, failed = answer.known, answer.failed
            source[open_rows[known]] = answered + np.flatnonzero(known)
            failure[open_rows[known]] = None
            failure[open_rows[failed & ~known]] = answer.failure[failed & ~known]
            answers.append(answer.nearest)
            answered += len(open_rows)
            open_rows = open_rows[failed & ~known]
        rows = pa.array(source, mask=source < 0)
        return Answer(pa.concat_tables(answers).take(rows).combine_chunks(), failure)
