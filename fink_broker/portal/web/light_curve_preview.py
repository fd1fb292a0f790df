"""Small light curves: an SVG image of the server each, so that a page with many of them stays light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd
from dash import Dash
from flask import Response

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.object_data import OBJECT_ID
from fink_broker.portal.web.site import Site
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_NAMES, BAND_SHADES

COLUMNS = ("i:objectId", "i:jd", "i:fid", "i:magpsf", "i:sigmapsf", "i:isdiffpos")
WIDTH, HEIGHT = 440, 150
#: Points that are drawn, at most: the latest.
MOST_POINTS = 1000
#: Seconds browsers keep an image.
KEPT_SECONDS = 60
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 20
_MJD = 2400000.5
#: Least magnitudes and days an axis spans.
_LEAST_MAG, _LEAST_DAYS = 0.4, 1.0
_GREY = "#6C757D"


@dataclass(frozen=True)
class _Axis:
    """From values to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)


def preview_svg(object_id: str, alerts: pd.DataFrame) -> str:
    """Return the light curve of an object as an SVG image: difference magnitudes over modified julian dates.

    Parameters
    ----------
    object_id : str
        Its name.
    alerts : pandas.DataFrame
        `COLUMNS` of its alerts; those without a magnitude are not drawn.
    """
    good = alerts[np.isfinite(alerts["i:magpsf"].astype(float)) & np.isfinite(alerts["i:jd"].astype(float))]
    good = good.sort_values("i:jd").tail(MOST_POINTS)
    if good.empty:
        return _svg(object_id, "no magnitudes", [_text(WIDTH / 2, HEIGHT / 2, "No magnitudes", "middle")])
    mjd, magnitude = good["i:jd"].astype(float) - _MJD, good["i:magpsf"].astype(float)
    error = good["i:sigmapsf"].astype(float).fillna(0.0).clip(0, 2)
    days = _Axis(*_spread(mjd.min(), mjd.max(), _LEAST_DAYS), _LEFT + 6, WIDTH - _RIGHT - 6)
    # magnitudes grow downwards
    mags = _Axis(*_spread((magnitude - error).min(), (magnitude + error).max(), _LEAST_MAG), _TOP, HEIGHT - _BOTTOM)
    points = [
        _point(days(at), mags(mag), mags(mag + sigma) - mags(mag), int(fid), str(sign))
        for at, mag, sigma, fid, sign in zip(
            mjd, magnitude, error, good["i:fid"].fillna(0), good["i:isdiffpos"], strict=True
        )
    ]
    bands = ", ".join(BAND_NAMES.get(fid, "?") for fid in sorted({int(fid) for fid in good["i:fid"].dropna()}))
    said = f"{len(good)} alerts, {magnitude.min():.2f} to {magnitude.max():.2f} mag, bands {bands}"
    return _svg(object_id, said, [*_axes(days, mags), *points])


def _spread(low: float, high: float, least: float) -> tuple[float, float]:
    middle, half = (low + high) / 2, max((high - low) * 1.08, least) / 2
    return middle - half, middle + half


def _axes(days: _Axis, mags: _Axis) -> list[str]:
    parts = []
    for mag in _ticks(mags.low, mags.high, 4):
        y = mags(mag)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}" stroke="{_GREY}" stroke-opacity=".25"/>')
        parts.append(_text(_LEFT - 4, y + 4, f"{mag:g}", "end"))
    parts += [_text(days(day), HEIGHT - 6, f"{day:g}", "middle") for day in _ticks(days.low, days.high, 4)]
    parts.append(_text(_LEFT - 4, HEIGHT - 6, "MJD", "end"))
    return parts


def _ticks(low: float, high: float, most: int) -> Sequence[float]:
    """Return round numbers within a range, about as many as asked for."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.99)
    first = np.ceil(low / step)
    return [round(float(number * step), 6) for number in np.arange(first, np.floor(high / step) + 1)]


def _point(x: float, y: float, error: float, fid: int, sign: str) -> str:
    colours = BAND_SHADES if sign in ("f", "0", "False") else BAND_COLOURS
    colour = colours.get(fid, _GREY)
    bar = f'<path d="M{x:.1f} {y - error:.1f}V{y + error:.1f}" stroke="{colour}" stroke-opacity=".5"/>'
    return (bar if error > 3 else "") + f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(object_id: str, said: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="11" fill="{_GREY}">'
        f"<title>{escape(f'Light curve of {object_id}: {said}')}</title>{''.join(parts)}</svg>"
    )


def register(app: Dash, site: Site) -> None:
    """Answer ``/preview/<object>.svg``; once."""

    @app.server.route("/preview/<name>.svg")
    def preview(name: str) -> Response:
        if not OBJECT_ID.fullmatch(name):
            return Response("This is not the name of an object.\n", 404, mimetype="text/plain")
        try:
            alerts = site.api.rows("objects", objectId=name, columns=COLUMNS)
        except ApiError as error:
            return Response(f"{error.message}\n", error.status or 503, mimetype="text/plain")
        if alerts.empty:
            return Response("There is no object of this name.\n", 404, mimetype="text/plain")
        kept = {"Cache-Control": f"public, max-age={KEPT_SECONDS}"}
        return Response(preview_svg(name, alerts), mimetype="image/svg+xml", headers=kept)
