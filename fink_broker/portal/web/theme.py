"""Colours and plot templates: one look for all pages, in light and dark."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

#: colours of the bands: by fid
BAND_COLOURS = {1: "#15284F", 2: "#F5622E", 3: "#8C2A1C"}
#: their lighter shades, for points fainter than the reference image (isdiffpos = f)
BAND_SHADES = {1: "#6E85B7", 2: "#F9A98B", 3: "#C98A80"}
BAND_NAMES = {1: "g", 2: "r", 3: "i"}

#: Mantine's name of the colour of each class; classes of SIMBAD are blue
CLASS_COLOURS = {
    "Early SN Ia candidate": "red",
    "SN candidate": "orange",
    "Kilonova candidate": "dark",
    "Microlensing candidate": "lime",
    "Tracklet": "violet",
    "Solar System MPC": "yellow",
    "Solar System candidate": "indigo",
    "Ambiguous": "grape",
    "Unknown": "gray",
}
#: the same colours for plots
HEX_COLOURS = {
    "red": "#E03131", "orange": "#E8590C", "dark": "#343A40", "lime": "#66A80F", "violet": "#6741D9",
    "yellow": "#E67700", "indigo": "#3B5BDB", "grape": "#9C36B5", "gray": "#868E96", "blue": "#1971C2",
}  # fmt: skip

#: Buttons of a plot's own bar that serve nobody here.
_NO_BUTTONS = ["lasso2d", "select2d", "autoScale2d", "sendChartToCloud"]


def class_colour(label: str) -> str:
    """Return Mantine's name of the colour of a class."""
    return CLASS_COLOURS.get(label, "blue")


def class_hex(label: str) -> str:
    """Return the colour of a class in plots."""
    return HEX_COLOURS[class_colour(label)]


def figure(**layout: Any) -> go.Figure:
    """Return an empty plot in the look of the portal: transparent, so that it serves light and dark.

    Text, grid and axes take their colours from the style sheet (``assets/plots.css``), which knows the scheme; data
    have colours of their own.
    """
    plot = go.Figure()
    plot.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 56, "r": 12, "t": 12, "b": 44},
        font={"family": "inherit", "size": 13},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "bgcolor": "rgba(0,0,0,0)"},
        hoverlabel={"align": "left"},
        hovermode="closest",
        modebar={"orientation": "v", "bgcolor": "rgba(0,0,0,0)"},
    )
    plot.update_xaxes(zeroline=False, showline=True, ticks="outside", automargin=True)
    plot.update_yaxes(zeroline=False, showline=True, ticks="outside", automargin=True)
    return plot.update_layout(**layout)


def graph_config(name: str) -> dict[str, Any]:
    """Return the ``config`` of a ``dcc.Graph``: its own downloads are named after what it shows."""
    return {
        "displaylogo": False,
        "plotlyServerURL": "",  # nothing is sent anywhere
        "responsive": True,
        "modeBarButtonsToRemove": _NO_BUTTONS,
        "toImageButtonOptions": {"format": "svg", "filename": name},
    }
