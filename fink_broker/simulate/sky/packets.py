"""From an object and its measurements to an alert packet of schema 4.02."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fink_broker.simulate.sky.cutouts import Scene, draw_stamps, fits_gz
from fink_broker.simulate.sky.exposures import Exposure
from fink_broker.simulate.sky.fields import HEIGHT, PIXEL, WIDTH
from fink_broker.simulate.sky.names import CANDIDATE, CANDIDATE_SINGLE, FORCED_SINGLE
from fink_broker.simulate.sky.neighbours import ABSENT
from fink_broker.simulate.sky.observing import RAW, RB_VERSION, Epochs, TrackedObject
from fink_broker.simulate.sky.units import flux_of

Packet = dict[str, Any]

PUBLISHER = "ZTF (www.ztf.caltech.edu)"
SCHEMA_VERSION = "4.02"
#: Days of history a packet brings, and share of alerts with bad pixels
HISTORY = 30.0
_BAD_PIXELS = 0.02
_DRB_VERSION = "d6_m7"
#: The reference images were taken from March to August 2018
_REFERENCE = (2458180.8, 2458340.7)
_SURVEY_START = 2458200.6
#: Epochs of the 120 remembered days are a fraction of those since the survey began
_REMEMBERED = 120.0


def build_packet(rng: np.random.Generator, object_: TrackedObject, epochs: Epochs) -> Packet:
    """Return the alert of an object in the latest epoch of its field.

    Parameters
    ----------
    rng : Generator
        Source of randomness.
    object_ : TrackedObject
        The object, measured in all epochs; its last row is the detection that is sent.
    epochs : Epochs
        The field's exposures.
    """
    exposure = epochs.exposures[-1]
    row = object_.rows[-1]
    if row is None:
        raise ValueError("an object is not detected in its latest epoch")
    candidate = build_candidate(rng, object_, epochs, row)
    first = int(np.searchsorted(epochs.jd, exposure.jd - HISTORY))
    previous = [dict(r) for r in object_.rows[first:-1] if r is not None]
    candid = candidate["candid"]
    science, template, difference = (fits_gz(s) for s in draw_stamps(rng, scene_of(object_, epochs)))
    prefix = f"candid{candid}"
    return {
        "schemavsn": SCHEMA_VERSION,
        "publisher": PUBLISHER,
        "objectId": object_.name,
        "candid": candid,
        "candidate": candidate,
        "prv_candidates": previous or None,
        "fp_hists": forced_photometry(object_, epochs, first) if object_.forced else None,
        "cutoutScience": {"fileName": f"{prefix}_pid{candidate['pid']}_targ_sci.fits.gz", "stampData": science},
        "cutoutTemplate": {"fileName": f"{prefix}_ref.fits.gz", "stampData": template},
        "cutoutDifference": {
            "fileName": f"{prefix}_pid{candidate['pid']}_targ_refmsci.fits.gz",
            "stampData": difference,
        },
    }


def build_candidate(
    rng: np.random.Generator, object_: TrackedObject, epochs: Epochs, row: dict[str, Any]
) -> dict[str, Any]:
    """Return the candidate record: the row of the latest epoch and all that only a current detection has."""
    exposure, channel, drawn = epochs.exposures[-1], object_.channel, object_.drawn
    chance = rng.random(4).tolist()
    values = dict(row)
    values.update(object_.neighbours.fields)
    values.update(_minor_planet(object_))
    values.update(_history_counts(object_, epochs))
    matched = values["scorr"] * drawn["matched"]
    peak = matched * drawn["peak"]
    reference_span = _REFERENCE[1] - _REFERENCE[0]
    values.update(
        pdiffimfilename=exposure.file_name(channel),
        nbad=1 + int(3 * chance[1]) if chance[0] < _BAD_PIXELS else 0,
        tooflag=0,
        rfid=exposure.field.number * 1_000_000 + 120_000 + exposure.fid * 100 + channel,
        jdstartref=_REFERENCE[0] + 0.3 * reference_span * (exposure.field.number % 7) / 7.0,
        jdendref=_REFERENCE[1] + (exposure.field.number % 5),
        nframesref=15 + (exposure.field.number * 7 + channel) % 11,
        dsnrms=peak,
        ssnrms=matched,
        dsdiff=peak - matched,
        nmatches=exposure.calibrators,
        zpclrcov=-2.0 * exposure.zero_point_error,
        zpmed=exposure.zero_point + 0.01 + 0.02 * chance[2],
        clrmed=0.5 + 0.25 * chance[3],
        clrrms=0.2 + 0.08 * chance[2],
        exptime=30.0,
        drb=drawn["drb"],
        drbversion=_DRB_VERSION,
        rbversion=RB_VERSION,
    )
    _round_single(values, CANDIDATE_SINGLE)
    return {name: values[name] for name in CANDIDATE}


def _round_single(values: dict[str, Any], names: tuple[str, ...]) -> None:
    """Round the named values to 32-bit numbers, as they are sent."""
    rounded = np.array([values[name] for name in names], dtype=np.float32).tolist()
    values.update(zip(names, rounded, strict=True))


def _minor_planet(object_: TrackedObject) -> dict[str, Any]:
    """Return the fields of the nearest known minor planet."""
    known = object_.source.known
    if known is None:
        return {"ssdistnr": ABSENT, "ssmagnr": ABSENT, "ssnamenr": "null"}
    return {"ssdistnr": known.distance, "ssmagnr": known.mag, "ssnamenr": known.name}


def _history_counts(object_: TrackedObject, epochs: Epochs) -> dict[str, Any]:
    """Return first and last detection and how often the place was detected and covered since the survey began."""
    now = epochs.exposures[-1].jd
    seen = object_.significance >= RAW
    seen[-1] = True
    detected = int(seen.sum())
    start = float(epochs.jd[np.argmax(seen)])
    if object_.source.age > _REMEMBERED:
        start = max(now - object_.source.age, _SURVEY_START)
        detected = round(max(detected, 2) * max((now - start) / _REMEMBERED, 1.0))
    return {
        "ndethist": detected,
        "ncovhist": max(object_.coverage, detected) + len(epochs),
        "jdstarthist": start,
        "jdendhist": now,
    }


def forced_photometry(object_: TrackedObject, epochs: Epochs, first: int) -> list[dict[str, Any]]:
    """Return the forced measurements of the epochs from number `first` to the current one."""
    near, channel = object_.neighbours, object_.channel
    counts = (object_.flux / epochs.per_count)[first:].tolist()
    errors = (object_.error / epochs.per_count)[first:].tolist()
    distance = math.hypot(object_.source.reference.offset, 0.02)
    rows = []
    for k, exposure in enumerate(epochs.exposures[first:]):
        band = exposure.fid - 1
        row = {
            "field": exposure.field.number,
            "rcid": channel,
            "fid": exposure.fid,
            "pid": exposure.pid(channel),
            "rfid": exposure.field.number * 1_000_000 + 120_000 + exposure.fid * 100 + channel,
            "sciinpseeing": exposure.seeing,
            "scibckgnd": sky_level(exposure),
            "scisigpix": pixel_noise(exposure),
            "magzpsci": exposure.zero_point,
            "magzpsciunc": exposure.zero_point_error,
            "magzpscirms": exposure.zero_point_scatter,
            "clrcoeff": exposure.colour_term,
            "clrcounc": 2.0 * exposure.zero_point_error,
            "exptime": 30.0,
            "adpctdif1": 0.07 + 0.01 * exposure.seeing,
            "adpctdif2": 0.06 + 0.01 * exposure.seeing,
            "diffmaglim": exposure.limit,
            "programid": 1,
            "jd": exposure.jd,
            "forcediffimflux": counts[k],
            "forcediffimfluxunc": errors[k],
            "procstatus": "0",
            "distnr": distance,
            "ranr": near.ra,
            "decnr": near.dec,
            "magnr": near.mags[band],
            "sigmagnr": near.errors[band],
            "chinr": near.chi,
            "sharpnr": near.sharp,
        }
        _round_single(row, FORCED_SINGLE)
        rows.append(row)
    return rows


def pixel_noise(exposure: Exposure) -> float:
    """Return the noise of a pixel (DN) that gives the exposure's limiting magnitude."""
    return 10.0 ** (0.4 * (exposure.zero_point - exposure.limit)) / 5.0 / (3.545 * exposure.seeing / 2.3548)


def sky_level(exposure: Exposure) -> float:
    """Return the level of the sky (DN) whose photons make the noise of a pixel, at 6.2 electrons per DN."""
    return min(6.2 * pixel_noise(exposure) ** 2 * 0.6, 3000.0)


def scene_of(object_: TrackedObject, epochs: Epochs) -> Scene:
    """Return what the stamps of an object's latest detection show."""
    exposure = epochs.exposures[-1]
    per_count = float(epochs.per_count[-1])
    near, reference = object_.neighbours, object_.source.reference
    east = ((near.ra - object_.ra + 180.0) % 360.0 - 180.0) * math.cos(math.radians(object_.dec)) * 3600.0
    north = (near.dec - object_.dec) * 3600.0
    dx = (object_.x + 0.5) % 1.0 - 0.5
    dy = (object_.y + 0.5) % 1.0 - 0.5
    return Scene(
        counts=float(object_.flux[-1]) / per_count,
        seeing=exposure.seeing,
        limit_counts=10.0 ** (0.4 * (exposure.zero_point - exposure.limit)),
        dx=dx,
        dy=dy,
        template_counts=float(flux_of(reference.mags[exposure.fid - 1])) / per_count,
        template_dx=dx - east / PIXEL,
        template_dy=dy + north / PIXEL,
        template_size=reference.size / PIXEL,
        axis_ratio=reference.axis_ratio,
        angle=reference.angle,
        background=sky_level(exposure),
        defect=object_.source.defect,
    )


def inside(x: float, y: float) -> bool:
    """Tell whether a pixel is far enough from the edges for whole stamps."""
    return 33.0 < x < WIDTH - 33.0 and 33.0 < y < HEIGHT - 33.0
