"""Catalogue neighbours of an alert: Pan-STARRS 1, Gaia, and the nearest source of the reference image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from fink_broker.simulate.sky.source import Reference
from fink_broker.simulate.sky.units import moved

#: how packets write "no such value" in a candidate
ABSENT = -999.0
#: a catalogue lists sources to about this magnitude
_PS1_DEPTH, _GAIA_DEPTH = 22.8, 20.6
#: shares of missing magnitudes in g, r, i, z of the first, and of the second and third, neighbours (as in real packets)
_MISSING_FIRST = (0.06, 0.05, 0.03, 0.05)
_MISSING_NEXT = (0.5, 0.37, 0.12, 0.25)


@dataclass(frozen=True)
class Neighbours:
    """What catalogues say around one object.

    Parameters
    ----------
    fields : dict
        Fields of a candidate that never change for the object (`sgmag1` … `maggaiabright`).
    ra, dec : float
        Position of the nearest source of the reference image (deg).
    mags : tuple of float
        Its magnitudes in g, r, i.
    errors : tuple of float
        Their errors.
    chi, sharp : float
        Its DAOPhot shape.
    """

    fields: dict[str, Any]
    ra: float
    dec: float
    mags: tuple[float, float, float]
    errors: tuple[float, float, float]
    chi: float
    sharp: float


def ps1_identifier(ra: float, dec: float, last: int) -> int:
    """Return a Pan-STARRS 1 objID: zone of 30″ from the south pole, ra in 10⁻⁶ deg, four last digits."""
    return int((dec + 90.0) * 120.0) * 10**13 + int(ra * 1e6) * 10**4 + last


def find_neighbours(rng: np.random.Generator, reference: Reference, ra: float, dec: float, crowd: int) -> Neighbours:
    """Draw the catalogue neighbours of an object.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    reference : Reference
        What stands at or near the position.
    ra, dec : float
        Position of the object (deg).
    crowd : int
        Number of Pan-STARRS sources within 30 arcsec (`nmtchps`).
    """
    angle = 2 * math.pi * float(rng.random())
    ra_near, dec_near = moved(ra, dec, reference.offset * math.sin(angle), reference.offset * math.cos(angle))
    fields = _pan_starrs(rng, reference, (ra, dec), (ra_near, dec_near), crowd)
    fields.update(_gaia(rng, reference))
    galaxy = reference.kind == "galaxy"
    chi, sharp = rng.random(2).tolist()
    return Neighbours(
        fields,
        ra_near,
        dec_near,
        reference.mags,
        _errors(reference.mags, floor=0.03 if galaxy else 0.012),
        1.2 + 4.0 * chi if galaxy else 0.35 + 0.7 * chi,
        0.45 * sharp if galaxy else 0.08 * (sharp - 0.7),
    )


def _errors(mags: tuple[float, float, float], floor: float) -> tuple[float, float, float]:
    """Return errors of reference magnitudes: a floor, and 0.2 mag at the depth of 22.5."""
    g, r, i = (round(min(math.hypot(floor, 0.2 * 10 ** (0.4 * (m - 22.5))), 0.36), 3) for m in mags)
    return g, r, i


def _pan_starrs(
    rng: np.random.Generator,
    reference: Reference,
    here: tuple[float, float],
    near: tuple[float, float],
    crowd: int,
) -> dict[str, Any]:
    """Return the fields of the three closest Pan-STARRS sources: the reference source first, then passers-by."""
    chance = rng.random((3, 9)).tolist()
    spacing = 30.0 / math.sqrt(max(crowd, 1))
    distance = reference.offset
    fields: dict[str, Any] = {}
    for k in range(1, 4):
        missing = _MISSING_FIRST if k == 1 else _MISSING_NEXT
        draw = chance[k - 1]
        if k > crowd:
            values, distance, score, identifier = [ABSENT] * 4, ABSENT, ABSENT, int(ABSENT)
        else:
            if k > 1:
                distance += spacing * (0.15 + draw[4])
            values = _magnitudes(reference.mags if k == 1 else None, draw)
            values = [
                ABSENT if c < m or v > _PS1_DEPTH else v for v, c, m in zip(values, draw[5:], missing, strict=True)
            ]
            score = _star_score(reference.kind if k == 1 else "field", draw[1])
            angle = 2 * math.pi * draw[2]
            place = near if k == 1 else moved(*here, distance * math.sin(angle), distance * math.cos(angle))
            identifier = ps1_identifier(*place, int(1e4 * draw[3]))
        fields.update(zip((f"sgmag{k}", f"srmag{k}", f"simag{k}", f"szmag{k}"), values, strict=True))
        fields[f"sgscore{k}"], fields[f"distpsnr{k}"], fields[f"objectidps{k}"] = score, distance, identifier
    fields["nmtchps"] = crowd
    return fields


def _magnitudes(known: tuple[float, float, float] | None, draw: list[float]) -> list[float]:
    """Return g, r, i, z magnitudes: of the reference source, or of a faint passer-by."""
    if known is None:
        red = 17.0 + 5.6 * math.sqrt(draw[0])
        colour = 0.2 + 1.1 * draw[2]
        known = (red + colour, red, red - 0.4 * colour)
    g, r, i = known
    return [g, r, i, i - 0.5 * (r - i)]


def _star_score(kind: str, chance: float) -> float:
    """Return `sgscore`: near 1 for stars, near 0 for galaxies, anything (often the undecided 0.5) for passers-by."""
    if kind == "star":
        return 1.0 - 0.09 * chance**2.5
    if kind == "galaxy":
        return 0.25 * chance**3
    return 0.5 if chance < 0.25 else (chance - 0.25) / 0.75


def _gaia(rng: np.random.Generator, reference: Reference) -> dict[str, float]:
    """Return distance and magnitude of the nearest Gaia source, and of the nearest brighter than magnitude 14."""
    chance = rng.random(4).tolist()
    mag = reference.mags[1]
    near = reference.offset
    if reference.kind == "field" or mag > _GAIA_DEPTH or (reference.kind == "galaxy" and reference.size > 1.5):
        near, mag = 4.0 + 40.0 * chance[0] ** 1.3, 15.0 + 5.4 * math.sqrt(chance[1])
    if mag < 14.0:
        bright, bright_mag = near, mag
    elif chance[2] < 0.4:
        bright, bright_mag = ABSENT, ABSENT
    else:
        bright, bright_mag = near + (88.0 - near) * math.sqrt(chance[2]), 9.5 + 4.5 * math.sqrt(chance[3])
    return {"neargaia": near, "neargaiabright": bright, "maggaia": mag, "maggaiabright": bright_mag}
