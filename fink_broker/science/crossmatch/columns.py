"""Modules that name the nearest source of one catalogue on disk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.crossmatch import catalogues
from fink_broker.science.crossmatch.catalogue import Catalogue
from fink_broker.science.crossmatch.catalogues import MANGROVE_KEYS
from fink_broker.science.module import Column, Module, Needs, Outputs

POSITION = Needs(candidate=("ra", "dec"))
NO_MATCH = "Unknown"
#: Radii in arcsec: of point sources, of objects with poor positions or some extent.
POINT_RADIUS, WIDE_RADIUS = 1.5, 60.0


def build_gcvs(_config: Config) -> Module:
    """Return the module of the column ``gcvs``."""
    return label_module(
        "gcvs", "variability type, GCVS", "Samus et al. 2017, ARep 61, 80", catalogues.gcvs, POINT_RADIUS
    )


def build_vsx(_config: Config) -> Module:
    """Return the module of the column ``vsx``."""
    return label_module("vsx", "variability type, VSX", "Watson et al. 2006, SASS 25, 47", catalogues.vsx, POINT_RADIUS)


def build_3hsp(_config: Config) -> Module:
    """Return the module of the column ``x3hsp``."""
    source = catalogues.high_synchrotron_peaked
    return label_module("x3hsp", "blazar name, 3HSP", "Chang et al. 2019, A&A 632, A77", source, WIDE_RADIUS)


def build_4lac(_config: Config) -> Module:
    """Return the module of the column ``x4lac``."""
    source = catalogues.lat_agn
    return label_module("x4lac", "Fermi-LAT name, 4LAC-DR3", "Ajello et al. 2022, ApJS 263, 24", source, WIDE_RADIUS)


def label_module(
    name: str, meaning: str, reference: str, catalogue: Callable[[], Catalogue], radius_arcsec: float
) -> Module:
    """Return a module that writes the first label column of a catalogue.

    Parameters
    ----------
    name : str
        Name of the module and of its column.
    meaning, reference : str
        For the description of the column.
    catalogue : callable
        Loads the catalogue once a process.
    radius_arcsec : float
        Matches are strictly nearer.
    """

    def compute(batch: AlertBatch) -> Outputs:
        labels = catalogue().match(batch.numbers("ra"), batch.numbers("dec"), radius_arcsec)
        return {name: labels.column(0).combine_chunks().fill_null(NO_MATCH)}

    def prepare() -> None:
        catalogue()

    output = Column(name, pa.string(), "", f"{meaning}, nearest within {radius_arcsec:g}″", NO_MATCH)
    return Module(name, "1", reference, POSITION, (output,), compute, prepare)


def build_mangrove(_config: Config) -> Module:
    """Return the module of the column ``mangrove``: names and distances of the nearest galaxy, all as text."""

    def prepare() -> None:
        catalogues.mangrove()

    kind = pa.map_(pa.string(), pa.string())
    output = Column("mangrove", kind, "Mpc", "galaxy names and distances, nearest within 60″", dict.fromkeys(MANGROVE_KEYS, "None"))
    return Module("mangrove", "1", "Ducoin et al. 2020, MNRAS 492, 4768", POSITION, (output,), _galaxy, prepare)


def _galaxy(batch: AlertBatch) -> Outputs:
    nearest = catalogues.mangrove().match(batch.numbers("ra"), batch.numbers("dec"), WIDE_RADIUS)
    keys = len(MANGROVE_KEYS)
    values = np.empty((len(batch), keys), dtype=object)
    for position, key in enumerate(MANGROVE_KEYS):
        # Python's own text of a number, as published; pyarrow would write it differently
        values[:, position] = [str(value) for value in nearest[key].to_pylist()]
    offsets = pa.array(np.arange(len(batch) + 1) * keys, pa.int32())
    names = pc.take(pa.array(MANGROVE_KEYS, pa.string()), pa.array(np.tile(np.arange(keys), len(batch))))
    return {"mangrove": pa.MapArray.from_arrays(offsets, names, pa.array(values.ravel(), pa.string()))}
