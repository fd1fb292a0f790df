"""The light curve of an object as a plot: difference magnitude, apparent magnitude or flux; the colour below it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from fink_broker.alert.lightcurve import Floats, Mask
from fink_broker.alert.photometry import MAG_PER_RELATIVE_ERROR, ZERO_POINT_JY
from fink_broker.portal.colours import SAME_TIME_DAYS, Points, colours
from fink_broker.portal.web import photometry
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_NAMES, BAND_SHADES, figure

Mode = Literal["difference", "dc_magnitude", "dc_flux"]
MODES: tuple[Mode, ...] = get_args(Mode)
MODE_NAMES = {"difference": "Difference magnitude", "dc_magnitude": "DC magnitude", "dc_flux": "DC flux"}
#: Bands differ in shape, too.
SHAPES = {1: "circle", 2: "diamond", 3: "square"}
#: of points whose band is unknown
_GREY = "#868E96"
_MJD_ZERO = 2400000.5
_UNIX_EPOCH_JD = 2440587.5
_DAY_MS = 86_400_000
_G, _R = 1, 2
#: Shares of the height: the colour below, the light curve above.
_LOWER, _UPPER = (0.0, 0.26), (0.33, 1.0)
_COLOUR_HUE = "#7048E8"
_Texts = npt.NDArray[np.str_]


def light_curve(
    data: ObjectData,
    mode: Mode = "difference",
    *,
    colour: bool = False,
    height: int = 420,
    release: pd.DataFrame | None = None,
    hidden: Collection[int] = (),
) -> go.Figure:
    """Return the light curve of an object; ``customdata`` of a point is its candid as text, empty if it is no alert.

    Parameters
    ----------
    data : ObjectData
        The object.
    mode : {"difference", "dc_magnitude", "dc_flux"}
        What is plotted. Without a source behind (`photometry.is_source_behind`) the difference is all there is, and the
        other two show its magnitude and its flux.
    colour : bool
        Whether a panel below shows g − r of pairs within 0.3 days.
    height : int
        In pixels.
    release : pandas.DataFrame, optional
        Photometry of the ZTF data releases, columns jd (days), fid, mag, error (AB mag), for apparent magnitudes.
    hidden : collection of int
        Bands (fid) whose points are not shown; their names stay in the legend.
    """
    is_apparent = mode != "difference" and photometry.is_source_behind(data.alerts)
    value = "flux" if mode == "dc_flux" else "mag"
    plot = figure(height=height, uirevision=data.object_id)
    plot.add_traces(_released(release, mode))
    for rows, is_bad in ((data.alerts, False), (data.bad_quality, True)):
        points = measured(rows, mode, is_apparent=is_apparent)
        for band in sorted(points["fid"].unique()):
            of_band = points[points["fid"] == band]
            plot.add_traces(_bad_quality(of_band, band, value) if is_bad else _alerts(of_band, rows, band, value))
    if mode != "dc_flux" and not is_apparent:
        plot.add_traces(_upper_limits(data.upper_limits))
    if mode == "dc_magnitude" and is_apparent:
        _mark_reference(plot, data.alerts)
    hidden_groups = {group for band in hidden for group in legend_groups(band)}
    for trace in plot.data:
        trace.uid = f"{trace.name} {trace.marker.color}"  # what visitors hide stays hidden, whatever else is drawn
        trace.visible = "legendonly" if trace.legendgroup in hidden_groups else None
    plot.update_xaxes(title="Date (UTC)", type="date", hoverformat="%Y-%m-%d %H:%M:%S")
    reversed_axis = "reversed" if value == "mag" else True
    plot.update_yaxes(title=_axis_title(mode, is_apparent=is_apparent), autorange=reversed_axis, uirevision=mode)
    if colour:
        _add_colour(plot, data.alerts, is_apparent=mode != "difference" and is_apparent)
    return plot


def measured(rows: pd.DataFrame, mode: Mode, *, is_apparent: bool) -> pd.DataFrame:
    """Return what a mode plots, with the index of the rows.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), fid, error, and mag (AB mag) or flux (mJy).
    """
    if mode == "dc_flux":
        return photometry.apparent_flux(rows) if is_apparent else photometry.difference_flux(rows)
    return photometry.apparent_magnitudes(rows) if is_apparent else photometry.difference_magnitudes(rows)


def dates(jd: Floats) -> _Texts:
    """Return julian dates as the texts plots understand as times, to the millisecond."""
    milliseconds = np.round((np.asarray(jd) - _UNIX_EPOCH_JD) * _DAY_MS).astype(np.int64)
    return np.datetime_as_string(milliseconds.astype("datetime64[ms]"))


def band_name(band: int) -> str:
    """Return the name of a band as legends show it."""
    return BAND_NAMES.get(band, "other band")


def legend_groups(band: int) -> tuple[str, str]:
    """Return the ``legendgroup`` of the points of a band, and that of its photometry of the data releases."""
    name = band_name(band)
    return name, f"{name} DR"


def _axis_title(mode: Mode, *, is_apparent: bool) -> str:
    if mode == "dc_flux":
        return "Apparent flux (mJy)" if is_apparent else "Difference flux (mJy)"
    return "Apparent magnitude (AB)" if is_apparent else "Difference magnitude (AB)"


def _hover(jd: Floats, values: Sequence[str], words: str) -> list[str]:
    lines = (f"MJD {each - _MJD_ZERO:.5f}<br>{value}" for each, value in zip(jd, values, strict=True))
    return [f"{line}<br>{words}" if words else line for line in lines]


def _with_errors(points: pd.DataFrame, value: str) -> list[str]:
    """Return values with their errors, as hover texts say them."""
    unit, digits = ("mJy", 4) if value == "flux" else ("mag", 3)
    pairs = zip(points[value], points["error"], strict=True)
    return [f"{each:.{digits}f} ± {error:.{digits}f} {unit}" for each, error in pairs]


def _alerts(points: pd.DataFrame, alerts: pd.DataFrame, band: int, value: str) -> list[go.Scatter]:
    """Return the alerts of a band: brighter than the reference image, and fainter in a lighter shade."""
    name = band_name(band)
    positive = pd.Series(photometry.is_positive(alerts), alerts.index).loc[points.index]
    traces: list[go.Scatter] = []
    for sign, tone in ((True, BAND_COLOURS.get(band, _GREY)), (False, BAND_SHADES.get(band, _GREY))):
        some = points[positive == sign]
        if some.empty:
            continue
        texts = _hover(some["jd"].to_numpy(), _with_errors(some, value), f"{name} {'(+)' if sign else '(-)'}")
        traces.append(
            go.Scatter(
                x=dates(some["jd"].to_numpy()), y=some[value], mode="markers", name=name, legendgroup=name,
                showlegend=not traces, text=texts, hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
                customdata=alerts.loc[some.index, "i:candid"].astype(str).tolist(),
                error_y={"type": "data", "array": some["error"], "color": tone, "thickness": 1, "width": 0},
                marker={"color": tone, "symbol": SHAPES.get(band, "circle"), "size": 9},
            )
        )  # fmt: skip
    return traces


def _bad_quality(points: pd.DataFrame, band: int, value: str) -> list[go.Scatter]:
    name = band_name(band)
    tone = BAND_COLOURS.get(band, _GREY)
    texts = _hover(points["jd"].to_numpy(), _with_errors(points, value), f"{name}, bad quality")
    return [
        go.Scatter(
            x=dates(points["jd"].to_numpy()), y=points[value], mode="markers", name=f"{name}, bad quality",
            legendgroup=name, showlegend=False, text=texts, customdata=[""] * len(points),
            hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
            error_y={"type": "data", "array": points["error"], "color": tone, "thickness": 1, "width": 0},
            marker={"color": tone, "symbol": "triangle-up", "size": 8, "opacity": 0.75},
        )
    ]  # fmt: skip


def _upper_limits(limits: pd.DataFrame) -> list[go.Scatter]:
    """Return how deep the exposures went that did not show the object, one trace a band."""
    found = pd.DataFrame({"jd": photometry.column(limits, "i:jd"), "fid": photometry.column(limits, "i:fid"),
                          "mag": photometry.column(limits, "i:diffmaglim")}).dropna()  # fmt: skip
    traces = []
    for band in sorted(found["fid"].unique()):
        some = found[found["fid"] == band]
        name, jd = band_name(band), some["jd"].to_numpy()
        texts = _hover(jd, [f"> {magnitude:.3f} mag" for magnitude in some["mag"]], f"{name}, upper limit")
        marker = {"color": BAND_COLOURS.get(band, _GREY), "symbol": "triangle-down-open", "size": 7, "opacity": 0.65}
        traces.append(
            go.Scatter(
                x=dates(jd), y=some["mag"], mode="markers", name=f"{name}, upper limit", legendgroup=name,
                showlegend=False, text=texts, customdata=[""] * len(some), marker=marker,
                hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
            )
        )  # fmt: skip
    return traces


def _released(release: pd.DataFrame | None, mode: Mode) -> list[go.Scatter]:
    """Return photometry of the data releases, small, behind the alerts."""
    if release is None or mode == "difference":
        return []
    traces = []
    for band in sorted(release["fid"].unique()):
        some = release[release["fid"] == band]
        value, values, errors = "mag", some["mag"].to_numpy(), some["error"].to_numpy()
        if mode == "dc_flux":
            value, values = "flux", 10.0 ** (-0.4 * values) * photometry.MILLIJANSKY * ZERO_POINT_JY
            errors = errors / MAG_PER_RELATIVE_ERROR * values
        shown = pd.DataFrame({value: values, "error": errors})
        name, jd = band_name(band), some["jd"].to_numpy()
        traces.append(
            go.Scatter(
                x=dates(jd), y=values, mode="markers", name=f"{name}, data release", legendgroup=legend_groups(band)[1],
                text=_hover(jd, _with_errors(shown, value), f"{name}, data release"), customdata=[""] * len(some),
                hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
                marker={"color": BAND_SHADES.get(band, _GREY), "symbol": "cross", "size": 5, "opacity": 0.6},
            )
        )  # fmt: skip
    return traces


def _mark_reference(plot: go.Figure, alerts: pd.DataFrame) -> None:
    """Draw the mean magnitude of the reference source of each band."""
    magnitude, fid = photometry.column(alerts, "i:magnr"), photometry.column(alerts, "i:fid")
    for band, tone in BAND_COLOURS.items():
        known = magnitude[(fid == band) & (magnitude > 0)]
        if len(known):
            line = {"color": tone, "dash": "dash", "width": 1.5}
            label = {"text": f"reference, {band_name(band)}", "textposition": "end", "font": {"size": 11}}
            plot.add_hline(y=float(known.mean()), line=line, label=label)


def is_paired(jd: Floats, fid: Floats) -> Mask:
    """Tell which points are in g and have one in r within 0.3 days, of one object; times are julian dates (days)."""
    in_r = np.sort(jd[fid == _R])
    if not len(in_r):
        return np.zeros(len(jd), dtype=bool)
    after = np.searchsorted(in_r, jd)
    places = (np.maximum(after - 1, 0), np.minimum(after, len(in_r) - 1))
    nearest = np.minimum(*(np.abs(jd - in_r[place]) for place in places))
    return (fid == _G) & (nearest <= SAME_TIME_DAYS)


def colour_pairs(alerts: pd.DataFrame, *, is_apparent: bool) -> pd.DataFrame:
    """Return g − r at the g points that have an r point within 0.3 days.

    Returns
    -------
    pandas.DataFrame
        Columns jd (days), colour and error (mag), with the index of the alerts; may be empty.
    """
    points = photometry.apparent_magnitudes(alerts) if is_apparent else photometry.difference_magnitudes(alerts)
    arrays = [points[name].to_numpy() for name in ("jd", "fid", "mag", "error")]
    found = colours(Points(np.zeros(len(points), dtype=np.int64), *arrays))
    pairs = pd.DataFrame({"jd": points["jd"], "colour": found.colour, "error": found.colour_error}, index=points.index)
    return pairs[is_paired(arrays[0], arrays[1])].dropna()  # colours hold for their neighbours, too


def _add_colour(plot: go.Figure, alerts: pd.DataFrame, *, is_apparent: bool) -> None:
    """Put the colour below the light curve, along the same dates."""
    pairs = colour_pairs(alerts, is_apparent=is_apparent)
    texts = [
        f"g − r = {each:.3f} ± {error:.3f} mag" for each, error in zip(pairs["colour"], pairs["error"], strict=True)
    ]
    plot.add_trace(
        go.Scatter(
            x=dates(pairs["jd"].to_numpy()), y=pairs["colour"], mode="markers", name="g − r", showlegend=False,
            xaxis="x", yaxis="y2", text=_hover(pairs["jd"].to_numpy(), texts, ""),
            hovertemplate="<b>%{x}</b><br>%{text}<extra></extra>",
            customdata=alerts.loc[pairs.index, "i:candid"].astype(str).tolist(),
            error_y={"type": "data", "array": pairs["error"], "color": _COLOUR_HUE, "thickness": 1, "width": 0},
            marker={"color": _COLOUR_HUE, "size": 8},
        )
    )  # fmt: skip
    lower = {"title": "g − r (mag)", "domain": _LOWER, "automargin": True, "zeroline": False, "showline": True}
    plot.update_layout(yaxis={"domain": _UPPER}, yaxis2={**lower, "ticks": "outside"}, xaxis={"anchor": "y2"})
    if pairs.empty:
        words = "No g and r points within 0.3 days of each other"
        middle = sum(_LOWER) / 2
        plot.add_annotation(text=words, xref="paper", yref="paper", x=0.5, y=middle, showarrow=False)
