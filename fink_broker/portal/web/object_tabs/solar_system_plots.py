"""Plots of solar system objects: light curve with ephemerides, offsets from them, phase curve."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from fink_broker.portal.web.fits.phase_fit import BandFit, PhaseFit
from fink_broker.portal.web.light_curve import SHAPES, band_name, dates
from fink_broker.portal.web.object_tabs.science_plots import GREY, MJD_ZERO, by_band, markers, time_axis
from fink_broker.portal.web.object_tabs.solar_system_data import SolarSystemData, offsets, predicted
from fink_broker.portal.web.photometry import column
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_SHADES, HEX_COLOURS, figure

#: of all bands brought to V
V_COLOUR, V_SHADE = "#2F9E44", "#69DB7C"
#: residuals are drawn within these (mag)
RESIDUAL_LIMIT = 1.0
_UPPER, _LOWER = (0.36, 1.0), (0.0, 0.24)


def light_curve_plot(data: SolarSystemData) -> go.Figure:
    """Return observed magnitudes over time, and those of the ephemerides where there are some."""
    plot = figure()
    for name, colour, symbol, rows in by_band(data.rows):
        values, errors = column(rows, "i:magpsf"), column(rows, "i:sigmapsf")
        plot.add_trace(markers(rows, values, name=name, unit=" mag", colour=colour, symbol=symbol, errors=errors))
        if data.has_ephemerides:
            band = int(column(rows, "i:fid")[0])
            expected = markers(
                rows, predicted(rows, band), name=f"{name}, ephemeris", unit=" mag",
                colour=BAND_SHADES.get(band, GREY), symbol=f"{symbol}-open",
            )  # fmt: skip
            plot.add_trace(expected)
    plot.update_yaxes(title="Magnitude (AB)", autorange="reversed")
    return time_axis(plot)


def astrometry_plot(data: SolarSystemData) -> go.Figure:
    """Return observed minus predicted positions in arcsec."""
    plot = figure()
    for name, colour, symbol, rows in by_band(data.rows):
        east, north = offsets(rows)
        plot.add_trace(
            go.Scatter(
                x=east, y=north, mode="markers", name=name, marker={"color": colour, "symbol": symbol, "size": 8},
                text=dates(column(rows, "i:jd")),
                hovertemplate="%{text}<br>Δα cos δ %{x:.2f}″<br>Δδ %{y:.2f}″<extra></extra>",
            )
        )  # fmt: skip
    plot.add_hline(y=0, line={"color": GREY, "dash": "dot", "width": 1})
    plot.add_vline(x=0, line={"color": GREY, "dash": "dot", "width": 1})
    plot.update_xaxes(title="Δα cos δ (arcsec)", scaleanchor="y")
    return plot.update_yaxes(title="Δδ (arcsec)")


def phase_plot(fit: PhaseFit, height: int) -> go.Figure:
    """Return points, model and residuals within `RESIDUAL_LIMIT` of a fitted phase curve."""
    title = f"{fit.model}: reduced χ² = {fit.reduced_chi2:.2f}"
    margin = {"l": 56, "r": 12, "t": 84, "b": 44}
    plot = figure(
        title={"text": title, "font": {"size": 15}, "x": 0.01, "y": 0.99, "yanchor": "top"},
        height=height,
        margin=margin,
    )
    for band in fit.bands:
        plot.add_traces(_of_band(band))
    plot.add_shape(
        type="line", xref="x domain", x0=0, x1=1, yref="y2", y0=0, y1=0, line={"color": GREY, "dash": "dot", "width": 1}
    )
    plot.update_xaxes(title="Phase angle (deg)", rangemode="tozero", anchor="y2")
    lower = {"title": "Residual (mag)", "domain": _LOWER, "range": [-RESIDUAL_LIMIT, RESIDUAL_LIMIT]}
    reduced = {"title": "Reduced magnitude", "domain": _UPPER, "autorange": "reversed"}
    return plot.update_layout(
        yaxis=reduced, yaxis2={**lower, "automargin": True, "showline": True, "ticks": "outside", "zeroline": False}
    )


def _of_band(fit: BandFit) -> list[go.Scatter]:
    name = "V" if fit.band == 0 else band_name(fit.band)
    tone = V_COLOUR if fit.band == 0 else BAND_COLOURS.get(fit.band, GREY)
    shade = V_SHADE if fit.band == 0 else BAND_SHADES.get(fit.band, GREY)
    marker = {"color": tone, "symbol": SHAPES.get(fit.band, "circle"), "size": 7}
    bars = {"type": "data", "array": fit.sigma, "color": tone, "thickness": 1, "width": 0}
    common = {"name": name, "legendgroup": name, "mode": "markers", "marker": marker, "error_y": bars}
    within = np.abs(fit.residuals) <= RESIDUAL_LIMIT
    return [
        go.Scatter(
            x=fit.phase, y=fit.magnitude, hovertemplate="phase %{x:.2f}°<br>%{y:.3f} mag<extra></extra>", **common
        ),
        go.Scatter(
            x=fit.curve_phase, y=fit.curve_magnitude, mode="lines", name=f"{name}, model", legendgroup=name,
            line={"color": shade, "width": 2.5}, hovertemplate="model: phase %{x:.2f}°<br>%{y:.3f} mag<extra></extra>",
        ),
        go.Scatter(
            x=fit.phase[within], y=fit.residuals[within], showlegend=False, yaxis="y2",
            hovertemplate="phase %{x:.2f}°<br>residual %{y:.3f} mag<extra></extra>",
            **common | {"error_y": None},
        ),
    ]  # fmt: skip


def track_plot(rows_by_label: list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]) -> go.Figure:
    """Return a path over the sky, right ascension to the left.

    Parameters
    ----------
    rows_by_label : list of (name, symbol, jd, ra, dec)
        Points by band: days, degrees.
    """
    plot = figure()
    jd = np.concatenate([each[2] for each in rows_by_label])
    ra, dec = (np.concatenate([each[at] for each in rows_by_label]) for at in (3, 4))
    order = np.argsort(jd, kind="stable")
    line = {"color": GREY, "width": 1, "dash": "dot"}
    plot.add_trace(go.Scatter(x=ra[order], y=dec[order], mode="lines", line=line, hoverinfo="skip", showlegend=False))
    first = float(jd.min())
    for number, (name, symbol, days, east, north) in enumerate(rows_by_label):
        minutes = (days - first) * 1440.0
        marker = {
            "color": minutes, "colorscale": "Viridis", "cmin": 0, "cmax": float((jd.max() - first) * 1440.0) or 1.0,
            "symbol": symbol, "size": 11, "line": {"color": HEX_COLOURS["gray"], "width": 1}, "showscale": number == 0,
            "colorbar": {"title": {"text": "min"}, "thickness": 12},
        }  # fmt: skip
        text = [f"MJD {each - MJD_ZERO:.5f}<br>{later:.1f} min" for each, later in zip(days, minutes, strict=True)]
        plot.add_trace(
            go.Scatter(
                x=east, y=north, mode="markers", name=name, marker=marker, text=text,
                hovertemplate="α %{x:.5f}° δ %{y:.5f}°<br>%{text}<extra></extra>",
            )
        )  # fmt: skip
    plot.update_xaxes(title="Right ascension (deg)", autorange="reversed", tickformat=".3f", nticks=6)
    return plot.update_yaxes(title="Declination (deg)", tickformat=".3f")
