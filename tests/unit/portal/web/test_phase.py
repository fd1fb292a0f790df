"""Phase curves that were drawn from known parameters are found again."""

from __future__ import annotations

import dataclasses
import json
import time

import numpy as np
import pytest
from sbpy.photometry import HG, HG1G2, HG12
from science_rows import words_of

from fink_broker.portal.phase_curves import Observations
from fink_broker.portal.phase_curves import model as spinning
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.phase import fit_phase, fit_phase_curve, in_v
from fink_broker.portal.web.fits.phase_fit import COMBINED, MODELS, Parameter, PhaseFit
from fink_broker.portal.web.object_tabs.solar_system import show_phase

TRUTHS = {"HG": (HG, (14.2, 0.24)), "HG12": (HG12, (14.2, 0.4)), "HG1G2": (HG1G2, (14.2, 0.5, 0.2))}


def points(count: int = 120, bands: tuple[int, ...] = (1, 2)) -> Observations:
    random = np.random.default_rng(3)
    return Observations(
        magnitude=np.zeros(count),
        sigma=np.full(count, 0.02),
        band=np.resize(bands, count),
        phase=random.uniform(0.2, 25, count),
        ra=random.uniform(0, 360, count),
        dec=random.uniform(-25, 25, count),
    )


def shining(seen: Observations, magnitude: np.ndarray) -> Observations:
    noise = np.random.default_rng(4).normal(0, 0.02, len(magnitude))
    return Observations(magnitude + noise, seen.sigma, seen.band, seen.phase, seen.ra, seen.dec)


def found(fit: PhaseFit, band: int = 0) -> dict[str, tuple[float, float]]:
    return {each.name: (each.value, each.error) for each in (*fit.spin, *fit.bands[band].parameters)}


@pytest.mark.parametrize("model", TRUTHS)
def test_a_phase_curve_is_found_again(model: str) -> None:
    law, truth = TRUTHS[model]
    seen = points()
    magnitude = law.evaluate(np.deg2rad(seen.phase), *truth) - 0.5 * (seen.band == 2)
    fit = fit_phase_curve(shining(seen, magnitude), model)
    assert [each.band for each in fit.bands] == [1, 2]
    for number, offset in enumerate((0.0, -0.5)):
        values = found(fit, number)
        for name, value in zip(MODELS[model], (truth[0] + offset, *truth[1:]), strict=True):
            assert abs(values[name][0] - value) < 4 * values[name][1]
            assert 0 < values[name][1] < 0.1
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.3)
    assert all(each.rms == pytest.approx(0.02, abs=0.006) for each in fit.bands)
    assert np.all(np.diff(fit.bands[0].phase) >= 0)


def test_the_spin_of_an_oblate_body_is_found_again_in_time() -> None:
    seen = points(300)
    truth = np.array([0.6, 1.1, 0.7, 14.2, 0.5, 0.2, 13.7, 0.4, 0.25])
    began = time.perf_counter()
    fit = fit_phase_curve(shining(seen, spinning(truth, seen, np.array([1, 2]))), "SHG1G2")
    assert time.perf_counter() - began < 5
    values = found(fit)
    assert values["R"][0] == pytest.approx(0.6, abs=0.03)
    # an axis and its opposite give the same brightness
    axis = np.deg2rad([values["α0"][0], values["δ0"][0]])
    towards = [np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]) for a, d in (axis, truth[1:3])]
    assert abs(float(towards[0] @ towards[1])) > np.cos(np.deg2rad(3))
    assert values["H"][0] == pytest.approx(14.2, abs=0.05)
    assert fit.reduced_chi2 == pytest.approx(1, abs=0.3)


def test_bands_come_together_in_v() -> None:
    seen = points(40)
    in_g = HG.evaluate(np.deg2rad(seen.phase), 15.0, 0.15)
    colour = np.full(40, 0.6)
    magnitude = np.where(seen.band == 1, in_g, in_g - 0.6)
    together = in_v(shining(seen, magnitude), colour)
    assert set(together.band) == {0}
    (band,) = fit_phase_curve(together, "HG").bands
    # V of a source with g - r = 0.6: g - 0.59 * 0.6 - 0.01
    assert band.parameters[0].value == pytest.approx(15.0 - 0.364, abs=0.03)
    assert band.rms == pytest.approx(0.02, abs=0.006)


@pytest.mark.parametrize(
    ("seen", "model", "says"),
    [
        (points(6), "HG1G2", "in g there are 3, in r there are 3"),
        (points(0), "HG", "no point"),
        (points(9), "SHG1G2", "at least 10 points"),
        (points(20), "HG9", "Choose one of the models SHG1G2, HG1G2, HG12, HG."),
    ],
)
def test_what_cannot_be_fitted_is_said(seen: Observations, model: str, says: str) -> None:
    with pytest.raises(FitError, match=says.replace(".", r"\.")):
        fit_phase_curve(seen, model)


@pytest.mark.parametrize("model", MODELS)
def test_a_band_with_too_few_points_is_left_out(model: str) -> None:
    seen = points(61)
    band = np.where(np.arange(61) == 60, 3, seen.band)
    seen = dataclasses.replace(seen, band=band)
    fit = fit_phase_curve(shining(seen, HG.evaluate(np.deg2rad(seen.phase), 15.0, 0.15)), model)
    assert ([each.band for each in fit.bands], fit.left_out) == ([1, 2], (3,))
    assert sum(len(each.phase) for each in fit.bands) == 60
    assert PhaseFit.of_json(json.loads(json.dumps(fit.as_json()))).left_out == (3,)
    assert "Left out, with too few points for the model: i." in words_of(show_phase(fit.as_json(), "0" * 32))


def test_a_fit_of_before_left_nothing_out() -> None:
    kept = fit_phase_curve(shining(points(), np.full(120, 15.0)), "HG").as_json()
    del kept["left_out"]
    assert PhaseFit.of_json(kept).left_out == ()


def test_a_fit_that_does_not_converge_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink_broker.portal.web.fits.phase.MOST_STEPS", 1)
    with pytest.raises(FitError, match=r"The fitting procedure could not converge\."):
        fit_phase_curve(shining(points(), np.full(120, 15.0)), "HG1G2")


def test_points_that_are_not_numbers_have_no_part() -> None:
    seen = points(40, (2,))
    magnitude = HG.evaluate(np.deg2rad(seen.phase), 15.0, 0.15)
    magnitude[::4] = np.nan
    fit = fit_phase_curve(shining(seen, magnitude), "HG")
    assert len(fit.bands[0].phase) == 30
    assert np.isfinite(fit.reduced_chi2)


@pytest.mark.parametrize("bands", ["bands", COMBINED])
def test_a_fit_is_json_and_comes_back(bands: str) -> None:
    seen = points(60)
    seen = shining(seen, HG.evaluate(np.deg2rad(seen.phase), 15.0, 0.15))
    inputs = {name: getattr(seen, name).tolist() for name in ("magnitude", "sigma", "band", "phase", "ra", "dec")}
    told: list[float] = []
    given = {**inputs, "colour": [0.5] * 60, "model": "HG", "bands": bands}
    result = fit_phase(json.loads(json.dumps(given)), lambda _, share: told.append(share))
    back = PhaseFit.of_json(json.loads(json.dumps(result, allow_nan=False)))
    direct = fit_phase_curve(in_v(seen, np.full(60, 0.5)) if bands == COMBINED else seen, "HG")
    assert [each.parameters for each in back.bands] == [each.parameters for each in direct.bands]
    np.testing.assert_array_equal(back.bands[0].residuals, direct.bands[0].residuals)
    assert back.reduced_chi2 == direct.reduced_chi2
    assert told


def test_an_error_nobody_knows_comes_back_as_none() -> None:
    parameter = Parameter("H", 15.0, float("nan"))
    fit = PhaseFit("HG", (), (parameter,), 1.0)
    plain = json.loads(json.dumps(fit.as_json(), allow_nan=False))
    assert np.isnan(PhaseFit.of_json(plain).spin[0].error)
