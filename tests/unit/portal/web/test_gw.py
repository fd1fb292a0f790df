"""The search for counterparts: names and levels, files that are kept, the outline of a region, what is said."""

from __future__ import annotations

import gzip
import io
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy_healpix import HEALPix, healpy

from fink_broker.portal.client import ApiError
from fink_broker.portal.credible_pixels import ORDER
from fink_broker.portal.web.fits import region
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.region import credible_region
from fink_broker.portal.web.gw import maps as maps_module
from fink_broker.portal.web.gw import view
from fink_broker.portal.web.gw.candidates import checked_event, checked_level
from fink_broker.portal.web.gw.maps import MapFolder
from fink_broker.portal.web.gw.outline import area, outline
from fink_broker.portal.web.pages.gw import refusal, restored, stored

FOUND = pd.DataFrame(
    {
        "i:objectId": ["ZTF24aaaaaaa", "ZTF24aaaaaab"], "i:ra": [10.0, 20.0], "i:dec": [1.0, -2.0],
        "i:jd": [2460001.5, 2460002.5], "i:jdstarthist": [2460000.2, 2460001.9], "i:ndethist": [3, 4],
        "d:classification": ["SN candidate", "Unknown"], "v:jdstartgw": [2460000.5] * 2, "delay": [-0.3, 1.4],
    }
)  # fmt: skip


def silent(words: str, share: float) -> None:
    assert words


def map_file(centre: tuple[float, float], width: float, nside: int = 128) -> bytes:
    """Return a flat map that is even within a circle."""
    x, y, z = healpy.pix2vec(nside, np.arange(12 * nside**2), nest=True)
    ra, dec = np.radians(centre)
    cosine = x * np.cos(dec) * np.cos(ra) + y * np.cos(dec) * np.sin(ra) + z * np.sin(dec)
    hdu = fits.BinTableHDU.from_columns([
        fits.Column("PROB", "D", array=np.where(cosine > np.cos(np.radians(width)), 1.0, 1e-9))
    ])  # fmt: skip
    hdu.header.update(PIXTYPE="HEALPIX", ORDERING="NESTED", NSIDE=nside, INDXSCHM="IMPLICIT", COORDSYS="C")
    hdu.header["DATE-OBS"] = "2023-02-25T00:00:00.000"
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(content)
    return gzip.compress(content.getvalue(), 1)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("S230709bi", "S230709bi"),
        (" s230709bi ", "S230709bi"),
        ("gw170817", "GW170817"),
        ("ms230709a", "MS230709a"),
    ],
)
def test_names_of_events_are_taken_in_any_case(given: str, name: str) -> None:
    assert checked_event(given) == name


@pytest.mark.parametrize(
    "given", ["", "   ", None, 5, ["S230709bi"], "ZTF21abfmbix", "<script>", "S230709bi/../x", "S2307"]
)
def test_other_names_are_refused_in_words(given: object) -> None:
    with pytest.raises(ApiError, match=r"Give the name|is not the name"):
        checked_event(given)


@pytest.mark.parametrize("given", [0, 1, "0.35", 0.9])
def test_levels_from_0_to_1_are_taken(given: object) -> None:
    assert 0 <= checked_level(given) <= 1


@pytest.mark.parametrize("given", [None, "", "x", -0.1, 1.1, float("nan"), float("inf"), {"a": 1}])
def test_other_levels_are_refused_in_words(given: object) -> None:
    with pytest.raises(ApiError, match="from 0 to 1"):
        checked_level(given)


def test_files_are_found_by_their_name_alone(tmp_path: Path) -> None:
    maps = MapFolder(tmp_path / "maps")
    name = maps.keep(b"map")
    path = maps.find(name)
    assert path is not None
    assert path.read_bytes() == b"map"
    (tmp_path / "secret.skymap").write_text("secret")
    for other in ("", "../secret", None, "0" * 64, name + "\n", name.upper() + "x", 5):
        assert maps.find(other) is None


def test_old_files_and_too_many_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps_module, "MOST_BYTES", 11)
    maps = MapFolder(tmp_path)
    names = []
    for age, content in ((7200, b"old"), (30, b"second"), (20, b"third")):
        names.append(maps.keep(content))
        os.utime(tmp_path / f"{names[-1]}.skymap", (time.time() - age,) * 2)
    assert maps.find(names[1]) is not None  # it is used
    names.append(maps.keep(b"4th"))
    assert [maps.find(name) is not None for name in names] == [False, True, False, True]
    assert len(list(tmp_path.iterdir())) == 2


def test_file_many_ask_for_is_kept_once(tmp_path: Path) -> None:
    maps = MapFolder(tmp_path)
    assert maps.keep(b"map") == maps.keep(b"map") != maps.keep(b"other")
    assert len(list(tmp_path.iterdir())) == 2


def test_outline_of_one_pixel_is_its_border() -> None:
    (ring,) = outline(np.array([5]), 3)
    lon, lat = HEALPix(nside=8, order="nested").boundaries_lonlat([5], step=1)
    corners = sorted(zip(lon.deg[0].tolist(), lat.deg[0].tolist(), strict=True))
    np.testing.assert_allclose(sorted(ring), corners)


def test_outline_of_neighbours_leaves_out_what_is_inside() -> None:
    inner = np.arange(4**3)  # all pixels of order 4 in one of order 1
    (ring,) = outline(inner, 4)
    assert len(ring) == 4 * 8
    assert outline(np.arange(12 * 4**2), 2) == []
    assert outline(np.array([], dtype=np.int64), 3) == []


def test_hole_is_a_ring_of_its_own() -> None:
    pixels = HEALPix(nside=32, order="nested").neighbours(4 * 37 + 2)
    rings = outline(np.asarray(pixels), 5)
    assert sorted(map(len, rings)) == [4, 12]


def test_area_is_that_of_the_pixels() -> None:
    assert area(np.arange(12 * 4**3), 3) == pytest.approx(41252.96, abs=0.01)


def test_region_of_a_map_is_a_ring_around_it(tmp_path: Path) -> None:
    file = tmp_path / "map"
    file.write_bytes(map_file((150.0, 20.0), 12.0))
    found = credible_region({"file": str(file), "level": 1.0 - 1e-3}, silent)
    assert found["area"] == pytest.approx(2 * np.pi * (1 - np.cos(np.radians(12))) * np.degrees(1) ** 2, rel=0.02)
    longest = np.array(max(found["rings"], key=len))
    across = np.hypot((longest[:, 0] - 150) * np.cos(np.radians(20)), longest[:, 1] - 20)
    assert across.min() > 10
    assert across.max() < 14
    assert found["jd"] == pytest.approx(2460000.5)


def test_ragged_region_is_drawn_in_larger_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "map"
    file.write_bytes(map_file((150.0, 20.0), 12.0))
    fine = credible_region({"file": str(file), "level": 0.99}, silent)
    monkeypatch.setattr(region, "MOST_CORNERS", 60)
    coarse = credible_region({"file": str(file), "level": 0.99}, silent)
    assert sum(map(len, coarse["rings"])) <= 60 < sum(map(len, fine["rings"]))
    assert coarse["area"] == fine["area"]
    assert ORDER > 3


@pytest.mark.parametrize(
    "content", [b"", b"GIF89a", b"\x1f\x8b" + b"0" * 100, b"SIMPLE  =                    T" + b" " * 3000]
)
def test_what_is_no_map_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "map"
    file.write_bytes(content)
    with pytest.raises(FitError, match=r"cannot be used|skymap"):
        credible_region({"file": str(file), "level": 0.5}, silent)
    with pytest.raises(FitError, match="upload it again"):
        credible_region({"file": str(tmp_path / "gone"), "level": 0.5}, silent)


def test_table_and_sky_say_the_delay() -> None:
    records = view.records(FOUND)
    assert [record["delay"] for record in records] == [-0.3, 1.4]
    assert records[0]["first"] == "2023-02-24 16:48:00"
    assert records[0]["last"] == "2023-02-26 00:00:00"
    assert [source.text for source in view.sources_of(FOUND)] == [
        "first seen 7.2 h before it",
        "first seen 1.40 d after it",
    ]


def test_what_the_browser_keeps_of_objects_comes_back_or_is_nothing() -> None:
    pd.testing.assert_frame_equal(
        restored(stored(FOUND)), FOUND[["i:objectId", "i:ra", "i:dec", "d:classification", "delay"]]
    )
    for forged in (None, "", "{", "[]", '{"columns": ["i:ra"], "data": [["x"]]}', 5, '{"a": 1}'):
        assert restored(forged).empty


@pytest.mark.parametrize(
    ("error", "title"),
    [
        (ApiError("Give the name."), "Nothing was searched yet"),
        (ApiError("No skymap.", 404), "Unknown event"),
        (ApiError("GraceDB could not be asked.", 424), "GraceDB does not answer"),
        (ApiError("The skymap cannot be used.", 400), "The skymap cannot be used"),
        (ApiError("The API at x does not answer: y."), "The archive does not answer just now"),
        (ApiError("Another skymap is being read.", 503), "The archive does not answer just now"),
    ],
)
def test_each_refusal_has_its_words(error: ApiError, title: str) -> None:
    assert refusal(error).title == title
