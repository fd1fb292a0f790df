from __future__ import annotations

from datetime import UTC, datetime

import pytest
from astropy.time import Time
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.angles import parse_position
from fink_broker.portal.dates import START_OF_DATA, jd_of, parse_date
from fink_broker.portal.route import RequestError

MILLISECOND = 0.001 / 86400


@pytest.mark.parametrize(
    "text",
    [
        "2021-11-03 10:00:00",
        "2021-11-03T10:00:00",
        "2021-11-03T10:00:00Z",
        "2021-11-03 11:00:00+01:00",
        "2021-11-03 10:00",
    ],
)
def test_iso_dates_equal_those_of_astropy(text: str) -> None:
    assert parse_date(text) == pytest.approx(Time("2021-11-03 10:00:00", scale="utc").jd, abs=MILLISECOND)


def test_numbers_are_julian_or_modified_julian_dates() -> None:
    assert parse_date(" 59521.25 ") == parse_date(2459521.75) == parse_date("2021-11-03 06:00:00")
    assert parse_date("20211103") == parse_date("2021-11-03") == 2459521.5
    assert parse_date("2019-11-01") == START_OF_DATA


@given(st.datetimes(datetime(2017, 1, 2), datetime(2100, 1, 1)))
def test_any_moment_survives(moment: datetime) -> None:
    assert parse_date(moment.isoformat()) == pytest.approx(jd_of(moment.replace(tzinfo=UTC)), abs=MILLISECOND)
    assert parse_date(str(Time(moment, scale="utc").mjd)) == pytest.approx(jd_of(moment), abs=MILLISECOND)


POSITION = (193.8217409, 2.8973184)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("193.8217409", " 2.8973184"),
        ("193d49m18.26724s", "2d53m50.34624s"),
        ("12h55m17.217816s", "2d53m50.34624s"),
        ("12:55:17.217816", "2:53:50.34624"),
        (" 12 55 17.217816", "2 53 50.34624"),
        (193.8217409 - 360, 2.8973184),
    ],
)
def test_all_notations_of_a_position_agree(ra: str | float, dec: str | float) -> None:
    assert parse_position(ra, dec) == pytest.approx(POSITION, abs=1e-9)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [("1", "91"), ("nan", "1"), ("inf", "1"), ("1e400", "1"), ("12h", "95d"), ("((((", "0"), ("1" * 100, "0"), ("", ""),
     ("__import__('os')", "0"), ("12:99:99", "0"), ("\ud800", "0")],
)  # fmt: skip
def test_what_is_no_position_is_refused(ra: str, dec: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_position(ra, dec)
    assert caught.value.status == 400


def test_the_exception_of_an_unreadable_position_is_kept_for_the_envelope() -> None:
    with pytest.raises(RequestError) as caught:
        parse_position("kfdlkj", "lkfdjf")
    assert repr({"status": "error", "text": caught.value.text}) == (
        "{'status': 'error', 'text': ValueError(\"Invalid character at col 0 parsing angle 'kfdlkj'\")}"
    )


def test_right_ascension_is_within_a_turn() -> None:
    assert parse_position("-1e-30", "0") == (0.0, 0.0)
    assert parse_position("360", "-90") == (0.0, -90.0)
