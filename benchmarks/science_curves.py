"""Alerts with histories of a given length, so that some of them pass the cuts of each module.

Four kinds take turns: a slow transient that was detected each time, a variable star, a blazar of the list that the
broker watches, and now and then a young transient: at most twenty detections of the last two weeks, upper limits
before. Real packets hold 30 days; longer histories are what a survey of its whole past would send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.alert.batch import field_types
from fink_broker.alert.lightcurve import HISTORY
from fink_broker.science.files import checked_file
from fink_broker.science.pipeline import Pipeline

Floats = npt.NDArray[np.float64]

#: jd (days) of the alerts.
NOW = 2460236.75
BLAZARS = "catalogs/CTAO_blazars_ztf_dr22.parquet"
#: Depth of an exposure (mag), and error of a measurement at that depth.
LIMIT, ERROR_AT_LIMIT = 20.6, 0.2
#: Most detections of a young transient, and the days they span.
YOUNG_DETECTIONS, YOUNG_DAYS = 20, 14.0
#: Days of a slow transient: the supernova networks look at 90.
SLOW_DAYS = 85.0
#: Detections ever of what is not young, whatever the packet holds: the microlensing module looks at fewer than 100.
OLD_DETECTIONS = 99


@dataclass(frozen=True)
class Curve:
    """The light curve of an alert, its own point last.

    Parameters
    ----------
    name : str
        objectId.
    jd, magpsf : numpy.ndarray
        Times and magnitudes, NaN for an upper limit.
    jdstarthist : float
        First detection ever.
    ndethist : int
        Detections ever.
    reference : float
        Magnitude of the source in the reference image.
    """

    name: str
    jd: Floats
    magpsf: Floats
    jdstarthist: float
    ndethist: int
    reference: float


def young(rng: np.random.Generator, points: int, number: int) -> Curve:
    """Return a transient on its rise."""
    detected = min(points, YOUNG_DETECTIONS)
    times = np.sort(NOW - rng.uniform(0.02, YOUNG_DAYS, detected - 1))
    before = NOW - YOUNG_DAYS - np.arange(points - detected, 0, -1)
    jd = np.concatenate([before, times, [NOW]])
    rise = 20.0 - 1.8 * (jd - jd[-detected]) / YOUNG_DAYS
    magnitude = np.where(np.arange(points) < points - detected, np.nan, rise)
    return Curve(f"ZTF23young{number}", jd, magnitude, float(jd[-detected]), detected, 22.5)


def slow(rng: np.random.Generator, points: int, number: int) -> Curve:
    """Return a transient past its maximum, detected at every visit."""
    jd = np.sort(np.append(NOW - rng.uniform(0.02, SLOW_DAYS, points - 1), NOW))
    phase = jd - NOW + rng.uniform(20, 60)
    magnitude = 18.0 + np.where(phase < 0, (phase / 15.0) ** 2, 0.03 * phase)
    return Curve(f"ZTF23slow{number}", jd, np.minimum(magnitude, 20.2), float(jd[0]), OLD_DETECTIONS, 22.0)


def variable(rng: np.random.Generator, points: int, number: int) -> Curve:
    """Return a star that varies with a period, and now and then brightens once as if by a lens."""
    jd = np.sort(np.append(NOW - rng.uniform(0.02, 30.0 + points, points - 1), NOW))
    span = jd[-1] - jd[0] + 1.0
    period = rng.uniform(0.3, 30.0)
    magnitude = 17.5 + rng.uniform(0.1, 0.5) * np.sin(2 * np.pi * jd / period)
    if number % 2:
        magnitude = 18.5 - 1.5 / (1 + ((jd - jd[0] - span / 2) / (0.1 * span)) ** 2)
    return Curve(f"ZTF18var{number}", jd, magnitude, float(jd[0] - 300.0), OLD_DETECTIONS, 17.0)


def blazar(rng: np.random.Generator, points: int, number: int) -> Curve:
    """Return a listed blazar on a random walk."""
    jd = np.sort(np.append(NOW - rng.uniform(0.02, 30.0 + points, points - 1), NOW))
    walk = np.cumsum(rng.normal(0, 0.05, points))
    magnitude = 18.0 + walk - walk.mean()
    names = _blazar_names()
    name = names[number % len(names)]
    return Curve(name, jd, np.clip(magnitude, 15.0, 20.2), float(jd[0] - 900.0), points + 300, 17.5)


#: In turn. Few are young: a fit to one costs as much as all else of a hundred alerts, and few real ones come to it.
KINDS: tuple[Callable[[np.random.Generator, int, int], Curve], ...] = (slow, variable, blazar) * 5 + (young,)


def _blazar_names() -> list[str]:
    names = pq.read_table(checked_file(BLAZARS), columns=["ZTF Name"])["ZTF Name"].to_pylist()
    return [name for name in names if name]


def make_batch(pipeline: Pipeline, points: int, alerts: int, seed: int) -> pa.StructArray:
    """Return a batch of such alerts for a pipeline.

    Parameters
    ----------
    pipeline : Pipeline
        Whose fields are given; a field that no curve has is null, and so are images.
    points : int
        Points of each light curve, the alert's own included.
    alerts : int
        How many.
    seed : int
        Which.
    """
    rng = np.random.default_rng(seed)
    curves = [KINDS[number % len(KINDS)](rng, points, number) for number in range(alerts)]
    flat = _points(rng, curves)
    last = np.arange(1, alerts + 1) * points - 1
    positions = {"ra": rng.uniform(0, 360, alerts), "dec": np.degrees(np.arcsin(rng.uniform(-0.5, 1, alerts)))}
    flat |= {name: np.repeat(values, points) for name, values in positions.items()}
    root = {"candid": 10**18 + np.arange(alerts), "objectId": [curve.name for curve in curves]}
    current = {name: values[last] for name, values in flat.items()} | {
        "jdstarthist": [curve.jdstarthist for curve in curves],
        "ndethist": [curve.ndethist for curve in curves],
        "ssdistnr": np.full(alerts, -999.0),
        "sgscore1": rng.uniform(0, 1, alerts),
        "distpsnr1": rng.uniform(0, 10, alerts),
        "rb": np.full(alerts, 0.9),
        "drb": np.full(alerts, 0.9),
        "classtar": np.full(alerts, 0.9),
    }
    return _assemble(pipeline, root, current, flat, points)


def _points(rng: np.random.Generator, curves: list[Curve]) -> dict[str, np.ndarray]:
    """Return the fields of all points of all curves, one after the other."""
    magnitude = np.concatenate([curve.magpsf for curve in curves])
    error = ERROR_AT_LIMIT * 10 ** (0.4 * (np.nan_to_num(magnitude, nan=LIMIT) - LIMIT)) + 0.01
    size = len(magnitude)
    reference = np.concatenate([np.full(len(curve.jd), curve.reference) for curve in curves])
    return {
        "jd": np.concatenate([curve.jd for curve in curves]),
        # bands take turns, and now and then two of one follow each other
        "fid": (np.arange(size) + (rng.random(size) < 0.1)) % 2 + 1,
        "magpsf": magnitude + error * rng.normal(size=size),
        "sigmapsf": np.where(np.isnan(magnitude), np.nan, error),
        "diffmaglim": LIMIT + rng.normal(0, 0.2, size),
        "magnr": reference + rng.normal(0, 0.01, size),
        "sigmagnr": np.full(size, 0.02),
        "distnr": np.full(size, 0.4),
        "isdiffpos": np.full(size, "t"),
    }


def _assemble(
    pipeline: Pipeline, root: dict[str, object], current: dict[str, object], flat: dict[str, np.ndarray], points: int
) -> pa.StructArray:
    alerts = len(root["candid"])  # type: ignore[arg-type]
    root_types, candidate_types, history_types = field_types()
    columns = {name: _array(root.get(name), root_types[name], alerts) for name in pipeline.root_fields}
    for name in pipeline.candidate_fields:
        columns[name] = _array(current.get(name), candidate_types[name], alerts)
    past = np.ones(alerts * points, dtype=bool)
    past[points - 1 :: points] = False
    offsets = pa.array(np.arange(alerts + 1, dtype=np.int32) * (points - 1))
    for name in pipeline.history_fields:
        values = flat[name][past] if name in flat else None
        items = _array(values, history_types[name], alerts * (points - 1))
        columns[HISTORY + name] = pa.ListArray.from_arrays(offsets, items)
    for name in pipeline.cutouts:
        columns[f"cutout{name}"] = pa.nulls(alerts, pa.binary())
    return pa.StructArray.from_arrays(list(columns.values()), names=list(columns))


def _array(values: object, kind: pa.DataType, length: int) -> pa.Array:
    if values is None:
        return pa.nulls(length, kind)
    return pa.array(values, from_pandas=True).cast(kind, safe=False)
