"""Modules that name the nearest variable star, blazar or galaxy of one catalogue on disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.sky import NO_ROW, on_sky
from fink_broker.config import Config
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch import catalogues
from fink_broker.science.crossmatch.catalogue import Catalogue
from fink_broker.science.crossmatch.catalogues import MANGROVE_KEYS
from fink_broker.science.crossmatch.chained import Asked, OnDisk, chained_module, text_or
from fink_broker.science.crossmatch.position import POINT_RADIUS, POSITION, WIDE_RADIUS
from fink_broker.science.crossmatch.provider import Answer, LocalProvider
from fink_broker.science.crossmatch.tables import VSX
from fink_broker.science.files import digests_of
from fink_broker.science.module import SKIPPED, Column, Module, Outputs

#: What production writes where a catalogue on disk has no source. For VSX production has two values: this one with
#: the catalogue on disk, as in its numbers for the real packets, and ``nan`` with the service. Readers are given one,
#: whoever was asked: this, for the catalogue on disk is our default, and the filters that are published test for
#: ``nan`` in ``DR3Name`` only.
NO_MATCH = "Unknown"


def build_gcvs(_config: Config) -> Module:
    """Return the module of the column ``gcvs``."""
    return label_module(
        "gcvs",
        catalogues.gcvs,
        POINT_RADIUS,
        meaning="variability type, GCVS",
        reference="Samus et al. 2017, ARep 61, 80",
        files=(catalogues.GCVS,),
    )


def build_3hsp(_config: Config) -> Module:
    """Return the module of the column ``x3hsp``."""
    return label_module(
        "x3hsp",
        catalogues.high_synchrotron_peaked,
        WIDE_RADIUS,
        meaning="blazar name, 3HSP",
        reference="Chang et al. 2019, A&A 632, A77",
        files=(catalogues.HSP,),
    )


def build_4lac(_config: Config) -> Module:
    """Return the module of the column ``x4lac``."""
    return label_module(
        "x4lac",
        catalogues.lat_agn,
        WIDE_RADIUS,
        meaning="Fermi-LAT name, 4LAC-DR3",
        reference="Ajello et al. 2022, ApJS 263, 24",
        files=catalogues.LAC,
    )


def label_module(
    name: str,
    catalogue: Callable[[], Catalogue],
    radius_arcsec: float,
    *,
    meaning: str,
    reference: str,
    files: tuple[str, ...],
) -> Module:
    """Return a module that writes the first label column of a catalogue.

    Parameters
    ----------
    name : str
        Name of the module and of its column.
    catalogue : callable
        Loads the catalogue once a process.
    radius_arcsec : float
        Matches are strictly nearer.
    meaning, reference : str
        For the description of the column.
    files : tuple of str
        Files of the catalogue, keys of `fink_broker.science.files.DIGESTS`.
    """

    def compute(batch: AlertBatch) -> Outputs:
        ra, dec = batch.numbers("ra"), batch.numbers("dec")
        labels = catalogue().match(ra, dec, radius_arcsec)
        return {name: text_or(labels.column(0), NO_MATCH), SKIPPED: ~on_sky(ra, dec)}

    def prepare() -> None:
        catalogue()

    output = Column(name, pa.string(), "", f"{meaning}, nearest within {radius_arcsec:g}″", NO_MATCH)
    return Module(name, "1", reference, POSITION, (output,), compute, prepare, lambda: digests_of(*files))


def build_vsx(config: Config) -> Module:
    """Return the module of the column ``vsx``: from the catalogue on disk, or from the service."""
    return chained_module("vsx", "Watson et al. 2006, SASS 25, 47", VARIABLE_STARS, config)


def _vsx_on_disk(_settings: CrossmatchConfig) -> OnDisk:
    provider = LocalProvider(catalogues.vsx, VSX.columns, VSX.radius_arcsec)
    return OnDisk(provider, catalogues.vsx, lambda: digests_of(catalogues.VSX))


def _variability_type(answer: Answer) -> Outputs:
    return {"vsx": text_or(answer.nearest["Type"], NO_MATCH)}


VARIABLE_STARS = Asked(
    "vsx",
    VSX,
    _vsx_on_disk,
    (Column("vsx", pa.string(), "", "variability type, VSX, nearest within 1.5″", NO_MATCH),),
    _variability_type,
)


def build_mangrove(_config: Config) -> Module:
    """Return the module of the column ``mangrove``: names and distances of the nearest galaxy, all as text."""

    def prepare() -> None:
        catalogues.mangrove()

    kind = pa.map_(pa.string(), pa.string())
    nothing = dict.fromkeys(MANGROVE_KEYS, "None")
    output = Column("mangrove", kind, "Mpc", "galaxy names and distances, nearest within 60″", nothing)
    reference = "Ducoin et al. 2020, MNRAS 492, 4768"
    return Module(
        "mangrove", "1", reference, POSITION, (output,), _galaxy, prepare, lambda: digests_of(catalogues.MANGROVE)
    )


def _galaxy(batch: AlertBatch) -> Outputs:
    ra, dec = batch.numbers("ra"), batch.numbers("dec")
    catalogue = catalogues.mangrove()
    rows = catalogue.rows(ra, dec, WIDE_RADIUS)
    matched = np.flatnonzero(rows != NO_ROW)
    nearest = catalogue.labels.take(pa.array(rows[matched]))
    keys = len(MANGROVE_KEYS)
    values = np.full((len(batch), keys), "None", dtype=object)
    for position, key in enumerate(MANGROVE_KEYS):
        # Python's own text of a number, as published; pyarrow would write it differently. One alert in 15 has a galaxy
        values[matched, position] = [str(value) for value in nearest[key].to_pylist()]
    offsets = pa.array(np.arange(len(batch) + 1) * keys, pa.int32())
    names = pc.take(pa.array(MANGROVE_KEYS, pa.string()), pa.array(np.tile(np.arange(keys), len(batch))))
    galaxies = pa.MapArray.from_arrays(offsets, names, pa.array(values.ravel(), pa.string()))
    return {"mangrove": galaxies, SKIPPED: ~on_sky(ra, dec)}
