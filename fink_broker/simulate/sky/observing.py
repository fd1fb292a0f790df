"""Observing sources: noise, detections, and the rows a packet says about each exposure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fink_broker.simulate.sky.exposures import Exposure
from fink_broker.simulate.sky.fields import HEIGHT, PIXEL, WIDTH, Field
from fink_broker.simulate.sky.measurements import draw_measurements
from fink_broker.simulate.sky.names import PREVIOUS
from fink_broker.simulate.sky.neighbours import Neighbours
from fink_broker.simulate.sky.source import Reference, Source
from fink_broker.simulate.sky.units import POGSON, ZERO_POINT, Floats, Ints, flux_of, moved

#: Signal-to-noise ratio of an alert, and of a raw detection that counts in `ndethist`
ALERT, RAW = 5.0, 3.0
_GAIN = 6.2  # electrons per DN
_CALIBRATION = 0.02  # relative error of any difference flux
_RESIDUAL = {"star": 0.010, "galaxy": 0.005, "field": 0.0}  # of the reference source's flux, left by the subtraction
_PERSON = "Kulkarni"
RB_VERSION = "t17_f5_c3"
NO_PIXELS: dict[str, Any] = dict.fromkeys(PREVIOUS)


class Epochs:
    """A field's exposures, oldest first, also as columns: jd (days), fid, five times the noise (µJy), µJy per DN."""

    def __init__(self, exposures: list[Exposure]) -> None:
        self.exposures = exposures
        self.jd: Floats = np.array([e.jd for e in exposures])
        self.fid: Ints = np.array([e.fid for e in exposures], dtype=np.int64)
        self.five_sigma: Floats = np.array([flux_of(e.limit) for e in exposures])
        self.per_count: Floats = np.array([10.0 ** (-0.4 * (e.zero_point - ZERO_POINT)) for e in exposures])

    def __len__(self) -> int:
        return len(self.exposures)

    def noise(self, flux: Floats, reference: Reference) -> Floats:
        """Return the error (µJy) of difference fluxes (µJy): sky, photons of source and reference, subtraction."""
        close = reference.kind if reference.offset < 1.5 else "field"
        still = flux_of(np.array(reference.mags))[self.fid - 1] if close != "field" else 0.0
        photons = (np.abs(flux) + still) * self.per_count / _GAIN
        sky = self.five_sigma / ALERT
        return np.sqrt(sky**2 + photons + (_CALIBRATION * flux) ** 2 + (_RESIDUAL[close] * still) ** 2)


@dataclass
class TrackedObject:
    """A source with a name at a place in a field, and what was measured of it so far.

    Parameters
    ----------
    name : str
        objectId.
    source : Source
        What it is.
    serial : int
        Its running number in its readout channel: last digits of its candids.
    channel : int
        Readout channel.
    x, y : float
        Pixel coordinates.
    ra, dec : float
        Position (deg).
    neighbours : Neighbours
        Catalogue sources around it.
    coverage : int
        How often the survey had looked here before.
    forced : bool
        Whether its packets bring forced photometry.
    flux, error : array
        Measured difference fluxes and errors (µJy) in the field's epochs seen so far.
    rows : list
        What packets say about each of these epochs; None before the packets' history.
    drawn : dict
        Further measurements of the latest detection.
    """

    name: str
    source: Source
    serial: int
    channel: int
    x: float
    y: float
    ra: float
    dec: float
    neighbours: Neighbours
    coverage: int
    forced: bool
    flux: Floats = field(default_factory=lambda: np.empty(0))
    error: Floats = field(default_factory=lambda: np.empty(0))
    rows: list[dict[str, Any] | None] = field(default_factory=list)
    drawn: dict[str, float] = field(default_factory=dict)

    @property
    def last_jd(self) -> float:
        """Time of the latest detection (jd, days)."""
        row = self.rows[-1]
        return float(row["jd"]) if row is not None else math.nan

    @property
    def significance(self) -> Floats:
        """Signal-to-noise ratios, without sign."""
        return np.abs(self.flux) / self.error


def upper_limit(exposure: Exposure, field_: Field, channel: int) -> dict[str, Any]:
    """Return the row of an exposure in which nothing was detected: what is known of the image, the rest null."""
    row = NO_PIXELS.copy()
    row.update(_image(exposure, field_, channel))
    return row


def _single(value: float) -> float:
    """Return a number rounded to 32 bits, as it is sent."""
    return float(np.float32(value))


def _image(exposure: Exposure, field_: Field, channel: int) -> dict[str, Any]:
    """Return the values of a row that belong to the image alone."""
    return {
        "jd": exposure.jd,
        "fid": exposure.fid,
        "pid": exposure.pid(channel),
        "diffmaglim": _single(exposure.limit),
        "pdiffimfilename": exposure.archive_path(channel),
        "programpi": _PERSON,
        "programid": 1,
        "nid": exposure.night_number,
        "rcid": channel,
        "field": field_.number,
        "magzpsci": _single(exposure.zero_point),
        "magzpsciunc": _single(exposure.zero_point_error),
        "magzpscirms": _single(exposure.zero_point_scatter),
        "clrcoeff": _single(exposure.colour_term),
        "clrcounc": _single(2.0 * exposure.zero_point_error),
        "rbversion": RB_VERSION,
    }


def detections(
    rng: np.random.Generator,
    object_: TrackedObject,
    exposures: list[Exposure],
    flux: Floats,
    error: Floats,
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Return one row for each exposure in which an object was detected, and the last one's further measurements.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    object_ : TrackedObject
        The object.
    exposures : list of Exposure
        Exposures with a detection.
    flux, error : array
        Difference fluxes and errors in them (µJy).
    """
    drawn = draw_measurements(rng, object_.source.look, len(exposures))
    ratio = np.abs(flux) / error
    near = object_.neighbours
    shift = rng.normal(0.0, 0.5, (2, len(exposures))) / np.sqrt(ratio) * 0.6  # arcsec, east and north
    mag = ZERO_POINT - 2.5 * np.log10(np.abs(flux))
    mag_ap = mag + drawn["magdiff"]
    sigma_ap = POGSON / ratio * drawn["aperture"]
    limit = np.array([e.limit for e in exposures])
    fwhm, major, elong = drawn["fwhm"], drawn["aimage"], drawn["elong"]
    minor = major / elong
    dither = rng.normal(0.0, 12.0, (2, len(exposures)))
    dither[:, -1] = 0.0
    x = np.clip(object_.x + dither[0], 1.0, WIDTH - 1.0)
    y = np.clip(object_.y + dither[1], 1.0, HEIGHT - 1.0)
    cosine = math.cos(math.radians(object_.dec))
    ra_offset = ((near.ra - object_.ra + 180.0) % 360.0 - 180.0) * cosine * 3600.0
    dec_offset = (near.dec - object_.dec) * 3600.0
    distance = np.hypot(ra_offset - shift[0], dec_offset - shift[1]) / PIXEL
    edge = np.minimum(np.minimum(x, WIDTH - x), np.minimum(y, HEIGHT - y))
    columns = {
        "xpos": x,
        "ypos": y,
        "magpsf": mag,
        "sigmapsf": POGSON / ratio,
        "chipsf": drawn["chipsf"],
        "magap": mag_ap,
        "sigmagap": sigma_ap,
        "distnr": distance,
        "sky": drawn["sky"],
        "magdiff": drawn["magdiff"],
        "fwhm": fwhm,
        "classtar": drawn["classtar"],
        "mindtoedge": edge,
        "magfromlim": limit - mag_ap,
        "seeratio": drawn["seeratio"],
        "aimage": major,
        "bimage": minor,
        "aimagerat": major / fwhm,
        "bimagerat": minor / fwhm,
        "elong": elong,
        "rb": drawn["rb"],
        "sumrat": drawn["sumrat"],
        "magapbig": mag_ap + drawn["big"],
        "sigmagapbig": sigma_ap * drawn["bigger"],
    }
    names = tuple(columns)
    table = np.array(list(columns.values()), dtype=np.float32).T.tolist()
    score = np.maximum(ratio * drawn["score"], ALERT).tolist()
    negative_pixels = drawn["nneg"].astype(int).tolist()
    rows = []
    for k, exposure in enumerate(exposures):
        row = upper_limit(exposure, exposure.field, object_.channel)
        row.update(zip(names, table[k], strict=True))
        positive = bool(flux[k] > 0)
        ra, dec = moved(object_.ra, object_.dec, float(shift[0, k]), float(shift[1, k]))
        band = exposure.fid - 1
        row.update(
            candid=row["pid"] * 1_000_000 + (15_000 if positive else 10_000) + object_.serial,
            isdiffpos="t" if positive else "f",
            tblid=object_.serial,
            ra=ra,
            dec=dec,
            magnr=_single(near.mags[band]),
            sigmagnr=_single(near.errors[band]),
            chinr=_single(near.chi),
            sharpnr=_single(near.sharp),
            nneg=negative_pixels[k],
            nbad=0,
            ranr=near.ra,
            decnr=near.dec,
            scorr=score[k],
        )
        rows.append(row)
    last = {name: float(values[-1]) for name, values in drawn.items()}
    return rows, last
