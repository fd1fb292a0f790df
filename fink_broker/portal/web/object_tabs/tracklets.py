"""The tab of tracklets: what one moving body left in the images of a night, as a light curve and a path."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import dash_mantine_components as dmc
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from dash import Dash, dcc, html
from dash.development.base_component import Component

from fink_broker.portal.web import notices
from fink_broker.portal.web.light_curve import band_name, dates
from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.object_tabs.science_plots import (
    by_band,
    listed,
    markers,
    name_value_table,
    number,
    shown_plot,
    time_axis,
)
from fink_broker.portal.web.object_tabs.solar_system_plots import track_plot
from fink_broker.portal.web.photometry import column
from fink_broker.portal.web.site import Site, Tab
from fink_broker.portal.web.theme import figure

PREFIX = "TRCK"
ASKED = ("i:objectId", "i:candid", "i:jd", "i:fid", "i:ra", "i:dec", "i:magpsf", "i:sigmapsf", "d:tracklet")
_COMPASS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
#: a line needs that many different times
_LEAST_TIMES = 2


@dataclass(frozen=True)
class Motion:
    """How a body moved over the sky.

    Parameters
    ----------
    arcsec_per_hour : float
        Apparent speed.
    direction : float
        Where to, in degrees from north over east.
    scatter_arcsec : float
        Root mean square distance of the points from uniform motion along a straight line.
    """

    arcsec_per_hour: float
    direction: float
    scatter_arcsec: float


def tracklet_of(alerts: pd.DataFrame) -> str:
    """Return the name of the tracklet an object belongs to, the latest one, empty if to none."""
    if "d:tracklet" not in alerts:
        return ""
    names = [str(name) for name in alerts["d:tracklet"] if str(name).startswith(PREFIX)]
    return names[-1] if names else ""


def motion(members: pd.DataFrame) -> Motion | None:
    """Return the uniform motion that fits the members best, by least squares; None if all are of one time."""
    hours = (column(members, "i:jd") - column(members, "i:jd").min()) * 24.0
    if len(np.unique(hours)) < _LEAST_TIMES:
        return None
    ra, dec = column(members, "i:ra"), column(members, "i:dec")
    turned = (ra - ra[0] + 180.0) % 360.0 - 180.0
    east, north = turned * np.cos(np.deg2rad(dec.mean())) * 3600.0, (dec - dec[0]) * 3600.0
    times = np.stack([hours, np.ones_like(hours)], axis=1)
    path, *_ = np.linalg.lstsq(times, np.stack([east, north], axis=1), rcond=None)
    away = np.stack([east, north], axis=1) - times @ path
    speed_east, speed_north = path[0]
    direction = float(np.rad2deg(np.arctan2(speed_east, speed_north)) % 360.0)
    scatter = float(np.sqrt(np.mean(np.sum(away**2, axis=1))))
    return Motion(float(np.hypot(speed_east, speed_north)), direction, scatter)


def light_curve_plot(members: pd.DataFrame) -> go.Figure:
    """Return magnitudes of the members over time."""
    plot = figure()
    for name, colour, symbol, rows in by_band(members):
        values, errors = column(rows, "i:magpsf"), column(rows, "i:sigmapsf")
        plot.add_trace(markers(rows, values, name=name, unit=" mag", colour=colour, symbol=symbol, errors=errors))
    plot.update_yaxes(title="Difference magnitude (AB)", autorange="reversed")
    return time_axis(plot)


def _why_not(data: ObjectData) -> str:
    return "" if tracklet_of(data.alerts) else "It belongs to no tracklet."


def _build(data: ObjectData, site: Site) -> Component:
    name = tracklet_of(data.alerts)
    members = site.api.rows("tracklet", id=name, columns=ASKED).sort_values("i:jd", kind="stable")
    if members.empty:
        return notices.nothing("No members", f"The archive has no alert of {name} just now.")
    path = [
        (band, symbol, column(rows, "i:jd"), column(rows, "i:ra"), column(rows, "i:dec"))
        for band, _, symbol, rows in by_band(members)
    ]
    curve_label = f"Magnitudes of the {len(members)} alerts of {name}"
    path_label = f"Path of {name} over the sky"
    curve = shown_plot("tracklets-light-curve", light_curve_plot(members), curve_label, height=300)
    words = "East is left. Colour: minutes since the first alert."
    track = shown_plot("tracklets-path", track_plot(path), path_label, words, height=380)
    return dmc.Grid(
        [
            dmc.GridCol(dmc.Stack([curve, track]), span={"base": 12, "md": 7}),
            dmc.GridCol(_card(name, members, data.object_id), span={"base": 12, "md": 5}),
        ],
        gutter="lg",
    )


def _card(name: str, members: pd.DataFrame, object_id: str) -> Component:
    jd = column(members, "i:jd")
    rows: list[tuple[str, str | Component]] = [
        ("Alerts", str(len(members))),
        ("First (UTC)", dates(jd[:1])[0][:19].replace("T", " ")),
        ("Duration", f"{(jd.max() - jd.min()) * 1440.0:.1f} min"),
    ]
    moved = motion(members)
    if moved is not None:
        compass = _COMPASS[round(moved.direction / 45.0) % len(_COMPASS)]
        rows += [
            ("Motion", f"{moved.arcsec_per_hour:.1f} ″/h"),
            ("Towards", f"{moved.direction:.0f}° ({compass})"),
            ("Off a straight line, rms", f"{moved.scatter_arcsec:.2f}″"),
        ]
    cells = [_member(member, object_id) for _, member in members.iterrows()]
    address = f"/api/v1/tracklet?id={quote(name)}&output-format="
    links = [html.A(kind.upper(), href=address + kind, download=f"{name}.{kind}") for kind in ("csv", "json")]
    return dmc.Paper(
        [
            dmc.Title(name, order=2, size="h4", mb="xs"),
            name_value_table(rows, f"What is known of {name}"),
            dmc.Title("Members", order=3, size="h5", mt="md", mb="xs"),
            listed(("Object", "Time (UTC)", "Band", "mag"), cells, f"Members of {name}"),
            dmc.Title("Download", order=3, size="h5", mt="md", mb="xs"),
            html.Div(links, className="science-links"),
        ],
        withBorder=True,
        p="md",
    )


def _member(member: pd.Series, object_id: str) -> tuple[str | Component, ...]:
    name, time = str(member["i:objectId"]), str(dates(np.array([member["i:jd"]]))[0])
    shown: str | Component = html.B(name) if name == object_id else dcc.Link(name, href=f"/{quote(name)}")
    return shown, time[11:19], band_name(int(member["i:fid"])), number(member["i:magpsf"], 2)


def _register(app: Dash, site: Site) -> None:
    del app, site  # nothing here changes


TAB = Tab("tracklets", "Tracklets", _why_not, _build, _register)
