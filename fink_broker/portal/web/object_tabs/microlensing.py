"""The tab of microlensing: a point lens before a point source, fitted to all bands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc
import numpy as np
import plotly.graph_objects as go
from astropy.time import Time
from dash import Dash
from dash.development.base_component import Component

from fink_broker.portal.web import notices
from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.search import Magnitudes
from fink_broker.portal.web.light_curve import SHAPES, band_name, dates
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_tabs.fit_panel import FitPanel, fit_inputs, magnitudes_said, why_no_fit
from fink_broker.portal.web.object_tabs.fit_results import fact, facts, file_links
from fink_broker.portal.web.object_tabs.science_plots import GREY, MJD_ZERO, listed, shown_plot, time_axis
from fink_broker.portal.web.object_tabs.variable_plots import points_by_band
from fink_broker.portal.web.site import Site, Tab
from fink_broker.portal.web.theme import BAND_COLOURS, figure

_HEIGHT = 520
#: pyLIMA looks for approaches up to 1, and times of 0.1 to 500 days; a search ends somewhat within its bounds
_BOUNDS = {"u0": (-1.0, 0.999), "tE": (0.1001, 499.5)}
_WEAK = (
    "The measurements fix the time of the peak, but hardly the lens: an error is as large as its value, u₀ or t_E "
    "lies at its bound, or a blend is nearly all of the light or no share of it. Measurements of the wings and at rest "
    "would help."
)
#: Shares of blended light. Noise takes a source without a blend somewhat below 0.
_BLENDS = (-0.2, 1.0)
#: with a larger one the source is next to nothing, and the lens is as strong and as long as one likes
_LARGEST_BLEND = 0.95
#: shares of the height: residuals below, light curve above
_LOWER, _UPPER = (0.0, 0.24), (0.32, 1.0)
_TEAL = "#0B7285"
#: name in the result, symbol, unit, meaning, digits
_PARAMETERS = (
    ("t0", "t₀", "MJD", "time of the closest approach", 3),
    ("tE", "t_E", "d", "time in which the lens moves by its Einstein radius", 2),
    ("u0", "u₀", "", "closest approach in Einstein radii", 4),
)


def lens_inputs(api: Api, data: ObjectData, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a microlensing fit takes.

    Raises
    ------
    FitError
        If the measurements are of no use.
    """
    del api, fields
    inputs = fit_inputs(data) | {"ra": float(data.latest["i:ra"]), "dec": float(data.latest["i:dec"])}
    Magnitudes.of(inputs)
    return inputs


def lens_plot(result: Mapping[str, Any]) -> go.Figure:
    """Return measurements of all bands on the scale of one with the model, and what remains below."""
    plot = figure()
    for band, points in points_by_band(result):
        colour, name = BAND_COLOURS.get(band, GREY), band_name(band)
        bars = {"type": "data", "array": points["error"], "color": colour, "thickness": 1, "width": 0}
        marker = {"color": colour, "symbol": SHAPES.get(band, "circle"), "size": 7}
        for values, axis, what in (("mag", "y", name), ("residual", "y2", f"{name}, residual")):
            texts = [
                f"MJD {jd - MJD_ZERO:.5f}<br>{what}: {value:.3f} ± {error:.3f} mag"
                for jd, value, error in zip(points["jd"], points[values], points["error"], strict=True)
            ]
            plot.add_trace(
                go.Scatter(
                    x=dates(points["jd"]), y=points[values], yaxis=axis, mode="markers", name=name, legendgroup=name,
                    showlegend=axis == "y", error_y=bars, marker=marker, text=texts,
                    hovertemplate="%{text}<extra></extra>",
                )
            )  # fmt: skip
    plot.add_trace(
        go.Scatter(
            x=dates(result["model"]["jd"]), y=result["model"]["mag"], mode="lines", name="PSPL model",
            line={"color": _TEAL, "width": 2}, hoverinfo="skip",
        )
    )  # fmt: skip
    plot.add_hline(y=0, yref="y2", line={"color": GREY, "width": 1.5, "dash": "dash"})
    plot.update_layout(
        yaxis={"domain": _UPPER, "title": f"Magnitude on the scale of {band_name(result['reference'])} (AB)",
               "autorange": "reversed"},
        yaxis2={"domain": _LOWER, "title": "Residual (mag)", "autorange": "reversed", "anchor": "x", "showline": True,
                "zeroline": False, "ticks": "outside", "automargin": True},
    )  # fmt: skip
    return time_axis(plot).update_xaxes(anchor="y2")


def parameter_rows(result: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return symbol, value, error and meaning of each parameter."""
    rows = []
    for name, symbol, unit, meaning, digits in _PARAMETERS:
        value = result[name] - (MJD_ZERO if name == "t0" else 0.0)
        of_unit = f" {unit}" if unit else ""
        error = "at its bound" if is_at_bound(result, name) else f"± {result[f'{name}_error']:.{digits}f}"
        rows.append((symbol, f"{value:.{digits}f}{of_unit}", error, meaning))
    for band, blend in result["blend"].items():
        share = f"{100 * blend:.0f} %" if is_share(blend) else "not determined"
        rows.append((f"blend, {band_name(int(band))}", share, "", "light at rest that the lens does not magnify"))
    return rows


def is_share(blend: float | None) -> bool:
    """Tell whether a blend is known, and can be a share of the light, within the noise."""
    return blend is not None and _BLENDS[0] <= blend <= _BLENDS[1]


def is_at_bound(result: Mapping[str, Any], name: str) -> bool:
    """Tell whether a search ended where it may not go on, so that a value says nothing."""
    least, most = _BOUNDS.get(name, (-np.inf, np.inf))
    return not least < result[name] < most


def is_weak(result: Mapping[str, Any]) -> bool:
    """Tell whether the measurements leave the lens open.

    Then an error is as large as its value, a value lies at its bound, or a blend is nearly all of the light or no
    share of it. Bands whose few points say nothing of their blend do no harm.
    """
    is_open = any(result[f"{name}_error"] >= abs(result[name]) or is_at_bound(result, name) for name in _BOUNDS)
    blends = [blend for blend in result["blend"].values() if blend is not None]
    return is_open or any(blend > _LARGEST_BLEND or not is_share(blend) for blend in blends)


def show_lens(result: Mapping[str, Any], job: str) -> Component:
    """Return the result of a microlensing fit."""
    freedom = max(1, result["freedom"])
    peak = Time(result["t0"], format="jd", scale="utc").strftime("%Y-%m-%d %H:%M")
    head = facts(
        fact("Peak", peak, "UTC"),
        fact("t_E", f"{_written(result, 'tE', 2)} d", "Einstein time"),
        fact("u₀", _written(result, "u0", 3), "Einstein radii"),
        fact("χ² / dof", f"{result['chi2'] / freedom:.2f}", f"{result['chi2']:.1f} / {result['freedom']}"),
    )
    further = [notices.notice("Weakly constrained", _WEAK, colour="yellow")] if is_weak(result) else []
    plot = shown_plot(
        "microlensing-plot", lens_plot(result), "Measurements of all bands with the model, and their residuals",
        f"Bands are shifted to {band_name(result['reference'])} by the fluxes of source and blend.", height=_HEIGHT,
    )  # fmt: skip
    table = listed(("Parameter", "Value", "Error", "Meaning"), parameter_rows(result), "Parameters of the model")
    return dmc.Stack([head, *further, plot, table, file_links(job)], gap="sm")


def _written(result: Mapping[str, Any], name: str, digits: int) -> str:
    """Return a value with its error, without one where the search ended at a bound."""
    value = f"{result[name]:.{digits}f}"
    return f"{value} (bound)" if is_at_bound(result, name) else f"{value} ± {result[f'{name}_error']:.{digits}f}"


def _help() -> Component:
    return dmc.Paper(
        dmc.Stack(
            [
                dmc.Title("Is it a lens?", order=2, size="h4"),
                dmc.Text(
                    "“Fit data” fits the light of one star that another one magnifies (PSPL: point "
                    "source, point lens; Paczyński 1986), with pyLIMA. Each band has a source and a blend of its own.",
                    size="sm",
                ),
                dmc.Text(
                    "Good: χ²/dof near 1, residuals without a pattern, the same shape in all bands. Errors are scaled "
                    "so that χ²/dof is 1. Where the wings of the event are missing, u₀, t_E and the blend depend on "
                    "each other, and their errors are large.",
                    size="sm",
                ),
            ],
            gap="xs",
        ),
        withBorder=True, p="lg",
    )  # fmt: skip


def _build(data: ObjectData, site: Site) -> Component:
    site.jobs.warm()
    return PANEL.build(magnitudes_said(data))


def _register(app: Dash, site: Site) -> None:
    PANEL.register(app, site)


PANEL = FitPanel("microlensing", "pspl", lens_inputs, show_lens, _help)
TAB = Tab("microlensing", "Microlensing", why_no_fit, _build, _register)
