"""The route ``cutouts`` on real alerts: the images of their packets, however they are asked for."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from archived import science_rows, stored_alerts
from astropy.io import fits
from PIL import Image
from portal_client import Api

KINDS = ("Science", "Template", "Difference")


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("online")


@pytest.fixture(scope="module")
def archive(shared_data: Path, online: Path) -> Any:
    return stored_alerts(shared_data, online / "science")


@pytest.fixture(scope="module")
def api(archive: Any, online: Path) -> Api:
    return Api(archive, online=online)


@pytest.fixture(scope="module")
def historic(archive: Any, online: Path) -> Api:
    return Api(archive, online=online, generation="historic")


@pytest.fixture(scope="module")
def alerts(shared_data: Path) -> list[dict[str, Any]]:
    """Alerts as the science table has them."""
    rows = science_rows(shared_data)
    columns = ["objectId", "candid", *(f"cutout{kind}" for kind in KINDS)]
    jd = pc.struct_field(rows["candidate"].combine_chunks(), "jd").to_pylist()
    return [{**row, "jd": time_of} for row, time_of in zip(rows.select(columns).to_pylist(), jd, strict=True)]


@pytest.fixture(scope="module")
def alert(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    return max((each for each in alerts if each["objectId"] == alerts[0]["objectId"]), key=lambda each: each["jd"])


def pixels_of(alert: dict[str, Any], kind: str) -> np.ndarray:
    stamp = gzip.decompress(alert[f"cutout{kind}"]["stampData"])
    return fits.getdata(io.BytesIO(stamp), ignore_missing_simple=True).astype(np.float32)


def opened(answer: Any) -> Image.Image:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return Image.open(io.BytesIO(answer.content))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_format_is_the_image_of_the_packet(api: Api, alert: dict[str, Any], kind: str) -> None:
    asked = {"objectId": alert["objectId"], "kind": kind}
    expected = pixels_of(alert, kind)
    array = api.post("cutouts", **asked, output_format="array").json()[f"b:cutout{kind}_stampData"]
    np.testing.assert_array_equal(np.array(array, dtype=np.float32), expected)
    answer = api.post("cutouts", **asked, output_format="FITS")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert f"{alert['objectId']}_{kind}.fits" in answer.headers["content-disposition"]
    with fits.open(io.BytesIO(answer.content), ignore_missing_simple=True) as file:
        assert len(file) == 1
        np.testing.assert_array_equal(file[0].data.astype(np.float32), expected)
    answer = api.get("cutouts", **asked)
    assert f"attachment; filename={alert['objectId']}_{kind}.png" in answer.headers["content-disposition"]
    picture = opened(answer)
    assert (picture.size, picture.mode) == ((63, 63), "L")
    assert api.post("cutouts", **asked).content == answer.content


def test_images_of_many_alerts_are_theirs(api: Api, alerts: list[dict[str, Any]]) -> None:
    for alert in alerts[::40]:
        asked = {"objectId": alert["objectId"], "candid": str(alert["candid"]), "kind": "Difference"}
        answer = api.post("cutouts", **asked, output_format="FITS")
        assert answer.content == gzip.decompress(alert["cutoutDifference"]["stampData"])


def test_all_kinds_at_once(api: Api, historic: Api, alert: dict[str, Any]) -> None:
    asked = {"objectId": alert["objectId"], "kind": "All", "output_format": "array"}
    images = api.post("cutouts", **asked).json()
    assert list(images) == [f"b:cutout{kind}_stampData" for kind in KINDS]
    assert historic.post("cutouts", **asked).json() == [images]
    assert "only compatible with `output-format=array`.\\n" in api.error("cutouts", objectId="ZTF1", kind="All")


def test_latest_alert_unless_another_is_named(api: Api, alerts: list[dict[str, Any]]) -> None:
    by_object: dict[str, list[dict[str, Any]]] = {}
    for alert in alerts:
        by_object.setdefault(alert["objectId"], []).append(alert)
    several = next(each for each in by_object.values() if len({alert["jd"] for alert in each}) > 1)
    first, *_, last = sorted(several, key=lambda alert: alert["jd"])
    asked = {"objectId": first["objectId"], "kind": "Science", "output_format": "FITS"}
    assert api.post("cutouts", **asked).content == gzip.decompress(last["cutoutScience"]["stampData"])
    older = api.post("cutouts", **asked, candid=first["candid"]).content
    assert older == gzip.decompress(first["cutoutScience"]["stampData"])
    assert api.get("cutouts", **asked, candid=str(first["candid"])).content == older


def test_settings_change_the_picture(api: Api, alert: dict[str, Any]) -> None:
    asked = {"objectId": alert["objectId"], "kind": "Science"}
    plain = api.post("cutouts", **asked).content
    stretched = {
        name: api.post("cutouts", **asked, stretch=name).content for name in ("linear", "sqrt", "power", "log", "asinh")
    }
    assert len({plain, *stretched.values()}) == 6
    viridis, greys = (opened(api.post("cutouts", **asked, colormap=name)) for name in ("viridis", "Greys"))
    assert viridis.getextrema() != greys.getextrema()
    assert api.post("cutouts", **asked, convolution_kernel="gauss").content != plain
    assert api.post("cutouts", **asked, pmin=0.1, pmax=0.5).content == plain
    assert api.post("cutouts", **asked, pmin="0.1", pmax=" 0.5", stretch="linear").content != stretched["linear"]
    assert api.post("cutouts", **asked, stretch="sigmoid", colormap="").content == plain


def test_unknown_alerts(api: Api, historic: Api, alert: dict[str, Any]) -> None:
    unknown = {"objectId": "ZTF99aaaaaaa", "kind": "Science"}
    assert "There are no images of an alert of ZTF99aaaaaaa." in api.error("cutouts", 404, **unknown)
    other = {"objectId": alert["objectId"], "kind": "Science", "candid": 12345}
    assert "with candid 12345" in api.error("cutouts", 404, **other)
    for asked in (unknown, other):
        answer = historic.post("cutouts", **asked)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"kind": "science'"}, "`kind` must be one of Science, Template, Difference, All"),
        ({"kind": None}, "A value for `kind` is required"),
        ({"objectId": None}, "A value for `objectId` is required"),
        ({"objectId": "ZTF1,ZTF2"}, "one object"),
        ({"objectId": "../../etc"}, "objectId"),
        ({"output_format": "gif"}, "output-format must be one of: PNG, FITS, or array.\\n"),
        ({"stretch": "exec"}, "`stretch` must be one of"),
        ({"colormap": "__import__('os')"}, "colour map"),
        ({"colormap": "../colormaps"}, "colour map"),
        ({"convolution_kernel": "sinc"}, "`convolution_kernel` must be one of gauss, box"),
        ({"pmin": 90, "pmax": 10}, "`pmin` must be less than `pmax`"),
        ({"pmin": "nan"}, "`pmin` must be a number"),
        ({"pmax": 101}, "`pmax` must be 100 or less"),
        ({"candid": "1e3"}, "`candid`"),
        ({"candid": 10**30}, "`candid`"),
    ],
)
def test_wrong_arguments_are_told(api: Api, wrong: dict[str, Any], text: str) -> None:
    asked = {"objectId": "ZTF21aaxtctv", "kind": "Science", **wrong}
    assert text in api.error("cutouts", **{name: value for name, value in asked.items() if value is not None})
