"""What the API wants to know from outside; `http` services answer it, and `none` says that nobody is asked.

Every method may raise `fink_broker.portal.providers.away.ServiceAway`, within the time-out, and never anything else
that is the service's fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True)
class SkyObject:
    """What a resolver of the CDS knows of a name; texts as it gives them, empty where it says nothing.

    Parameters
    ----------
    name : str
        Which resolver, e.g. ``S=Simbad (CDS, via url)``.
    oid : str
        Its internal number.
    oname : str
        The object's main name.
    otype : str
        Its type.
    jpos : str
        Position, sexagesimal, ICRS.
    jradeg, jdedeg : str
        Right ascension and declination in degrees, ICRS.
    refPos : str
        Bibcode of the position.
    MType : str
        Morphological or spectral type.
    nrefs : str
        Number of papers about it.
    """

    name: str = ""
    oid: str = ""
    oname: str = ""
    otype: str = ""
    jpos: str = ""
    jradeg: str = ""
    jdedeg: str = ""
    refPos: str = ""
    MType: str = ""
    nrefs: str = ""


SKY_OBJECT_FIELDS = tuple(field.name for field in fields(SkyObject))


@dataclass(frozen=True)
class SmallBody:
    """An asteroid or a comet.

    Parameters
    ----------
    name : str
        Official name, or designation where it has none.
    number : int or None
        IAU number.
    is_comet : bool
        Whether it is a comet.
    aliases : tuple of str
        Other names and designations.
    """

    name: str
    number: int | None = None
    is_comet: bool = False
    aliases: tuple[str, ...] = ()


class NameResolver(Protocol):
    """From names to positions: CDS Sesame."""

    def resolve(self, name: str) -> Sequence[SkyObject]:
        """Return what is known by that name, nothing if nothing is."""


class SolarSystemNames(Protocol):
    """From any name of a solar system object to its official one: quaero, of SsODNet."""

    def identify(self, name: str) -> SmallBody | None:
        """Return the object that goes by that name or number, None if none does."""


class Ephemerides(Protocol):
    """Where solar system objects were and how they were lit: Miriade, of the IMCCE."""

    def at(self, name: str, is_comet: bool, jd: npt.NDArray[np.float64]) -> pa.Table | None:
        """Return ephemerides of an object, seen from Palomar, or None if the service does not know the object.

        Parameters
        ----------
        name : str
            Official name, number or designation.
        is_comet : bool
            Comets have no colours.
        jd : numpy.ndarray
            Middle of each exposure, days (UTC).

        Returns
        -------
        pyarrow.Table
            One row an epoch, in their order; ``Dobs``, ``Dhelio`` (au) and ``Phase`` (deg) among the columns.
        """


class SkymapSource(Protocol):
    """Skymaps of gravitational-wave events: GraceDB."""

    def skymap(self, event: str) -> bytes | None:
        """Return the FITS file (it may be gzipped) of an event's skymap, or None if it has none."""


@dataclass(frozen=True)
class Providers:
    """All services outside.

    Parameters
    ----------
    sesame : NameResolver
        Names on the sky.
    quaero : SolarSystemNames
        Names of solar system objects.
    miriade : Ephemerides
        Ephemerides.
    gracedb : SkymapSource
        Skymaps.
    """

    sesame: NameResolver
    quaero: SolarSystemNames
    miriade: Ephemerides
    gracedb: SkymapSource
