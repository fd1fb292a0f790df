"""Small light curves: SVG that is whole, and says what it shows."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from flask import Flask

from fink_broker.portal.client import ApiError
from fink_broker.portal.web import light_curve_preview
from fink_broker.portal.web.light_curve_preview import HEIGHT, WIDTH, preview_svg
from fink_broker.portal.web.theme import BAND_COLOURS, BAND_SHADES

SVG = "{http://www.w3.org/2000/svg}"
ALERTS = pd.DataFrame(
    {
        "i:jd": [2460540.5, 2460544.5, 2460542.5, None],
        "i:fid": [1, 2, 2, 1],
        "i:magpsf": [19.0, 18.0, 20.0, 18.0],
        "i:sigmapsf": [0.1, 0.1, None, 0.1],
        "i:isdiffpos": ["t", "t", "f", "t"],
    }
)


def points(svg: str) -> list[tuple[float, float, str]]:
    found = ET.fromstring(svg).findall(f"{SVG}circle")  # noqa: S314 - it is ours
    return [(float(each.get("cx")), float(each.get("cy")), each.get("fill")) for each in found]


def test_time_goes_right_and_bright_is_up() -> None:
    first, faint, bright = points(preview_svg("ZTF21aaaaaaa", ALERTS))
    assert first[0] < faint[0] < bright[0]
    assert bright[1] < first[1] < faint[1]
    assert (first[2], faint[2], bright[2]) == (BAND_COLOURS[1], BAND_SHADES[2], BAND_COLOURS[2])
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y, _ in (first, faint, bright))


def test_it_says_what_it_shows() -> None:
    title = ET.fromstring(preview_svg("ZTF21<&aa", ALERTS)).find(f"{SVG}title").text  # noqa: S314 - it is ours
    assert title == "Light curve of ZTF21<&aa: 3 alerts, 18.00 to 20.00 mag, bands g, r"


def test_one_alert_and_none() -> None:
    assert len(points(preview_svg("a", ALERTS.head(1)))) == 1
    assert "No magnitudes" in preview_svg("a", ALERTS.tail(1))


class FakeApi:
    def rows(self, route: str, /, **arguments: object) -> pd.DataFrame:
        if arguments["objectId"] == "ZTF21aaaaaab":
            raise ApiError("The API does not answer.", 0)
        return ALERTS if arguments["objectId"] == "ZTF21aaaaaaa" else ALERTS.head(0)


@pytest.mark.parametrize(
    ("name", "status"),
    [("ZTF21aaaaaaa", 200), ("ZTF21aaaaaab", 503), ("ZTF21aaaaaac", 404), ("ZTF21a<b>aaa", 404), ("../etc", 404)],
)
def test_its_address(name: str, status: int) -> None:
    class FakeSite:
        api = FakeApi()

    class FakeDash:
        server = Flask(__name__)

    light_curve_preview.register(FakeDash(), FakeSite())
    answer = FakeDash.server.test_client().get(f"/preview/{name}.svg")
    assert answer.status_code == status
    assert (answer.mimetype == "image/svg+xml") == (status == 200)
