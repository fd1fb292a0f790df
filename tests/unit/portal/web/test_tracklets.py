"""Tracklets: their name, and how they moved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from science_rows import FIRST_JD, alerts_of, object_of, words_of

from fink_broker.portal.web.object_tabs.tracklets import TAB, motion, tracklet_of

NAME = "TRCK_20240901_031415_00"


def moving(count: int = 6) -> pd.DataFrame:
    """Return members that go 600 arcsec an hour to the east, across the meridian of 0 h."""
    hours = np.arange(count) / 60.0
    east = (359.999 + 600.0 * hours / 3600.0 / np.cos(np.deg2rad(60.0))) % 360.0
    names = [f"ZTF24aaaaaa{letter}" for letter in "abcdefghij"[:count]]
    rows = alerts_of(count, **{"d:tracklet": NAME})
    return rows.assign(**{"i:jd": FIRST_JD + hours / 24.0, "i:ra": east, "i:dec": 60.0, "i:objectId": names})


def test_motion_is_found_across_the_meridian() -> None:
    found = motion(moving())
    assert found is not None
    assert found.arcsec_per_hour == pytest.approx(600.0, rel=1e-6)
    assert found.direction == pytest.approx(90.0)
    assert found.scatter_arcsec == pytest.approx(0.0, abs=1e-6)
    assert motion(moving().assign(**{"i:jd": FIRST_JD})) is None


@pytest.mark.parametrize(("names", "name"), [(["", NAME], NAME), (["", ""], ""), (["other", None], "")])
def test_an_object_belongs_to_its_tracklet(names: list[Any], name: str) -> None:
    alerts = alerts_of(2, **{"d:tracklet": names})
    assert tracklet_of(alerts) == name
    assert bool(TAB.why_not(object_of(alerts))) == (name == "")
    assert tracklet_of(alerts.drop(columns="d:tracklet")) == ""


def test_the_tab_shows_all_members() -> None:
    members = moving()

    class Site:
        class api:
            @staticmethod
            def rows(route: str, /, **arguments: Any) -> pd.DataFrame:
                assert (route, arguments["id"]) == ("tracklet", NAME)
                return members

    words = words_of(TAB.build(object_of(members.head(1)), Site()))  # type: ignore[arg-type]
    assert all(name in words for name in members["i:objectId"])
    assert "600.0 ″/h" in words and "(E)" in words
