"""Whether a server that runs answers each route as it should: ``fink_test --url http://HOST:PORT``.

It may be the API or a portal. Nothing is written; what is asked for are alerts that it holds.
"""

from __future__ import annotations

import io
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fink_broker.portal.client import ApiError, Client

Alert = dict[str, Any]


def test_latests(alert: Alert) -> None:
    assert alert["i:objectId"]
    assert -90 <= alert["i:dec"] <= 90
    assert 0 <= alert["i:ra"] < 360


def test_objects(server: Client, alert: Alert) -> None:
    light_curve = server.rows("objects", objectId=alert["i:objectId"])
    assert alert["i:candid"] in set(light_curve["i:candid"])
    assert set(light_curve["i:objectId"]) == {alert["i:objectId"]}
    assert (np.diff(light_curve["i:jd"]) <= 0).all()  # the latest first


def test_objects_with_upper_limits(server: Client, alert: Alert) -> None:
    found = server.rows("objects", objectId=alert["i:objectId"], withupperlim="True")
    assert {"valid"} <= set(found["d:tag"]) <= {"valid", "upperlim", "badquality"}


@pytest.mark.parametrize("route", ["conesearch", "explorer"])
def test_cones(server: Client, alert: Alert, route: str) -> None:
    near = server.rows(route, ra=alert["i:ra"], dec=alert["i:dec"], radius=5)
    assert alert["i:objectId"] in set(near["i:objectId"])


def test_names(server: Client, alert: Alert) -> None:
    assert alert["i:objectId"] in set(server.rows("names", prefix=alert["i:objectId"], n=5)["i:objectId"])


@pytest.mark.parametrize("kind", ["Science", "Template", "Difference"])
def test_cutouts(server: Client, http: httpx.Client, alert: Alert, kind: str) -> None:
    pixels = server.cutout(alert["i:objectId"], kind)
    assert pixels.ndim == 2
    assert np.isfinite(pixels).any()
    image = http.get("cutouts", params={"objectId": alert["i:objectId"], "kind": kind, "output-format": "PNG"})
    assert Image.open(io.BytesIO(image.content)).format == "PNG"


@pytest.mark.parametrize("route", ["schema", "columns"])
def test_columns_are_told(http: httpx.Client, route: str) -> None:
    answer = http.get(route)
    assert answer.status_code == 200
    assert all(name in answer.text for name in ("objectId", "magpsf", "rf_snia_vs_nonia"))


def test_statistics(server: Client) -> None:
    nights = server.rows("statistics", date="")
    assert (pd.to_numeric(nights["basic:sci"]) > 0).any()


def test_random(server: Client) -> None:
    drawn = server.rows("random", n=2)
    assert 1 <= drawn["i:objectId"].nunique() <= 2


def test_xmatch(server: Client, alert: Alert) -> None:
    catalogue = f"ID,RA,Dec\nhere,{alert['i:ra']},{alert['i:dec']}"
    matches = server.rows("xmatch", catalog=catalogue, header="RA,Dec,ID", radius=2)
    assert alert["i:objectId"] in set(matches["i:objectId"])


@pytest.mark.parametrize(("route", "arguments"), [
    ("anomaly", {"n": 1}), ("sso", {"n_or_d": "8467"}), ("ssocand", {"kind": "lightCurves", "maxnumber": 1}),
    ("tracklet", {"date": "2024-01-01"}), ("metadata", {"objectId": "ZTF18aaaaaaa"}),
])  # fmt: skip
def test_what_may_be_empty_is_a_list(server: Client, route: str, arguments: dict[str, Any]) -> None:
    assert isinstance(server.document(route, **arguments), list)


@pytest.mark.parametrize(("route", "arguments"), [
    ("objects", {}), ("conesearch", {"ra": "nowhere", "dec": 0, "radius": 5}),
    ("latests", {"class": "Unknown", "n": "x"}), ("cutouts", {"objectId": "ZTF18aaaaaaa", "kind": "Other"}),
])  # fmt: skip
def test_mistakes_end_in_a_sentence(server: Client, route: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ApiError) as caught:
        server.document(route, **arguments)
    assert caught.value.status == 400
    assert "Traceback" not in caught.value.message
