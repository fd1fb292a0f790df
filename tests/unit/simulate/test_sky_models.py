"""The light-curve models of the synthetic sky obey the physics they are named after."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fink_broker.simulate.sky.models import DEFAULT_WEIGHTS, MODELS, agn, asteroid, flare, kilonova, microlensing, stars
from fink_broker.simulate.sky.models.supernovae import ia_absolute_mag, ii_absolute_mag
from fink_broker.simulate.sky.source import View
from fink_broker.simulate.sky.units import distance_modulus, flux_of

JD = 2460554.8
VIEW = View(JD, 2, 20.5, 150.0)


def band(size: int, fid: int) -> np.ndarray:
    return np.full(size, fid)


def test_distance_modulus_is_the_known_one() -> None:
    # Wright's calculator, H0 = 70, Ωm = 0.3, flat: D_L(0.1) = 460.3 Mpc, D_L(1) = 6607.7 Mpc
    assert distance_modulus(0.1) == pytest.approx(5 * math.log10(460.3e5), abs=0.003)
    assert distance_modulus(1.0) == pytest.approx(5 * math.log10(6607.7e5), abs=0.003)


@pytest.mark.parametrize(("fid", "peak"), [(1, -19.25), (2, -19.15), (3, -18.55)])
def test_normal_supernova_ia_peaks_at_the_standard_candle(fid: int, peak: float) -> None:
    phase = np.arange(-25.0, 100.0, 0.25)
    mags = ia_absolute_mag(phase, band(len(phase), fid))
    assert mags.min() == pytest.approx(peak, abs=0.03)
    assert abs(phase[mags.argmin()]) <= 2.5
    assert np.isinf(mags[phase <= -18]).all()
    assert (np.diff(mags[(phase > -17.9) & (phase < -5)]) < 0).all()


def test_supernova_ia_declines_in_fifteen_days_and_bumps_in_i() -> None:
    early, late = np.array([0.0, 15.0]), np.array([15.0, 25.0])
    decline = np.diff(ia_absolute_mag(early, band(2, 1)))[0]
    assert 0.8 < decline < 1.1
    assert np.diff(ia_absolute_mag(late, band(2, 3)))[0] < 0 < np.diff(ia_absolute_mag(late, band(2, 1)))[0]


def test_wider_supernova_ia_is_brighter_and_slower() -> None:
    phase = np.array([0.0, 15.0])
    narrow, wide = (ia_absolute_mag(phase, band(2, 1), stretch=s) for s in (0.8, 1.1))
    assert wide[0] < narrow[0]
    assert np.diff(wide)[0] < np.diff(narrow)[0]


def test_supernova_ii_rises_stays_and_drops() -> None:
    days = np.array([-1.0, 2.0, 20.0, 60.0, 85.0, 115.0, 160.0, 200.0])
    mag = ii_absolute_mag(days, band(len(days), 2), peak=-17.0, plateau=100.0, drop=2.0)
    assert np.isinf(mag[0])
    assert mag[1] > mag[2]
    assert abs(mag[4] - mag[2]) < 0.8
    assert 1.7 < mag[5] - mag[4] < 2.7
    assert np.diff(mag[-2:])[0] / 40.0 == pytest.approx(0.0098, abs=0.003)


def test_kilonova_looks_like_at2017gfo() -> None:
    days = np.array([0.5, 1.5, 2.5, 3.5])
    g, r = (kilonova.absolute_mag(days, band(4, fid)) for fid in (1, 2))
    assert (np.diff(g) > 0.3).all()
    assert (np.diff(r) > 0.3).all()
    assert (np.diff(g - r) > 0).all()
    assert -16.5 < r[0] < -15.0
    assert np.isinf(kilonova.absolute_mag(np.array([-0.1]), band(1, 1)))[0]


def test_period_of_rr_lyrae_is_recovered() -> None:
    source = None
    rng = np.random.default_rng(4)
    while source is None or not source.parameters["fundamental"]:
        source = MODELS["RR Lyrae"](rng, VIEW)
    jd = JD - np.sort(rng.uniform(0, 30, 400))
    flux = source.flux(jd, band(400, 1))
    # phase dispersion minimisation, period unknown to the test
    periods = np.arange(0.4, 0.8, 2e-4)
    lengths = []
    for period in periods:
        folded = flux[np.argsort(jd % period)]
        lengths.append(np.abs(np.diff(folded)).sum())
    assert periods[int(np.argmin(lengths))] == pytest.approx(source.parameters["period"], abs=2e-3)


def test_rr_lyrae_amplitude_falls_with_period_and_wavelength() -> None:
    phase = np.linspace(0, 1, 500, endpoint=False)
    g, r = (stars.rrlyrae_mag(phase, band(500, fid), 1.0) for fid in (1, 2))
    assert np.ptp(g) == pytest.approx(1.0, abs=0.01)
    assert np.ptp(r) == pytest.approx(0.72, abs=0.01)
    assert g.mean() == pytest.approx(0.0, abs=0.01)
    assert stars.rrab_amplitude(0.5) > stars.rrab_amplitude(0.7) > 0


def test_binary_is_dimmest_in_primary_eclipse() -> None:
    phase = np.array([0.0, 0.5, 0.25])
    dimming = stars.eclipse_dimming(phase, (0.8, 0.3), (0.03, 0.03), 0.0)
    assert dimming == pytest.approx([0.8, 0.3, 0.0], abs=1e-6)


def test_flare_rises_fast_and_decays_by_half_within_its_width() -> None:
    time = np.linspace(-1.5, 10, 4000)
    light = flare.profile(time)
    assert light.max() == pytest.approx(1.0, abs=0.02)
    assert abs(time[light.argmax()]) < 0.02
    after = time > 0.01
    assert (np.diff(light[after]) < 0).all()
    above = time[light > 0.5]
    assert above[-1] - above[0] == pytest.approx(1.0, abs=0.15)
    assert light[time < -1].max() == 0.0
    assert light[-1] < 0.05


def test_damped_walk_has_the_structure_function_asked_for() -> None:
    rng = np.random.default_rng(1)
    tau, sf_infinity = 50.0, 0.3
    walks = np.array([agn.damped_walk(rng, 120, tau, sf_infinity) for _ in range(1500)])
    for lag in (1, 20, 100):
        measured = np.sqrt(np.mean((walks[:, lag] - walks[:, 0]) ** 2))
        assert measured == pytest.approx(sf_infinity * math.sqrt(1 - math.exp(-lag / tau)), rel=0.07)


def test_microlensing_follows_paczynski() -> None:
    amplification = microlensing.magnification(np.array([0.0, 20.0, -20.0, 1e4]), 0.0, 20.0, 0.1)
    assert amplification[0] == pytest.approx(10.037, abs=0.01)
    assert amplification[1] == pytest.approx(amplification[2])
    assert amplification[1] == pytest.approx(1.3416, abs=0.02)
    assert amplification[3] == pytest.approx(1.0, abs=1e-6)


def test_asteroid_at_opposition() -> None:
    earth, phase = asteroid.geometry(2.5, math.pi)
    assert earth == pytest.approx(1.5)
    assert phase == pytest.approx(0.0, abs=1e-12)
    assert asteroid.hg_magnitude(15.0, 0.15, 2.5, 1.5, 0.0) == pytest.approx(15 + 5 * math.log10(3.75))
    # retrograde; the usual main-belt rate at opposition is about half an arcsecond a minute
    assert -0.75 < asteroid.motion(2.5, earth, math.pi, phase) < -0.4


@pytest.mark.parametrize("kind", sorted(DEFAULT_WEIGHTS))
def test_every_model_gives_finite_fluxes_and_parameters(kind: str) -> None:
    rng = np.random.default_rng(9)
    jd = np.linspace(JD - 120, JD, 90)
    fid = rng.integers(1, 4, 90)
    visible = 0
    for _ in range(60):
        source = MODELS[kind](rng, VIEW)
        flux = source.flux(jd, fid)
        assert source.kind == kind
        assert np.isfinite(flux).all()
        assert all(math.isfinite(value) for value in source.parameters.values())
        visible += abs(source.flux(jd[-1:], band(1, 2))[0]) > flux_of(VIEW.limit)
    assert visible > 3
