"""Photometry of an object, as plots and fits take it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fink_broker.portal.web.object_data import ObjectData
from fink_broker.portal.web.photometry import (
    apparent_flux,
    apparent_magnitudes,
    difference_flux,
    is_source_behind,
    magnitudes_for_fit,
)


def alerts(**columns: object) -> pd.DataFrame:
    """Return three alerts, the last of which is fainter than the reference."""
    usual = {
        "i:jd": [2460000.5, 2460001.5, 2460002.5],
        "i:fid": [1, 2, 1],
        "i:magpsf": np.array([18.0, 17.5, 19.0], dtype=np.float32),
        "i:sigmapsf": np.array([0.05, 0.04, 0.1], dtype=np.float32),
        "i:magnr": np.array([17.0, 16.5, 17.0], dtype=np.float32),
        "i:sigmagnr": np.array([0.02, 0.02, 0.02], dtype=np.float32),
        "i:isdiffpos": ["t", "1", "f"],
        "i:distnr": [0.3, 0.4, 0.2],
    }
    return pd.DataFrame({**usual, **columns})


def object_of(rows: pd.DataFrame) -> ObjectData:
    return ObjectData("ZTF24aaaaaaa", rows, rows.iloc[:0], rows.iloc[:0])


def test_difference_and_reference_add_up_to_the_apparent_magnitude() -> None:
    found = apparent_magnitudes(alerts())
    brighter = -2.5 * math.log10(10 ** (-0.4 * 17.0) + 10 ** (-0.4 * 18.0))
    fainter = -2.5 * math.log10(10 ** (-0.4 * 17.0) - 10 ** (-0.4 * 19.0))
    assert found["mag"].tolist()[::2] == pytest.approx([brighter, fainter], abs=1e-5)
    assert brighter < 17.0 < fainter


def test_flux_of_the_source_is_in_millijansky() -> None:
    zero_magnitude = 3_631_000.0
    flux = apparent_flux(alerts())["flux"].iloc[0]
    assert flux == pytest.approx(zero_magnitude * (10 ** (-0.4 * 17.0) + 10 ** (-0.4 * 18.0)), rel=1e-5)


def test_flux_of_the_difference_is_negative_where_the_source_was_fainter() -> None:
    assert np.sign(difference_flux(alerts())["flux"]).tolist() == [1, 1, -1]


def test_magnitudes_that_are_hardly_known_are_left_out() -> None:
    found = apparent_magnitudes(alerts(**{"i:sigmapsf": [0.05, 5.0, 0.1]}))
    assert found.index.tolist() == [0, 2]
    assert (found["error"] < 1).all()


def test_a_source_fainter_than_nothing_has_no_magnitude() -> None:
    found = apparent_magnitudes(alerts(**{"i:magpsf": [18.0, 17.5, 15.0]}))
    assert found.index.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("distances", "is_behind"),
    [([9.0, 9.0, 1.49], True), ([0.1, 0.1, 1.5], False), ([0.1, 0.4, np.nan], True), ([-999.0] * 3, False)],
)
def test_the_latest_known_distance_says_whether_a_source_is_behind(distances: list[float], is_behind: bool) -> None:
    assert is_source_behind(alerts(**{"i:distnr": distances})) is is_behind


def test_no_source_is_behind_where_distances_are_not_known() -> None:
    assert not is_source_behind(alerts().drop(columns="i:distnr"))


def test_fits_take_apparent_magnitudes_only_where_a_source_is_behind() -> None:
    apparent, is_behind = magnitudes_for_fit(object_of(alerts()))
    assert is_behind
    assert apparent["mag"].iloc[0] < 17.0
    difference, is_behind = magnitudes_for_fit(object_of(alerts(**{"i:distnr": [8.0] * 3})))
    assert not is_behind
    assert difference["mag"].tolist() == pytest.approx([18.0, 17.5, 19.0])
    assert list(difference.columns) == ["jd", "fid", "mag", "error"]
