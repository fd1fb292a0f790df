"""Columns computed while an answer is made: ``v:``. None is stored, all follow from the stored ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.alert.lightcurve import Floats
from fink_broker.config import Config
from fink_broker.portal.colours import Colours, Points, colours, decimals
from fink_broker.portal.constellations import constellation_names
from fink_broker.science import finkclass
from fink_broker.science.batch import AlertBatch

CLASSIFICATION = "d:classification"
_UNIX_EPOCH_JD = 2440587.5
_DAY_MS = 86_400_000
#: Days of the julian calendar that a date with four digits for the year can name.
_FIRST_JD, _LAST_JD = 1721060.5, 5373484.5
#: What a tracklet outdoes: every class but those below.
_ABOVE_TRACKLET = ("Solar System MPC", finkclass.AMBIGUOUS)
#: Columns the class is derived from where it was not stored.
_CLASS_INPUTS = {
    "cdsxmatch": ("d:cdsxmatch", pa.string()), "roid": ("d:roid", pa.int32()), "mulens": ("d:mulens", pa.float64()),
    "snn_snia_vs_nonia": ("d:snn_snia_vs_nonia", pa.float64()), "snn_sn_vs_all": ("d:snn_sn_vs_all", pa.float64()),
    "rf_snia_vs_nonia": ("d:rf_snia_vs_nonia", pa.float64()), "ndethist": ("i:ndethist", pa.int32()),
    "drb": ("i:drb", pa.float32()), "classtar": ("i:classtar", pa.float32()), "jd": ("i:jd", pa.float64()),
    "jdstarthist": ("i:jdstarthist", pa.float64()), "rf_kn_vs_nonkn": ("d:rf_kn_vs_nonkn", pa.float64()),
}  # fmt: skip


@dataclass(frozen=True)
class ComputedColumn:
    """A computed column.

    Parameters
    ----------
    doc : str
        What it is, with its unit.
    type : str
        ``string``, ``double``.
    needs : tuple of str
        Stored columns it follows from.
    compute : callable, optional
        From rows with these columns to the values; those of light curves are computed together.
    """

    doc: str
    type: str
    needs: tuple[str, ...]
    compute: Callable[[pa.Table], pa.Array] | None = None


def classification(alerts: pa.Table) -> pa.Array:
    """Return the class of alerts: the stored one, else by the rules of :mod:`fink_broker.science.finkclass`."""
    if CLASSIFICATION in alerts.column_names:
        return alerts[CLASSIFICATION].combine_chunks()
    columns = {name: _column(alerts, source, kind) for name, (source, kind) in _CLASS_INPUTS.items()}
    found = finkclass.build(Config()).compute(AlertBatch(columns, len(alerts)))["finkclass"]
    if "d:tracklet" not in alerts.column_names:
        return found
    label = columns["cdsxmatch"]
    moves = pc.not_equal(alerts["d:tracklet"].combine_chunks(), "").fill_null(False)
    stronger = pc.or_(pc.is_in(found, value_set=pa.array(_ABOVE_TRACKLET)), pa.array(finkclass.has_simbad_class(label)))
    return pc.if_else(pc.and_(moves, pc.invert(stronger)), "Tracklet", found)


def dates(jd: Floats) -> pa.Array:
    """Return julian dates (days, UTC) as ``YYYY-MM-DD hh:mm:ss.sss``, null where there is no such date."""
    with np.errstate(invalid="ignore"):
        there = (jd >= _FIRST_JD) & (jd < _LAST_JD)
    milliseconds = np.round((np.where(there, jd, _UNIX_EPOCH_JD) - _UNIX_EPOCH_JD) * _DAY_MS).astype(np.int64)
    texts = pc.strftime(pa.array(milliseconds).cast(pa.timestamp("ms")), format="%Y-%m-%d %H:%M:%S")
    return pc.if_else(pa.array(there), texts, pa.scalar(None, pa.string()))


def lapse(alerts: pa.Table) -> pa.Array:
    """Return the days between the first detection of the object and the alert."""
    return _numbers(decimals(alerts["i:jd"]) - decimals(alerts["i:jdstarthist"]))


def constellation(alerts: pa.Table) -> pa.Array:
    """Return the full name of the constellation of alerts."""
    return pa.array(constellation_names(decimals(alerts["i:ra"]), decimals(alerts["i:dec"])), pa.string())


_POINTS = ("i:objectId", "i:jd", "i:fid", "i:magpsf", "i:sigmapsf")
COMPUTED: Mapping[str, ComputedColumn] = {
    "v:classification": ComputedColumn(
        "class of the alert: SIMBAD's where it has one, else what the broker's modules say", "string",
        (CLASSIFICATION,), classification,
    ),
    "v:lastdate": ComputedColumn(
        "exposure time of the alert, ISO, UTC", "string", ("i:jd",), lambda alerts: dates(decimals(alerts["i:jd"]))
    ),
    "v:firstdate": ComputedColumn(
        "time of the first detection of the object, ISO, UTC", "string", ("i:jdstarthist",),
        lambda alerts: dates(decimals(alerts["i:jdstarthist"])),
    ),
    "v:lapse": ComputedColumn(
        "days between the first detection of the object and the alert", "double", ("i:jd", "i:jdstarthist"), lapse
    ),
    "v:constellation": ComputedColumn("constellation (IAU, full name)", "string", ("i:ra", "i:dec"), constellation),
    "v:rate": ComputedColumn("change of magnitude since the previous point of the band (mag/day)", "double", _POINTS),
    "v:sigma(rate)": ComputedColumn("error of v:rate (mag/day)", "double", _POINTS),
    "v:g-r": ComputedColumn("colour g − r of points within 0.3 days (mag)", "double", _POINTS),
    "v:sigma(g-r)": ComputedColumn("error of v:g-r (mag)", "double", _POINTS),
    "v:rate(g-r)": ComputedColumn("change of g − r since the previous one (mag/day)", "double", _POINTS),
    "v:sigma(rate(g-r))": ComputedColumn("error of v:rate(g-r) (mag/day)", "double", _POINTS),
}  # fmt: skip
#: Of all full rows; those of light curves are of objects only, and where they are asked for.
ALWAYS = tuple(name for name, column in COMPUTED.items() if column.compute)
COLOURS = tuple(name for name, column in COMPUTED.items() if not column.compute)


def needed(names: Iterable[str]) -> tuple[str, ...]:
    """Return the stored columns some computed ones follow from."""
    return tuple(dict.fromkeys(need for name in names for need in COMPUTED[name].needs))


def with_computed(alerts: pa.Table, names: Iterable[str], curves: pa.Table | None = None) -> pa.Table:
    """Add computed columns to alerts.

    Parameters
    ----------
    alerts : pyarrow.Table
        Alerts with the columns needed.
    names : iterable of str
        Which computed columns.
    curves : pyarrow.Table, optional
        What `with_colours` made of all alerts of the objects, or of those among ``alerts``, with ``i:candid``; default:
        ``alerts`` are all.
    """
    wanted = list(names)
    found: dict[str, pa.Array] = {}
    if set(wanted) & set(COLOURS):
        found = _colours_of(alerts) if curves is None else _looked_up(alerts, curves)
    for name in wanted:
        compute = COMPUTED[name].compute
        alerts = alerts.append_column(name, compute(alerts) if compute else found[name])
    return alerts


def with_colours(curves: pa.Table) -> pa.Table:
    """Add the columns of `COLOURS` to the alerts of whole light curves."""
    for name, values in _colours_of(curves).items():
        curves = curves.append_column(name, values)
    return curves


def _colours_of(curves: pa.Table) -> dict[str, pa.Array]:
    found = _in_order(colours(Points.of(curves)))
    return {name: _numbers(values) for name, values in zip(COLOURS, found, strict=True)}


def _looked_up(alerts: pa.Table, curves: pa.Table) -> dict[str, pa.Array]:
    rows = pc.index_in(alerts["i:candid"].combine_chunks(), value_set=curves["i:candid"].combine_chunks())
    return {name: curves[name].combine_chunks().take(rows) for name in COLOURS}


def _in_order(found: Colours) -> tuple[Floats, ...]:
    """Return the colours in the order of `COLOURS`."""
    return (
        found.rate, found.rate_error, found.colour, found.colour_error, found.colour_rate, found.colour_rate_error
    )  # fmt: skip


def _numbers(values: npt.NDArray[np.float64]) -> pa.Array:
    return pa.array(values, mask=~np.isfinite(values))


def _column(alerts: pa.Table, name: str, kind: pa.DataType) -> pa.Array:
    if name not in alerts.column_names:
        return pa.nulls(len(alerts), kind)
    return alerts[name].combine_chunks().cast(kind, safe=False)
