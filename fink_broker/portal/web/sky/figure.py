"""The chart: the whole sky, or the surroundings of a position."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go

from fink_broker.portal.web.sky.outlines import outlines
from fink_broker.portal.web.sky.projection import middle_of, mollweide, tangent
from fink_broker.portal.web.sky.sources import Ring, SkySource
from fink_broker.portal.web.theme import figure

#: Fields wider than this are shown on the whole sky, degrees.
WIDEST_FIELD = 60.0
#: Sources that are drawn, at most.
MOST_SOURCES = 1000
_NARROWEST_FIELD = 20 / 3600
_GRID = "rgba(134, 142, 150, 0.35)"
_REGION = "#7048E8"
#: Longest hover text of a source.
_LONGEST = 400
_UNITS = ((1 / 30, 3600.0, "″"), (1.5, 60.0, "′"), (WIDEST_FIELD * 2, 1.0, "°"))


def place(
    sources: Sequence[SkySource], region: Sequence[Ring], centre: tuple[float, float] | None, field_deg: float | None
) -> tuple[tuple[float, float], float] | None:
    """Return the centre and width in degrees of what is shown; None for the whole sky.

    What is not given follows from the sources and corners of the region.
    """
    ra = [source.ra for source in sources] + [corner[0] for ring in region for corner in ring]
    dec = [source.dec for source in sources] + [corner[1] for ring in region for corner in ring]
    middle, farthest = middle_of(ra, dec)
    if not ra and centre is None:
        return None
    field = field_deg if field_deg is not None else max(2.4 * farthest, _NARROWEST_FIELD)
    return None if field > WIDEST_FIELD else (centre or middle, field)


def sky_figure(
    sources: Sequence[SkySource],
    region: Sequence[Ring] = (),
    centre: tuple[float, float] | None = None,
    field_deg: float | None = None,
    height: int = 420,
) -> go.Figure:
    """Return the chart of sources, one colour a label, and of a region.

    Parameters
    ----------
    sources : sequence of SkySource
        Those with a position are drawn, `MOST_SOURCES` at most.
    region : sequence of rings
        Corners of its polygons, degrees.
    centre : tuple of float, optional
        Right ascension and declination in the middle, degrees.
    field_deg : float, optional
        Width in degrees.
    height : int
        Of the chart, pixels.
    """
    shown = place(sources, region, centre, field_deg)
    chart = figure(height=height, margin={"l": 8, "r": 8, "t": 8, "b": 8}, dragmode="pan")
    chart.update_layout(legend={"itemsizing": "constant", "y": 1.0})
    middle = shown[0] if shown else None
    scale, unit = next((s, u) for limit, s, u in _UNITS if shown is None or shown[1] <= limit)
    if shown is None:
        _draw_whole_sky(chart)
    else:
        _draw_axes(chart, shown[1] * scale, unit)
    if region:
        _draw_region(chart, region, middle, scale if shown else 1.0)
    by_look: dict[tuple[str, str, str], list[SkySource]] = {}
    for source in sources[:MOST_SOURCES]:
        by_look.setdefault((source.label, source.hex_colour, source.symbol), []).append(source)
    for (label, colour, symbol), some in by_look.items():
        _draw_sources(chart, some, (label, colour, symbol), middle, scale if shown else 1.0)
    return chart


def _draw_sources(
    chart: go.Figure,
    some: list[SkySource],
    look: tuple[str, str, str],
    middle: tuple[float, float] | None,
    scale: float,
) -> None:
    ra, dec = np.array([source.ra for source in some]), np.array([source.dec for source in some])
    x, y = mollweide(ra % 360, dec) if middle is None else tangent(ra, dec, middle)
    label, colour, symbol = look
    is_line = symbol.endswith("-thin") or "-thin-" in symbol
    chart.add_trace(
        go.Scatter(
            x=x * scale,
            y=y * scale,
            mode="markers",
            name=escape(label or "Source"),
            text=[_hover(source) for source in some],
            customdata=[source.href for source in some],
            hovertemplate="%{text}<extra></extra>",
            marker={
                "color": colour, "symbol": symbol, "size": 14 if is_line else 9,
                "line": {"width": 2 if is_line or symbol.endswith("-open") else 1, "color": colour},
            },
        )
    )  # fmt: skip


def _hover(source: SkySource) -> str:
    position = f"{source.ra:.5f}° {source.dec:+.5f}°"
    text = "<br>".join(escape(line) for line in source.text[:_LONGEST].splitlines())
    return f"<b>{escape(source.name)}</b><br>{escape(source.label)}<br>{position}" + (f"<br>{text}" if text else "")


def _draw_region(chart: go.Figure, region: Sequence[Ring], middle: tuple[float, float] | None, scale: float) -> None:
    x, y = outlines(region, middle)
    chart.add_trace(
        go.Scatter(
            x=[None if value is None else value * scale for value in x],
            y=[None if value is None else value * scale for value in y],
            mode="lines",
            fill="toself",
            fillcolor="rgba(112, 72, 232, 0.25)",
            line={"color": _REGION, "width": 1},
            name="Credible region",
            hoverinfo="skip",
        )
    )


def _draw_axes(chart: go.Figure, width: float, unit: str) -> None:
    half = width / 2
    chart.update_layout(margin={"l": 56, "r": 12, "t": 8, "b": 44})
    chart.update_xaxes(title=f"East  ←  Δα cos δ ({unit})", range=[half, -half], gridcolor=_GRID, constrain="domain")
    chart.update_yaxes(
        title=f"Δδ ({unit})  →  North", range=[-half, half], gridcolor=_GRID, scaleanchor="x", constrain="domain"
    )


def _draw_whole_sky(chart: go.Figure) -> None:
    x: list[float | None] = []
    y: list[float | None] = []
    along = np.linspace(-90, 90, 61)
    around = np.linspace(0, 360, 121)
    lines = [(np.full_like(along, ra), along) for ra in range(0, 361, 30)]
    lines += [(around, np.full_like(around, dec)) for dec in range(-60, 61, 30)]
    for line in lines:
        across, up = mollweide(*line)
        x += [*across.tolist(), None]
        y += [*up.tolist(), None]
    chart.add_trace(
        go.Scatter(x=x, y=y, mode="lines", line={"color": _GRID, "width": 1}, hoverinfo="skip", showlegend=False)
    )
    _draw_galactic_plane(chart)
    left, levels = np.full(5, 360.0), np.arange(-60.0, 61.0, 30.0)
    for level, across, up in zip(levels, *mollweide(left, levels), strict=True):
        chart.add_annotation(x=across, y=up, text=f"{level:+.0f}°", showarrow=False, xanchor="right", font={"size": 11})
    meridians = np.arange(60.0, 360.0, 60.0)
    for meridian, across, up in zip(meridians, *mollweide(meridians, 0.0), strict=True):
        chart.add_annotation(x=across, y=up, text=f"{meridian:.0f}°", showarrow=False, yanchor="top", font={"size": 11})
    chart.update_xaxes(visible=False, range=[-2.2, 2.1], constrain="domain")
    chart.update_yaxes(visible=False, range=[-1.05, 1.05], scaleanchor="x", constrain="domain")


def _draw_galactic_plane(chart: go.Figure) -> None:
    """Draw galactic latitude 0: it explains where ZTF sees few extragalactic transients."""
    from astropy.coordinates import SkyCoord  # noqa: PLC0415 - takes a moment, and finders do without

    plane = SkyCoord(l=np.linspace(0, 360, 181), b=np.zeros(181), unit="deg", frame="galactic").icrs
    ra, dec = plane.ra.deg, plane.dec.deg
    order = np.argsort(ra)
    x, y = mollweide(ra[order], dec[order])
    chart.add_trace(
        go.Scatter(
            x=x, y=y, mode="lines", line={"color": "#868E96", "width": 1, "dash": "dot"}, name="Galactic plane",
            legendrank=2000,
            hoverinfo="skip",
        )
    )  # fmt: skip
