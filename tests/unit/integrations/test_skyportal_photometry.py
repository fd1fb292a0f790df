"""Light curves as SkyPortal takes them."""

import math

import pytest
from fink_skyportal.photometry import flux_error_of, flux_of, limit_error_of, photometry
from unit.integrations.alerts_by_hand import DETECTION, alert, decoded


def test_a_magnitude_of_the_zero_point_is_one_microjansky():
    assert flux_of(23.9, True) == 1.0
    assert flux_of(16.4, True) == pytest.approx(1000.0)
    assert flux_of(16.4, False) == pytest.approx(-1000.0)


def test_the_error_of_a_flux_is_that_of_a_small_change_of_the_magnitude():
    magnitude, error = 18.0, 1e-4
    change = (flux_of(magnitude - error, True) - flux_of(magnitude + error, True)) / 2
    assert flux_error_of(error, flux_of(magnitude, True)) == pytest.approx(change, rel=1e-6)
    assert flux_error_of(error, flux_of(magnitude, False)) > 0


def test_five_times_the_error_of_a_limit_is_the_flux_of_the_limiting_magnitude():
    assert 5 * limit_error_of(20.5) == pytest.approx(flux_of(20.5, True))


def test_the_light_curve_is_that_of_history_and_alert_by_time():
    limit, faded, now = photometry(alert())
    assert [row.filter for row in (limit, faded, now)] == ["ztfg", "ztfg", "ztfr"]
    assert [row.mjd for row in (limit, faded, now)] == [60232.3, 60233.3, 60235.3420486]
    assert (limit.flux, limit.mag, limit.magerr, limit.ra, limit.dec) == (None, None, None, None, None)
    assert limit.fluxerr == pytest.approx(10 ** (-0.4 * (20.0 - 23.9)) / 5)
    assert faded.flux == pytest.approx(-(10 ** (-0.4 * (19.0 - 23.9))))
    assert (now.mag, now.magerr, now.limiting_mag, now.ra, now.dec, now.zp) == (18.5, 0.05, 20.5, 150.25, -12.5, 23.9)
    assert now.fluxerr == pytest.approx(0.05 * now.flux * math.log(10) / 2.5)


@pytest.mark.parametrize("value", ["t", "1", 1, True])
def test_brighter_than_the_reference(value):
    assert photometry(alert(candidate__isdiffpos=value))[-1].flux > 0


@pytest.mark.parametrize("value", ["f", "0", 0])
def test_fainter_than_the_reference(value):
    assert photometry(alert(candidate__isdiffpos=value))[-1].flux < 0


def test_the_alert_once_more_in_its_history_is_one_row():
    assert len(photometry(alert(prv_candidates=[DETECTION, DETECTION]))) == 1


@pytest.mark.parametrize("history", [None, [], [{**DETECTION, "jd": 2460000.5, "diffmaglim": -999.0}], [{}], [None]])
def test_a_history_without_anything_usable(history):
    assert [row.mag for row in photometry(alert(prv_candidates=history))] == [18.5]


@pytest.mark.parametrize("changes", [{"magpsf": -1000.0}, {"sigmapsf": 0.0}, {"sigmapsf": math.nan}])
def test_a_point_that_has_no_finite_error_is_left_out(changes):
    history = [{**DETECTION, "jd": 2460000.5, **changes}]
    assert [row.mag for row in photometry(alert(prv_candidates=history))] == [18.5]


def test_every_row_of_real_alerts_has_a_flux_or_a_limit(unpacked):
    rows = [row for real in decoded(unpacked("ztf_real_packets")[:100]) for row in photometry(real)]
    assert len(rows) > 1000
    assert any(row.flux is None for row in rows) and any(row.flux is not None and row.flux < 0 for row in rows)
    for row in rows:
        assert row.fluxerr > 0 and math.isfinite(row.fluxerr)
        assert (row.flux is None) == (row.mag is None)
        if row.flux is not None:
            assert row.mag == pytest.approx(23.9 - 2.5 * math.log10(abs(row.flux)))
