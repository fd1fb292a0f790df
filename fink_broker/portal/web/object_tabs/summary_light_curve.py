"""The light curve of the summary: its modes, the colour, photometry of the data releases."""

from __future__ import annotations

from typing import Any, cast

import dash_mantine_components as dmc
import plotly.graph_objects as go
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, dcc, html, no_update
from dash.development.base_component import Component

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import notices, photometry
from fink_broker.portal.web.light_curve import MODE_NAMES, MODES, Mode, band_name, legend_groups, light_curve
from fink_broker.portal.web.object_data import ObjectData, read_object
from fink_broker.portal.web.release_photometry import ReleaseError, ReleasePhotometry
from fink_broker.portal.web.site import Site, Visit
from fink_broker.portal.web.theme import BAND_NAMES, graph_config

HEIGHT, HEIGHT_WITH_COLOUR = 400, 540
_BANDS_OF_COLOUR = {1, 2}
#: Name of the trace around the alert whose images are shown, and its colour.
RING, _RING = "shown below", "#4C6EF5"


def build(data: ObjectData, site: Site, visit: Visit) -> Component:
    """Return the light curve with its controls, in the mode that the address names."""
    mode = mode_of(visit.arguments.get("mode"))
    has_colour = visit.arguments.get("color") == "1" and _has_two_bands(data)
    plot = light_curve(data, mode, colour=has_colour, height=_height(has_colour))
    with_ring(plot, str(data.latest["i:candid"]))
    return dmc.Paper(
        [
            dcc.Store(id="object-release", data=False),
            _controls(data, site, mode, has_colour),
            html.Div(id="object-said", role="status"),
            html.Figure(
                [
                    dcc.Graph(
                        id="object-plot", figure=plot, config=graph_config(f"{data.object_id}_light_curve"),
                        style={"height": _height(has_colour)}, className="object-plot",
                    ),
                    html.Figcaption(_caption(data, mode), id="object-caption", className="object-caption"),
                ],
                className="object-figure", **{"aria-label": f"Light curve of {data.object_id}"},
            ),
        ],
        p="md", withBorder=True,
    )  # fmt: skip


def register(app: Dash, site: Site) -> None:
    """Add the callbacks of the light curve."""
    release = ReleasePhotometry(site.config.portal.photometry_url)

    @app.callback(
        Output("object-plot", "figure"),
        Output("object-plot", "style"),
        Output("object-caption", "children"),
        Input("object-mode", "value"),
        Input("object-colour", "checked"),
        Input("object-release", "data"),
        State("object-id", "data"),
        State("object-candid", "data"),
        State("object-bands", "value"),
        prevent_initial_call=True,
    )
    def draw(mode: Any, colour: Any, is_released: Any, *now: Any) -> tuple[Any, Any, Any]:
        object_id, candid, shown = now
        try:
            data = read_object(site.api, str(object_id))
        except ApiError as error:
            return no_update, no_update, error.message
        chosen, height = mode_of(mode), _height(bool(colour))
        points, words = None, ""
        if is_released and chosen != "difference":
            try:
                points = release.at(float(data.latest["i:ra"]), float(data.latest["i:dec"]))
            except ReleaseError as error:  # it was there when the button was pressed, and said so
                words = f" Without the data releases: {error}"
        hidden = hidden_bands(data, shown)
        plot = light_curve(data, chosen, colour=bool(colour), height=height, release=points, hidden=hidden)
        return with_ring(plot, str(candid)), {"height": height}, _caption(data, chosen) + words

    @app.callback(
        Output("object-said", "children"),
        Output("object-release", "data"),
        Output("object-mode", "value"),
        Input("object-get-release", "n_clicks"),
        State("object-id", "data"),
        State("object-mode", "value"),
        prevent_initial_call=True,
        running=[(Output("object-get-release", "loading"), True, False)],
    )
    def get_release(clicks: Any, object_id: Any, mode: Any) -> tuple[Any, Any, Any]:
        if not clicks or ctx.triggered_id != "object-get-release":
            return no_update, no_update, no_update
        try:
            data = read_object(site.api, str(object_id))
            points = release.at(float(data.latest["i:ra"]), float(data.latest["i:dec"]))
        except ApiError as error:
            return notices.failure(error), no_update, no_update
        except ReleaseError as error:
            return notices.notice("No DR photometry", str(error), colour="yellow"), no_update, no_update
        if points.empty:
            words = "The data releases of ZTF have nothing within 2″ of this object."
            return notices.nothing("No DR photometry", words), no_update, no_update
        said = dmc.Text(f"{len(points):,} points of ZTF's data releases within 2″.", size="sm", my="xs")
        return said, True, "dc_magnitude" if mode_of(mode) == "difference" else no_update

    _register_bands(app)
    app.clientside_callback(
        ClientsideFunction("object", "mark"),
        Output("object-noted", "clear_data"),
        Input("object-candid", "data"),
        prevent_initial_call=True,
    )


def _register_bands(app: Dash) -> None:
    """Let the chips of the bands and the legend of the plot say the same."""
    app.clientside_callback(
        ClientsideFunction("object", "bands"),
        Output("object-bands", "id"),
        Input("object-bands", "value"),
        State("object-band-groups", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("object", "shown"),
        Output("object-bands", "value"),
        Input("object-plot", "restyleData"),
        State("object-bands", "value"),
        State("object-band-groups", "data"),
        prevent_initial_call=True,
    )


def bands_of(data: ObjectData) -> list[int]:
    """Return the bands (fid) that points of an object are in, ascending."""
    frames = (data.alerts, data.upper_limits, data.bad_quality)
    found = {int(band) for frame in frames for band in photometry.column(frame, "i:fid") if band in BAND_NAMES}
    return sorted(found)


def hidden_bands(data: ObjectData, shown: Any) -> list[int]:
    """Return the bands of an object that are not among those the browser says are shown."""
    names = shown if isinstance(shown, list) else [str(band) for band in BAND_NAMES]
    return [band for band in bands_of(data) if str(band) not in names]


def mode_of(value: Any) -> Mode:
    """Return a mode as the address or the browser names it; what is none is the first."""
    return cast("Mode", value) if value in MODES else MODES[0]


def with_ring(plot: go.Figure, candid: str) -> go.Figure:
    """Add a ring around the alert whose images are shown; ``assets/object.js`` moves it."""
    x, y = None, None
    for trace in plot.data:
        if trace.yaxis != "y2" and candid in (trace.customdata or ()):
            place = list(trace.customdata).index(candid)
            x, y = trace.x[place], float(trace.y[place])
    marker = {"size": 18, "symbol": "circle-open", "color": _RING, "line": {"width": 2}}
    return plot.add_trace(
        go.Scatter(x=[x], y=[y], mode="markers", name=RING, hoverinfo="skip", showlegend=False, marker=marker)
    )


def _controls(data: ObjectData, site: Site, mode: Mode, has_colour: bool) -> Component:
    chips = dmc.ChipGroup(
        [dmc.Chip(MODE_NAMES[each], value=each, size="sm", variant="light") for each in MODES],
        id="object-mode", value=mode, multiple=False, deselectable=False,
    )  # fmt: skip
    two_bands = _has_two_bands(data)
    switch = dmc.Switch(
        id="object-colour", label="Color" if two_bands else "Color (needs g and r)", checked=has_colour,
        disabled=not two_bands, size="sm",
    )  # fmt: skip
    found = bands_of(data)
    bands = dmc.ChipGroup(
        [dmc.Chip(band_name(band), value=str(band), size="sm", variant="light") for band in found],
        id="object-bands", value=[str(band) for band in found], multiple=True,
    )  # fmt: skip
    release = dmc.Button(
        "Get DR photometry", id="object-get-release", size="compact-sm", variant="light",
        display=None if site.config.portal.photometry_url else "none",
    )  # fmt: skip
    return dmc.Group(
        [
            html.Div(dmc.Group(chips, gap=6), role="radiogroup", **{"aria-label": "What is plotted"}),
            dcc.Store(id="object-band-groups", data={str(band): legend_groups(band) for band in found}),
            dmc.Group(
                [
                    html.Div(dmc.Group(bands, gap=6), role="group", **{"aria-label": "Bands that are shown"}),
                    switch, release, _help(),
                ],
                gap="md",
            ),
        ],
        justify="space-between", gap="sm", mb="xs",
    )  # fmt: skip


def _help() -> Component:
    entries = (
        ("Difference magnitude", "what was added to, or is missing from, the reference image."),
        ("DC magnitude", "apparent magnitude: difference and reference source together, where a source lies within "
                         "1.5″; the dashed lines are the mean of the reference. Else it is the difference."),
        ("DC flux", "the same as flux in mJy."),
        ("Color", "g − r of points at most 0.3 days apart."),
        ("Lighter points, (-)", "the source was fainter than in the reference image."),
        ("Open triangles", "upper limits: nothing was seen down to this magnitude."),
        ("Filled triangles", "measurements of bad quality, which raised no alert."),
        ("A click on a point", "shows its images and its alert below. "),
        ("g, r, i", "show and hide the points of a band, as a click on the legend does."),
    )  # fmt: skip
    words = html.Dl([html.Div([html.Dt(name), html.Dd(text)]) for name, text in entries], className="object-help")
    sign = html.Summary("?", className="object-help-sign", **{"aria-label": "Help on the light curve"})
    return html.Details([sign, html.Div(words, className="object-help-panel")], className="object-help-box")


def _caption(data: ObjectData, mode: Mode) -> str:
    """Return in words what the plot shows."""
    number = len(data.alerts)
    is_behind = photometry.is_source_behind(data.alerts)
    if mode == "difference":
        what = "Magnitudes in the difference image"
    elif not is_behind:
        what = "No source of the reference image lies within 1.5″, so this is the difference alone"
    else:
        what = "Magnitudes of the source itself" if mode == "dc_magnitude" else "Flux of the source itself"
    times = [str(data.alerts["v:lastdate"].iloc[place])[:10] for place in (0, -1)]
    span = f"from {times[0]} to {times[1]}" if times[0] != times[1] else f"of {times[0]}"
    has_limits = len(data.upper_limits) > 0 and (mode == "difference" or (mode == "dc_magnitude" and not is_behind))
    limits = " Open triangles: upper limits." if has_limits else ""
    bad = " Filled triangles: bad quality." if len(data.bad_quality) else ""
    return f"{what}: {number} alert{'s' if number > 1 else ''} {span}.{limits}{bad}"


def _has_two_bands(data: ObjectData) -> bool:
    return set(data.alerts["i:fid"]) >= _BANDS_OF_COLOUR


def _height(has_colour: bool) -> int:
    return HEIGHT_WITH_COLOUR if has_colour else HEIGHT
