"""Light curves as alerts show them: observed as by the survey, or taken from real packets, and cut at random alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.kilonova_light import draw_artefact, draw_dwarf_nova, draw_kilonova, draw_stripped
from fink_broker.alert.lightcurve import Floats, Ints
from fink_broker.science.batch import AlertBatch
from fink_broker.simulate.retime import retime
from fink_broker.simulate.sky.exposures import clear_nights, expose, night_start, past_exposures
from fink_broker.simulate.sky.fields import all_fields
from fink_broker.simulate.sky.models import MODELS
from fink_broker.simulate.sky.observing import ALERT, Epochs
from fink_broker.simulate.sky.source import Model, Source, View
from fink_broker.simulate.sky.units import POGSON, ZERO_POINT
from fink_broker.simulate.sources import open_source

KILONOVA = "kilonova"
REAL = "real"
#: Days of history in a packet, and youngest age at which the module looks away.
HISTORY_DAYS, MAX_AGE_DAYS = 30.0, 20.0
#: Signal-to-noise ratio of a first detection. The survey goes down to 3, but there noise must also look like a source.
FIRST = 4.0
#: Most alerts taken from one object.
ALERTS_PER_OBJECT = 2
#: Share of fields that are visited every night, several times in each band.
DENSE_SHARE = 0.4
#: Variables are always there. They are looked at from a random time on, as if they had been too faint before.
ALWAYS_THERE = ("AGN", "RR Lyrae", "eclipsing binary", "artefact")

#: What is no kilonova, with its share.
CONTAMINANTS: dict[str, tuple[Model, float]] = {
    "SN Ia": (MODELS["SN Ia"], 0.18),
    "SN II": (MODELS["SN II"], 0.10),
    "SN Ib/c": (draw_stripped, 0.12),
    "dwarf nova": (draw_dwarf_nova, 0.20),
    "AGN": (MODELS["AGN"], 0.10),
    "RR Lyrae": (MODELS["RR Lyrae"], 0.07),
    "eclipsing binary": (MODELS["eclipsing binary"], 0.05),
    "microlensing": (MODELS["microlensing"], 0.08),
    "artefact": (draw_artefact, 0.10),
}


@dataclass(frozen=True)
class Curve:
    """The detections an alert shows, the last one its own.

    Parameters
    ----------
    kind : str
        What it is.
    object_name : str
        All curves of an object share it.
    jd, fid, magpsf, sigmapsf : numpy.ndarray
        Detections in order of time.
    first_jd : float
        When it was first detected at all (``jdstarthist``).
    detected : int
        How often by then (``ndethist``).
    """

    kind: str
    object_name: str
    jd: Floats
    fid: Ints
    magpsf: Floats
    sigmapsf: Floats
    first_jd: float
    detected: int


def histories(rng: np.random.Generator, count: int) -> list[Epochs]:
    """Return 120 days of exposures of many fields, in all phases of the Moon and all kinds of weather."""
    fields = all_fields()
    found = []
    for number in range(count):
        start = night_start("20240101") + float(rng.integers(0, 360))
        field = fields[int(rng.integers(0, len(fields)))]
        now = start + float(rng.uniform(0.15, 0.48))
        clear = clear_nights(number, start)
        exposures = past_exposures(number, start, now, field, clear)
        if rng.random() < DENSE_SHARE:
            exposures = []
            visits = int(rng.integers(1, 4))
            for back in range(len(clear), 0, -1):
                if clear[back - 1]:
                    times = np.sort(start - back + rng.uniform(0.15, 0.48, 2 * visits))
                    exposures += [expose(rng, float(jd), 1 + k % 2, field) for k, jd in enumerate(times)]
        if len(exposures) > 10:
            found.append(Epochs(exposures))
    return found


def observe(rng: np.random.Generator, source: Source, epochs: Epochs, name: str) -> list[Curve]:
    """Return some alerts of a source, cut at random; none if it never has two detections in both bands.

    A real error is at times larger than thought: one measurement of a source in fifty is off by three times its error.
    """
    flux = source.flux(epochs.jd, epochs.fid)
    error = epochs.noise(flux, source.reference)
    outlier = np.where((rng.random(len(flux)) < 0.02) & (np.abs(flux) > error), 3.0, 1.0)
    measured = flux + error * outlier * rng.standard_normal(len(flux))
    if source.kind in ALWAYS_THERE:
        measured[epochs.jd < epochs.jd[0] + rng.uniform(0.0, 90.0)] = 0.0
    ratio = np.abs(measured) / error
    raw, good = np.flatnonzero(ratio >= FIRST), np.flatnonzero(ratio >= ALERT)
    if len(good) < 4:
        return []
    magpsf = ZERO_POINT - 2.5 * np.log10(np.abs(measured[good]))
    columns = (epochs.jd[good], epochs.fid[good], magpsf, POGSON / ratio[good])
    detected = np.searchsorted(raw, good, side="right")
    return cut(rng, source.kind, name, columns, float(epochs.jd[raw[0]]), detected)


def cut(
    rng: np.random.Generator, kind: str, name: str, columns: Sequence[np.ndarray], first_jd: float, detected: Ints
) -> list[Curve]:
    """Cut a light curve at random detections that are young enough and come after two in each band."""
    jd, fid = columns[0], columns[1]
    two = (np.cumsum(fid == 1) >= 2) & (np.cumsum(fid == 2) >= 2)
    ends = np.flatnonzero(two & (jd - first_jd < MAX_AGE_DAYS) & (detected <= 20))
    chosen = rng.permutation(ends)[:ALERTS_PER_OBJECT]
    curves = []
    for end in sorted(chosen.tolist()):
        shown = np.flatnonzero(jd[: end + 1] > jd[end] - HISTORY_DAYS)
        curves.append(Curve(kind, name, *[column[shown] for column in columns], first_jd, int(detected[end])))
    return curves


def simulate(
    rng: np.random.Generator, fields: Sequence[Epochs], model: Model, kind: str, objects: int, draws: int
) -> list[Curve]:
    """Draw sources until so many were seen well enough, or so many were drawn."""
    curves: list[Curve] = []
    seen = 0
    for number in range(draws):
        if seen >= objects:
            break
        epochs = fields[int(rng.integers(0, len(fields)))]
        # not in the first month, so that what came before can be seen
        at = int(rng.integers(len(epochs) // 4, len(epochs)))
        view = View(float(epochs.jd[at]), int(epochs.fid[at]), epochs.exposures[at].limit, 120.0)
        source = model(rng, view)
        found = observe(rng, source, epochs, f"{kind} {number}")
        seen += bool(found)
        curves += [Curve(kind, *list(vars(curve).values())[1:]) for curve in found]
    return curves


def simulate_all(rng: np.random.Generator, fields: Sequence[Epochs], kilonovae: int, others: int) -> list[Curve]:
    """Return curves of kilonovae and of everything else."""
    curves = simulate(rng, fields, draw_kilonova, KILONOVA, kilonovae, 400 * kilonovae)
    for kind, (model, share) in CONTAMINANTS.items():
        curves += simulate(rng, fields, model, kind, round(share * others), round(30 * share * others))
    return curves


def real_packets(folder: str) -> list[dict[str, Any]]:
    """Return real packets without images, each with the time its image numbers tell."""
    source = open_source(folder, print, synthetic_count=0, seed=0)
    packets: dict[int, dict[str, Any]] = {}
    for alert in source.alerts():
        packet = {name: value for name, value in alert.record.items() if not name.startswith("cutout")}
        packets.setdefault(packet["candid"], retime(packet))
    return list(packets.values())


def real_curve(packet: dict[str, Any]) -> Curve:
    """Return the curve of a packet just as it is."""
    candidate = packet["candidate"]
    points = [p for p in (*(packet["prv_candidates"] or []), candidate) if p["magpsf"] is not None]
    jd, fid, magpsf, sigmapsf = (np.array([p[name] for p in points]) for name in ("jd", "fid", "magpsf", "sigmapsf"))
    name, first = packet["objectId"], candidate["jdstarthist"]
    return Curve(REAL, name, jd, fid, magpsf, sigmapsf, first, candidate["ndethist"])


def real_cuts(rng: np.random.Generator, curve: Curve) -> list[Curve]:
    """Return alerts as the same object would have given them, had it been detected from a random time on only."""
    order = np.argsort(curve.jd, kind="stable")
    begin = int(rng.integers(0, len(order)))
    columns = [values[order][begin:] for values in (curve.jd, curve.fid, curve.magpsf, curve.sigmapsf)]
    return cut(rng, REAL, curve.object_name, columns, float(columns[0][0]), np.arange(1, len(columns[0]) + 1))


def batch_of(curves: Sequence[Curve]) -> AlertBatch:
    """Return the alerts as a science module sees them, nothing known at their positions."""
    offsets = np.concatenate([[0], np.cumsum([len(curve.jd) - 1 for curve in curves])]).astype(np.int32)
    columns: dict[str, pa.Array] = {}
    for name, kind in (("jd", pa.float64()), ("fid", pa.int32()), ("magpsf", pa.float32()), ("sigmapsf", pa.float32())):
        values = [getattr(curve, name) for curve in curves]
        past = pa.array(np.concatenate([value[:-1] for value in values])).cast(kind, safe=False)
        columns[f"prv_{name}"] = pa.ListArray.from_arrays(pa.array(offsets), past)
        columns[name] = pa.array([float(value[-1]) for value in values]).cast(kind, safe=False)
    columns["jdstarthist"] = pa.array([curve.first_jd for curve in curves], pa.float64())
    columns["ndethist"] = pa.array([int(curve.detected) for curve in curves], pa.int32())
    columns["cdsxmatch"] = pa.array(["Unknown"] * len(curves))
    return AlertBatch(columns, len(curves))
