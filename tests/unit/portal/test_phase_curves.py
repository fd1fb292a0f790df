"""The model sHG1G2 and its fit: published values of its functions, and light curves made with known parameters."""

from __future__ import annotations

import time

import numpy as np
import pytest

from fink_broker.portal.phase_curves import Observations, basis, model, residuals


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [  # Muinonen et al. 2010, tables 3 and 4
        (0.0, (1.0, 1.0, 1.0)),
        (0.3, (1 - 6 * np.deg2rad(0.3) / np.pi, 1 - 9 * np.deg2rad(0.3) / (5 * np.pi), 0.83381185)),
        (7.5, (0.75, 0.925, None)),
        (8.0, (None, None, 0.10348178)),
        (30.0, (0.33486016, 0.62884169, 0.0)),
        (90.0, (0.051104756, 0.12716367, 0.0)),
        (150.0, (0.0036396989, 0.00016505689, 0.0)),
        (175.0, (0.0036396989, 0.00016505689, 0.0)),
    ],
)
def test_basis_functions_have_their_published_values(degrees: float, expected: tuple[float | None, ...]) -> None:
    found = basis(np.deg2rad(np.array([degrees])))
    for value, published in zip(found, expected, strict=True):
        if published is not None:
            assert value[0] == pytest.approx(published, abs=1e-7)


def test_basis_functions_are_smooth_and_fall() -> None:
    phase = np.deg2rad(np.linspace(0.0, 149.0, 2000))
    for values in basis(phase):
        assert (np.diff(values) <= 1e-6).all()
        assert np.abs(np.diff(values)).max() < 0.09


def light_curve(noise: float, bands: tuple[int, ...] = (1, 2), count: int = 120) -> tuple[Observations, np.ndarray]:
    random = np.random.default_rng(5)
    parameters = np.concatenate([[0.75, 1.1, 0.4], *([15.0 - 0.4 * band, 0.3, 0.25] for band in bands)])
    points = Observations(
        np.zeros(count),
        np.full(count, max(noise, 0.01)),
        random.choice(bands, count),
        random.uniform(1.0, 28.0, count),
        random.uniform(0.0, 360.0, count),
        random.uniform(-25.0, 25.0, count),
    )
    magnitude = model(parameters, points, np.array(bands)) + random.normal(0.0, noise, count)
    return Observations(
        magnitude, *(getattr(points, name) for name in ("sigma", "band", "phase", "ra", "dec"))
    ), parameters


def test_brightness_at_the_pole_and_the_equator() -> None:
    pole = Observations(*(np.array([value]) for value in (0.0, 0.1, 1, 0.0, 40.0, 30.0)))
    parameters = np.array([0.5, np.deg2rad(40.0), np.deg2rad(30.0), 12.0, 0.3, 0.3])
    # seen from the pole, a body of oblateness 0.5 appears half as bright as from its equator
    assert model(parameters, pole, np.array([1]))[0] == pytest.approx(12.0 + 2.5 * np.log10(0.5))
    equator = Observations(*(np.array([value]) for value in (0.0, 0.1, 1, 0.0, 40.0, -60.0)))
    assert model(parameters, equator, np.array([1]))[0] == pytest.approx(12.0, abs=1e-9)


def test_a_perfect_light_curve_leaves_nothing() -> None:
    points, _ = light_curve(0.0)
    assert np.abs(residuals(points)).max() < 0.005


def test_what_is_left_is_the_noise() -> None:
    points, parameters = light_curve(0.05)
    left = residuals(points)
    assert np.std(left) == pytest.approx(0.05, rel=0.15)
    truth = points.magnitude - model(parameters, points, np.array([1, 2]))
    assert np.corrcoef(left, truth)[0, 1] > 0.95


def test_an_outlier_shows() -> None:
    points, _ = light_curve(0.02)
    points.magnitude[17] += 1.0
    assert int(np.argmax(np.abs(residuals(points)))) == 17


def test_missing_values_have_no_part() -> None:
    points, _ = light_curve(0.02)
    points.sigma[3] = np.nan
    points.magnitude[4] = np.inf
    left = residuals(points)
    assert np.isnan(left[[3, 4]]).all()
    assert np.isfinite(np.delete(left, [3, 4])).all()


def test_bands_with_few_points_are_left_out() -> None:
    points, _ = light_curve(0.02)
    points.band[:3] = 3
    left = residuals(points)
    assert np.isnan(left[:3]).all()
    assert np.isfinite(left[3:]).all()


@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_too_few_points_fit_nothing(count: int) -> None:
    points, _ = light_curve(0.02, (1,), 20)
    assert np.isnan(residuals(points.only(np.arange(20) < count))).all()


def test_a_fit_takes_a_moment() -> None:
    points, _ = light_curve(0.05, count=1500)
    start = time.perf_counter()
    residuals(points)
    assert time.perf_counter() - start < 3.0
