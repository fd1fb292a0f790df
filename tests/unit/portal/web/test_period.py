"""Period search: periods that are known, the periodogram of others, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest
from astropy.timeseries import LombScargle, LombScargleMultiband
from science_rows import FIRST_JD, alerts_of, object_of, words_of

from fink_broker.portal.web.api import Api
from fink_broker.portal.web.fits.job_folder import FitError
from fink_broker.portal.web.fits.multiband import MultibandPeriodogram
from fink_broker.portal.web.fits.period import chance_of_noise, fit_period, thinned
from fink_broker.portal.web.fits.search import LEAST_PERIOD, Magnitudes, PeriodSearch
from fink_broker.portal.web.object_tabs.variable import period_inputs, show_period, written_chance, written_period
from fink_broker.simulate.sky.models.stars import rrlyrae_mag

START = 2459000.5
NAMES = ("jd", "fid", "mag", "error")


def silent(words: str, share: float) -> None:
    assert 0 <= share <= 1
    assert words


def star(
    period: float, points: int = 300, days: float = 200.0, noise: float = 0.05, seed: int = 1, **settings: Any
) -> dict[str, Any]:
    """Return a sinusoid of 0.4 mag in g and r, half a cycle apart in r, as a fit takes it."""
    random = np.random.default_rng(seed)
    jd = np.sort(random.uniform(0, days, points))
    fid = random.integers(1, 3, points)
    mag = 16.0 + fid + 0.4 * np.sin(2 * np.pi * jd / period) + random.normal(0, noise, points)
    given = {"nterms_base": 1, "nterms_band": 1, "shortest": 0.1, "longest": 1.2}
    return inputs(jd + START, fid, mag, np.full(points, noise)) | given | settings


def inputs(jd: Any, fid: Any, mag: Any, error: Any) -> dict[str, Any]:
    return {name: np.asarray(each).tolist() for name, each in zip(NAMES, (jd, fid, mag, error), strict=True)}


@pytest.mark.parametrize(("base", "band"), [(1, 1), (4, 0), (0, 2), (3, 4)])
@pytest.mark.parametrize("bands", [1, 3])
def test_periodogram_is_that_of_astropy(base: int, band: int, bands: int) -> None:
    given = star(0.61, points=60, days=40)
    given["fid"] = [1 + number % bands for number in range(60)]
    given["error"] = np.random.default_rng(2).uniform(0.02, 0.2, 60).tolist()
    magnitudes = Magnitudes.of(given)
    ours = MultibandPeriodogram(magnitudes, base, band).power(0.9, 0.013, 300)
    theirs = LombScargleMultiband(
        magnitudes.jd - magnitudes.jd[0],
        magnitudes.mag,
        magnitudes.fid,
        magnitudes.error,
        nterms_base=base,
        nterms_band=band,
    ).power(0.9 + 0.013 * np.arange(300))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("period", [0.10234567, 0.61, 1.19])
def test_known_period_is_found_within_its_error(period: float) -> None:
    found = fit_period(star(period), silent)
    assert abs(found["period"] - period) < 4 * found["period_error"]
    # Cramér-Rao: σ_P = P² √(6/n) σ / (π T A)
    expected = period**2 * np.sqrt(6 / 300) * 0.05 / (np.pi * 200 * 0.4)
    assert found["period_error"] == pytest.approx(expected, rel=0.25)
    assert found["score"] > 0.95
    assert found["chance"] < 1e-50


def test_rr_lyrae_of_the_synthetic_sky_is_found_and_followed_by_more_terms() -> None:
    random = np.random.default_rng(5)
    period, jd, fid = 0.5634, np.sort(random.uniform(0, 200, 160)), random.integers(1, 3, 160)
    mag = 16 + 0.3 * fid
    for band in (1, 2):
        mag[fid == band] += rrlyrae_mag(jd[fid == band] / period, np.full(int((fid == band).sum()), band), 1.0, True)
    given = inputs(START + jd, fid, mag + random.normal(0, 0.02, 160), np.full(160, 0.02))
    scores = []
    for terms in (1, 4):
        found = fit_period(given | {"nterms_base": terms, "nterms_band": 1, "shortest": 0.2, "longest": 1.0}, silent)
        assert found["period"] == pytest.approx(period, abs=3e-4)
        scores.append(found["score"])
    assert scores[1] > scores[0] + 0.05


def test_model_follows_the_points_and_phase_zero_is_the_brightest() -> None:
    found = fit_period(star(0.61, noise=0.02), silent)
    points = {name: np.asarray(each) for name, each in found["points"].items()}
    for band in (1, 2):
        curve = np.asarray(found["model"]["mag"][str(band)])
        mine = points["fid"] == band
        model = np.interp(points["phase"][mine], found["model"]["phase"], curve, period=1)
        assert np.std(points["mag"][mine] - model) < 0.025
    assert min(int(np.argmin(found["model"]["mag"][band])) for band in ("1", "2")) == 0


def test_given_period_is_not_searched_for() -> None:
    found = fit_period(star(0.61) | {"period": 0.7}, silent)
    assert found["period"] == pytest.approx(0.7, rel=1e-12)
    assert (found["searched"], found["period_error"]) == (False, None)
    assert found["score"] < 0.2
    assert found["rivals"][0][0] == pytest.approx(0.61, abs=1e-3)
    assert "Highest in the range: 0.61" in words_of(show_period(found, "0" * 32))


def test_highest_peak_is_named_though_it_is_the_period_given() -> None:
    found = fit_period(star(0.61) | {"period": 0.61}, silent)
    assert found["rivals"][0][0] == pytest.approx(0.61, abs=1e-3)
    assert found["score"] <= 1


def test_chance_of_a_given_period_is_that_of_one_trial() -> None:
    """Of single periods in pure noise as many have a chance below 30 % as should."""
    random = np.random.default_rng(4)
    chances = []
    for _ in range(200):
        given = star(0.61, points=40, days=10) | {"mag": random.normal(16, 0.1, 40).tolist()}
        magnitudes, search = Magnitudes.of(given), PeriodSearch(1, 0, 0.1, 1.2, 0.7)
        score = MultibandPeriodogram(magnitudes, 1, 0).power(1 / 0.7, 0.0, 1)[0]
        chances.append(chance_of_noise(float(score), search, magnitudes))
    assert 0.2 < np.mean(np.asarray(chances) < 0.3) < 0.4


def test_chance_is_that_of_noise() -> None:
    """Of searches in pure noise about as many have a chance below 30 % as should."""
    random = np.random.default_rng(3)
    chances = []
    for seed in range(60):
        given = star(0.61, points=40, days=10, seed=seed)
        given["mag"] = random.normal(16, 0.1, 40).tolist()
        chances.append(fit_period(given, silent)["chance"])
    assert 0.1 < np.mean(np.asarray(chances) < 0.3) < 0.5
    assert min(chances) > 1e-4


def test_chance_of_one_band_is_that_of_baluev() -> None:
    magnitudes = Magnitudes.of(star(0.61, points=100) | {"fid": [1] * 100})
    search = PeriodSearch(1, 0, 0.1, 1e4)
    known = LombScargle(magnitudes.jd, magnitudes.mag, magnitudes.error)
    for score in (0.25, 0.4):
        expected = known.false_alarm_probability(score, method="baluev", maximum_frequency=10)
        assert chance_of_noise(score, search, magnitudes) == pytest.approx(expected, rel=0.3)


def test_measurements_that_cannot_be_used_are_left_out() -> None:
    given = star(0.61)
    spoilt = dict(given)
    for name, value in (("jd", None), ("mag", None), ("error", None), ("error", 0.0), ("error", -1.0)):
        for column in ("jd", "fid", "mag", "error"):
            spoilt[column] = [*spoilt[column], value if column == name else spoilt[column][0]]
    spoilt["mag"] = [float("nan") if each is None else each for each in spoilt["mag"]]
    assert fit_period(spoilt, silent)["period"] == fit_period(given, silent)["period"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"nterms_base": 0, "nterms_band": 0}, "no terms"),
        ({"nterms_base": 5}, "0 to 4"),
        ({"nterms_base": 1.5}, "0 to 4"),
        ({"nterms_band": "__import__('os')"}, "0 to 4"),
        ({"nterms_band": True}, "0 to 4"),
        ({"shortest": 1.2, "longest": 0.1}, "empty"),
        ({"shortest": 1.2}, "empty"),
        ({"shortest": ""}, "number of days"),
        ({"shortest": 0}, "number of days"),
        ({"longest": float("inf")}, "number of days"),
        ({"longest": 1e9}, "number of days"),
        ({"period": -1}, "number of days"),
        ({"period": "0.5; DROP"}, "number of days"),
        ({"shortest": LEAST_PERIOD, "nterms_base": 4}, r"can be tried: begin it at 0\.0\d+ d, or take fewer terms"),
        ({"mag": [16.123] * 300}, "alike: no period"),
        ({"mag": [16.0]}, "not equally many"),
        ({"mag": ["bright"] * 300}, "not all numbers"),
        ({"mag": None}, "not equally many"),
        ({"jd": {"a": 1}}, "not all numbers"),
        ({"jd": [START] * 300}, "one time"),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    given = star(0.61, days=5000) | change
    with pytest.raises(FitError, match=words):
        PeriodSearch.of(given).check(Magnitudes.of(given))


def periodic(**fields: Any) -> dict[str, Any]:
    """Return what a search of an object takes of the fields of the tab."""
    alerts = alerts_of(60, **{"i:jd": FIRST_JD + 0.37 * np.arange(60)})
    usual = {"base": 1, "band": 1, "shortest": 0.1, "longest": 1.2, "period": ""}
    return period_inputs(cast("Api", None), object_of(alerts), usual | fields)


def test_numbers_that_end_in_zeros_are_texts_of_a_field() -> None:
    found = periodic(shortest="0.20", longest="1.0", period="0.50", base="2")
    assert [found[name] for name in ("shortest", "longest", "period", "nterms_base")] == [0.2, 1.0, 0.5, 2]
    assert periodic()["period"] is None


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "-1.0", "a day", "0.5; DROP", "1.0.0"])
@pytest.mark.parametrize("field", ["shortest", "longest", "period"])
def test_texts_that_are_no_days_are_refused(field: str, text: str) -> None:
    with pytest.raises(FitError, match="number of days"):
        periodic(**{field: text})


@pytest.mark.parametrize(("points", "words"), [(0, "too few"), (3, "too few"), (7, "take fewer terms")])
def test_too_few_measurements_are_refused_in_words(points: int, words: str) -> None:
    with pytest.raises(FitError, match=words):
        fit_period(star(0.61, points=points), silent)


@pytest.mark.parametrize("points", [40, 300, 3000])
def test_measurements_of_equal_magnitude_have_no_power(points: int) -> None:
    given = star(0.61, points=points, days=30)
    given["mag"] = [16.123 + 0.777 * fid for fid in given["fid"]]
    assert not MultibandPeriodogram(Magnitudes.of(given), 1, 1).power(1.0, 1e-3, 64).any()
    with pytest.raises(FitError, match="alike"):
        fit_period(given, silent)


def test_search_that_would_take_minutes_is_refused_with_what_would_not() -> None:
    given = star(0.61, points=3000, days=1000) | {"nterms_base": 4, "nterms_band": 4, "shortest": LEAST_PERIOD}
    with pytest.raises(FitError, match="begin it at") as refused:
        PeriodSearch.of(given).check(Magnitudes.of(given))
    begin = float(str(refused.value).partition("begin it at ")[2].split()[0])
    PeriodSearch.of(given | {"shortest": begin}).check(Magnitudes.of(given))
    with pytest.raises(FitError, match="begin it at"):
        PeriodSearch.of(given | {"shortest": 0.9 * begin}).check(Magnitudes.of(given))


def test_many_frequencies_together_are_quicker_than_one_by_one() -> None:
    magnitudes = Magnitudes.of(star(0.61))
    ours, theirs = MultibandPeriodogram(magnitudes, 1, 1), LombScargleMultiband(
        magnitudes.jd, magnitudes.mag, magnitudes.fid, magnitudes.error
    )  # fmt: skip
    count = ours.together
    quick, slow = (
        min(_seconds(work) for _ in range(3))
        for work in (lambda: ours.power(1.0, 1e-4, count), lambda: theirs.power(1.0 + 1e-4 * np.arange(count)))
    )
    assert quick < slow / 3


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def test_thinning_keeps_each_peak() -> None:
    power = np.random.default_rng(1).random(50_000)
    power[31_234] = 2.0
    kept = thinned(power, bins=100)
    assert len(kept) <= 200
    assert 31_234 in kept
    assert (np.diff(kept) > 0).all()
    assert len(thinned(power[:150], bins=100)) == 150


@pytest.mark.parametrize(
    ("period", "error", "text"),
    [
        (0.6098123, 2.2e-6, "0.6098123 ± 0.0000022 d"), (0.3219, 4.4e-4, "0.32190 ± 0.00044 d"),
        (300.0, 12.0, "300 ± 12 d"),
        (0.5, None, "0.5 d"),
    ],
)  # fmt: skip
def test_period_is_written_with_the_digits_it_has(period: float, error: float | None, text: str) -> None:
    assert written_period(period, error) == text


def test_chance_is_written_in_words() -> None:
    assert written_chance(1e-30) == "less than 0.01 %"
    assert written_chance(0.123) == "about 12 %"
    assert written_chance(1.0) == "about 100 %"
