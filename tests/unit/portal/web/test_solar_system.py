"""Solar system objects: who they are, ephemerides beside them, points that come back from a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from science_rows import alerts_of, object_of, words_of

from fink_broker.portal.client import ApiError
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.phase import fit_phase
from fink_broker.portal.web.fits.phase_fit import COLUMNS, COMBINED, MODELS
from fink_broker.portal.web.object_tabs import solar_system_data as data_of
from fink_broker.portal.web.object_tabs.solar_system import TAB, phase_inputs, show_phase
from fink_broker.portal.web.object_tabs.solar_system_plots import astrometry_plot, light_curve_plot

AWAY = "We could not obtain the ephemerides information. Check Miriade availabilities."


class Sso:
    """An API whose ephemerides are here, or away."""

    def __init__(self, rows: pd.DataFrame, refused: int = 0, always: bool = False) -> None:
        self.rows_, self.refused, self.always = rows, refused, always
        self.asked: list[dict[str, Any]] = []

    def rows(self, route: str, /, **arguments: Any) -> pd.DataFrame:
        assert route == "sso"
        self.asked.append(arguments)
        if self.refused and (self.always or arguments.get("withEphem")):
            raise ApiError(AWAY, self.refused)
        return self.rows_


def asteroid(count: int = 40) -> pd.DataFrame:
    phase = np.linspace(1.0, 22.0, count)
    rows = alerts_of(count, **{"i:ssnamenr": "8467"})
    reduced = 14.0 + 0.03 * phase + np.where(rows["i:fid"] == 1, 0.5, 0.0)
    further: dict[str, Any] = {
        "i:magpsf_red": reduced, "Phase": phase,
        "VMag": reduced + 4.2, "SDSS:g": reduced + 4.5, "SDSS:r": reduced + 4.0,
        "RA": "+10 00 00.10", "DEC": "+19 59 59.0", "Dobs": 2.0, "Dhelio": 3.0,
    }  # fmt: skip
    return rows.assign(**further)


@pytest.mark.parametrize(
    ("names", "name"),
    [(["8467", "8467"], "8467"), (["8467", "null"], ""), (["null", "null"], ""), (["1", "2"], ""), ([None, None], "")],
)
def test_an_asteroid_is_one_whose_alerts_agree(names: list[Any], name: str) -> None:
    alerts = alerts_of(2, **{"i:ssnamenr": names})
    assert data_of.known_name(alerts) == name
    assert bool(TAB.why_not(object_of(alerts))) == (name == "")


def test_ephemerides_come_with_the_alerts() -> None:
    api = Sso(asteroid())
    found = data_of.read_solar_system(api, object_of(asteroid(2)))  # type: ignore[arg-type]
    assert (found.has_ephemerides, found.trouble, len(found.rows)) == (True, "", 40)
    assert [trace.name for trace in light_curve_plot(found).data] == ["g", "g, ephemeris", "r", "r, ephemeris"]


def test_without_ephemerides_the_alerts_are_shown_with_a_reason() -> None:
    found = data_of.read_solar_system(Sso(asteroid(3), 400), object_of(asteroid(2)))  # type: ignore[arg-type]
    assert (found.has_ephemerides, found.trouble, len(found.rows)) == (False, AWAY, 3)
    unknown = data_of.read_solar_system(Sso(asteroid(3), 400, always=True), object_of(asteroid(2)))  # type: ignore[arg-type]
    assert len(unknown.rows) == 2  # at least its own
    with pytest.raises(ApiError):
        data_of.read_solar_system(Sso(asteroid(3), 503), object_of(asteroid(2)))  # type: ignore[arg-type]


def test_positions_are_compared_along_the_sky() -> None:
    found = data_of.SolarSystemData("8467", asteroid(4), has_ephemerides=True)
    east, north = data_of.offsets(found.rows)
    # 0.1 s of right ascension is 1.5 arcsec at the equator, and the cosine of the declination less here
    assert east == pytest.approx(-1.5 * np.cos(np.deg2rad(20)), abs=1e-3)
    assert north == pytest.approx(1.0, abs=1e-6)
    assert len(astrometry_plot(found).data) == 2
    degrees = data_of.degrees(pd.Series(["-0 30 00", "12:15:30.5", 17.5, "no angle"]))
    assert degrees[:3] == pytest.approx([-0.5, 12.2584722, 17.5])
    assert np.isnan(degrees[3])


def test_magnitudes_are_predicted_in_v_where_there_is_no_colour() -> None:
    rows = pd.DataFrame({"VMag": [17.0, 17.0], "SDSS:g": [17.4, 0.5]})
    assert data_of.predicted(rows, 1).tolist() == [17.4, 17.0]
    assert data_of.predicted(rows, 2).tolist() == [17.0, 17.0]
    assert data_of.colour(asteroid(1))[0] == pytest.approx(0.5)
    assert data_of.colour(rows.drop(columns="SDSS:g"))[0] == data_of.SOLAR_COLOUR


FIELDS = {"model": "HG1G2", "bands": "bands"}


def test_a_phase_curve_takes_points_that_are_complete() -> None:
    rows = asteroid()
    rows.loc[3, "Phase"] = np.nan
    inputs = phase_inputs(Sso(rows), object_of(asteroid(2)), FIELDS)  # type: ignore[arg-type]
    assert {len(inputs[name]) for name in COLUMNS} == {39}
    assert set(inputs["band"]) == {1, 2}
    assert (inputs["model"], inputs["bands"]) == ("HG1G2", "bands")


@pytest.mark.parametrize("forged", [{}, {"model": "<b>"}, {"model": ["HG"]}, {"model": None}, {"bands": {"a": 1}}])
def test_what_a_browser_makes_up_is_not_fitted(forged: dict[str, Any]) -> None:
    given = FIELDS | forged if forged else {}
    with pytest.raises(FitError, match="Choose one of the models"):
        phase_inputs(Sso(asteroid()), object_of(asteroid(2)), given)  # type: ignore[arg-type]


def test_without_ephemerides_there_is_no_phase_curve() -> None:
    with pytest.raises(FitError, match="no ephemerides"):
        phase_inputs(Sso(asteroid(), 400), object_of(asteroid(2)), FIELDS)  # type: ignore[arg-type]
    nameless = object_of(alerts_of(2, **{"i:ssnamenr": "null"}))
    with pytest.raises(FitError, match="no ephemerides"):
        phase_inputs(Sso(asteroid()), nameless, FIELDS)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
def test_a_fit_shows_plot_and_parameters(model: str) -> None:
    for bands, words in (("bands", " g "), (COMBINED, " V ")):
        fields = {"model": model, "bands": bands}
        inputs = phase_inputs(Sso(asteroid()), object_of(asteroid(2)), fields)  # type: ignore[arg-type]
        shown = words_of(show_phase(fit_phase(inputs, lambda *_: None), "0" * 32))
        assert " rms " in shown
        assert words in shown
