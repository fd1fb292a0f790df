"""Sources on the sky: projections, outlines, and what charts show."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.web.sky import SkySource, sky_map
from fink_broker.portal.web.sky.figure import place, sky_figure
from fink_broker.portal.web.sky.outlines import outlines
from fink_broker.portal.web.sky.projection import middle_of, mollweide, tangent
from fink_broker.portal.web.theme import class_hex

ra_degrees = st.floats(0, 360)
dec_degrees = st.floats(-90, 90)


def text_of(component) -> str:
    return json.dumps(component.to_plotly_json(), default=lambda inner: inner.to_plotly_json())


@given(ra_degrees, dec_degrees)
def test_the_whole_sky_is_an_ellipse_and_its_areas_are_true(ra: float, dec: float) -> None:
    x, y = mollweide(ra, dec)
    assert (x / 2) ** 2 + y**2 <= 1 + 1e-6
    # the zone between the equator and a declination has the share sin δ of half the sky: so has the ellipse's
    theta = np.arcsin(np.clip(y, -1, 1))
    assert (2 * theta + np.sin(2 * theta)) / np.pi == pytest.approx(np.sin(np.radians(dec)), abs=2e-3)


def test_right_ascension_grows_to_the_left() -> None:
    assert mollweide(270, 0)[0] < mollweide(180, 0)[0] == 0 < mollweide(90, 0)[0]
    assert mollweide([0, 360], [0, 0])[0] == pytest.approx([2, -2])
    assert mollweide([0, 180], [90, -90])[1] == pytest.approx([1, -1])


@given(ra_degrees, st.floats(-85, 85), st.floats(0, 360), st.floats(0.0003, 5))
def test_offsets_are_those_of_astropy(ra: float, dec: float, angle: float, distance: float) -> None:
    centre = SkyCoord(ra, dec, unit="deg")
    there = centre.directional_offset_by(angle * 1.0 * centre.ra.unit, distance * centre.ra.unit)
    east, north = tangent(there.ra.deg, there.dec.deg, (ra, dec))
    assert np.hypot(east, north) == pytest.approx(np.degrees(np.tan(np.radians(distance))), rel=1e-6)
    assert np.hypot(east - np.hypot(east, north) * np.sin(np.radians(angle)), 0) < 1e-6 * max(1, distance)


def test_what_is_behind_the_tangent_plane_is_not_on_it() -> None:
    assert np.isnan(tangent([190.0], [0.0], (10.0, 0.0))[0]).all()


def test_the_middle_of_points_across_right_ascension_0() -> None:
    (ra, dec), farthest = middle_of([359.0, 1.0], [10.0, 10.0])
    assert (ra % 360 < 0.001 or ra > 359.999) and dec == pytest.approx(10, abs=0.01)
    assert farthest == pytest.approx(0.985, abs=0.01)
    assert middle_of([], []) == ((0.0, 0.0), 0.0)
    assert middle_of([0, 180], [0, 0])[1] == 180  # opposite: the whole sky


def test_a_region_across_the_edge_is_drawn_at_both() -> None:
    x, y = outlines([[(350, -10), (10, -10), (10, 10), (350, 10)]], None)
    values = [value for value in x if value is not None]
    assert x.count(None) == y.count(None) == 2
    assert min(values) < -1.85 and max(values) > 1.85 and not any(-1.7 < value < 1.7 for value in values)
    assert outlines([[(350, -10), (10, -10)]], None) == ([], [])  # no polygon
    near, _ = outlines([[(359.9, 0), (0.1, 0), (0.1, 0.2)]], (0.0, 0.0))
    assert max(abs(value) for value in near if value is not None) < 0.2


@pytest.mark.parametrize("pole", [1, -1])
@pytest.mark.parametrize(("start", "way"), [(0, 1), (33, 1), (33, -1), (359, -1)])
def test_a_region_around_a_pole_has_its_cap(pole: int, start: float, way: int) -> None:
    x, y = outlines([[((start + way * step) % 360, pole * 80.0) for step in range(0, 360, 2)]], None)
    area, place = 0.0, 0
    for end in [number for number, value in enumerate(x) if value is None]:
        across, up = np.array(x[place:end]), np.array(y[place:end])
        area += abs(np.sum(across * np.roll(up, 1) - np.roll(across, 1) * up)) / 2
        place = end + 1
    share_of_sky = (1 - np.sin(np.radians(80))) / 2
    assert area == pytest.approx(2 * np.pi * share_of_sky, rel=0.03)
    assert min(pole * value for value in y if value is not None) > 0.85
    near, _ = outlines([[(ra, pole * 89.0) for ra in range(0, 360, 2)]], (0.0, pole * 90.0))
    assert len(near) == 182  # a tangent plane needs no way to the pole: a closed ring and its end


@pytest.mark.parametrize(
    ("sources", "centre", "field", "shown"),
    [
        ([(10, 20), (10.001, 20)], None, None, True),
        ([(10, 20), (200, -20)], None, None, False),
        ([(10, 20)], (10.0, 20.0), 0.025, True),
        ([(10, 20)], None, 180.0, False),
        ([], None, None, False),
    ],
)
def test_near_sources_are_shown_near_and_others_on_the_whole_sky(sources, centre, field, shown: bool) -> None:
    given = [SkySource("a", ra, dec) for ra, dec in sources]
    assert (place(given, (), centre, field) is not None) == shown


def test_each_class_has_its_colour_and_texts_stay_texts() -> None:
    hostile = SkySource("<img src=x>", 10, 20, "SN candidate", "/ZTF21aaaaaaa", "<script>alert(1)</script>")
    chart = sky_figure([hostile, SkySource("b", 10.001, 20, "Unknown"), SkySource("c", 10.001, 20, "<b>odd")])
    colours = {trace.name: trace.marker.color for trace in chart.data}
    assert colours["SN candidate"] == class_hex("SN candidate") != colours["Unknown"] == class_hex("Unknown")
    assert "&lt;script&gt;" in chart.data[0].text[0] and "<script" not in chart.data[0].text[0]
    assert "<b>odd" not in colours
    assert chart.data[0].customdata == ("/ZTF21aaaaaaa",)


def test_a_map_shows_a_thousand_sources_and_no_position_that_is_none() -> None:
    many = [SkySource(f"s{n}", n * 0.3, 0) for n in range(1200)]
    shown = text_of(sky_map([SkySource("odd", float("nan"), 0), *many], id="t", aladin=True))
    assert "1,000 sources" in shown and "NaN" not in shown
    assert '"type": "sky-data"' in shown
    assert "sky-data" not in text_of(sky_map(many[:1], id="t"))
    assert "No source has a position" in text_of(sky_map([], id="t"))
