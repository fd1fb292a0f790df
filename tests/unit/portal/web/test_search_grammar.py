"""The grammar of the search field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.web.search.coordinates import (
    CoordinatesError,
    angle_words,
    degrees_text,
    read_angle,
    read_position,
)
from fink_broker.portal.web.search.grammar import LONGEST, Parsed, parse
from fink_broker.portal.web.search.rules import Action, Known, action_of, criteria, words

PAGE = Path(__file__).resolve().parents[4] / "docs" / "portal.md"
RIGHT_ASCENSIONS = st.floats(0, 359.9999, allow_nan=False)
DECLINATIONS = st.floats(-89.9999, 89.9999, allow_nan=False)


def sexagesimal(value: float, marks: str) -> str:
    """Return an angle as whole units, minutes and seconds, to a tenth of a milliarcsecond."""
    ticks = round(abs(value) * 3600 * 10_000)
    units, rest = divmod(ticks, 3600 * 10_000)
    minutes, seconds = divmod(rest, 60 * 10_000)
    end = marks[2] if len(marks) > 2 else ""
    return f"{units:02d}{marks[0]}{minutes:02d}{marks[1]}{seconds / 10_000:07.4f}{end}"


@given(st.text(max_size=300))
def test_no_text_makes_it_fail(text: str) -> None:
    parsed = parse(text)
    action = action_of(parsed)
    assert action is None or words(action)


@given(
    st.lists(
        st.sampled_from(
            [
                "class=",
                "r=10m",
                '"',
                "'",
                "=",
                ":",
                "12 55 17",
                "+02:53",
                "ZTF21ab",
                "\x00",
                ",",
                "after=",
                "2024-09-01 03:00:00",
                "last=9999999999999999999",
                "<script>",
                "ra=nan",
                "\ud800",
            ]
        ),
        max_size=9,
    )
)
def test_no_order_of_its_own_parts_makes_it_fail(parts: list[str]) -> None:
    for text in ("".join(parts), " ".join(parts)):
        action = action_of(parse(text))
        if action is not None:
            criteria(action)
            assert words(action)


@given(RIGHT_ASCENSIONS, DECLINATIONS)
def test_decimal_positions_come_back(ra: float, dec: float) -> None:
    found = read_position(f"{degrees_text(ra)} {degrees_text(dec)}")
    assert found is not None
    assert found.ra == pytest.approx(ra, abs=1e-7)
    assert found.dec == pytest.approx(dec, abs=1e-7)


@given(RIGHT_ASCENSIONS, DECLINATIONS, st.sampled_from(["::", "  ", "hms", "dms"]), st.floats(0.1, 18000))
def test_sexagesimal_positions_come_back(ra: float, dec: float, marks: str, radius: float) -> None:
    first = sexagesimal(ra if marks == "dms" else ra / 15, marks)
    second = sexagesimal(dec, marks.replace("h", "d"))
    found = read_position(f"{first} {'-' if dec < 0 else '+'}{second} {radius:.3f}")
    assert found is not None
    assert found.ra == pytest.approx(ra, abs=2e-6)
    assert found.dec == pytest.approx(dec, abs=2e-7)
    assert found.radius == pytest.approx(radius, abs=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "193.8217 2.8972",
        "193.8217,+2.8972",
        "12 55 17.2 +02 53 50",
        "12:55:17.2 +2:53:50",
        "12:55:17.2+02:53:50",
        "12h55m17.2s +02d53m50s",
        "12h55m17.2s +02°53′50″",
        "12h 55m 17.2s +2d 53' 50\"",
        "193d49m18s +2d53m50s",
        "ra=193.8217 dec=2.8972",
    ],
)
def test_notations_of_one_position(text: str) -> None:
    position = parse(text).position
    assert position is not None
    assert (position.ra, position.dec) == pytest.approx((193.8217, 2.8972), abs=1e-4)


def test_the_third_number_is_a_radius_and_its_key_outdoes_it() -> None:
    assert parse("193.8 2.9 30").values["r"] == 30
    assert parse("193.8 -2.9 2m").values["r"] == 120
    assert parse("193.8 2.9 30 radius=1").values["r"] == 1


@pytest.mark.parametrize(
    ("text", "arcsec"), [("10", 10), ("10s", 10), ('10"', 10), ("5m", 300), ("5'", 300), ("0.5d", 1800), ("2°", 7200)]
)
def test_angles_have_units(text: str, arcsec: float) -> None:
    assert read_angle(text) == arcsec
    assert parse(f"193.8 2.9 r={text}").values["r"] == arcsec
    assert parse(f"193.8 2.9 radius:{text}").values["r"] == arcsec


@pytest.mark.parametrize(("arcsec", "words"), [(10, "10″"), (90, "90″"), (600, "10′"), (18000, "5°"), (5400, "1.5°")])
def test_angles_are_said_in_the_unit_people_take(arcsec: float, words: str) -> None:
    assert angle_words(arcsec) == words


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2.9 193.8", "Right ascension comes first"),
        ("400 10", "Right ascensions go from"),
        ("10 95", "Declinations go"),
        ("12:61:00 +2:00:00", "up to 59"),
        ("25:00:00 +2:00:00", "0 to 24 hours"),
        ("193 2 r=wide", "“wide” is no angle"),
        ("after=yesterday", "“yesterday” is no date"),
        ("last=many", "whole number"),
        ("last=0", "whole number"),
        ("trend=up", "rising"),
        ("after=2024-09-02 before=2024-09-01", "exchange"),
        ("ra=nan dec=2", "no angle in degrees"),
        ("class=SN window=long", "no number of days"),
    ],
)
def test_mistakes_are_said(text: str, says: str) -> None:
    parsed = parse(text)
    assert len(parsed.problems) == 1
    assert says in parsed.problems[0]
    assert action_of(parsed) == Action("unknown")


def test_a_position_off_the_sky_is_refused() -> None:
    with pytest.raises(CoordinatesError, match="Declinations"):
        read_position("10 -90.1")
    assert read_position("-10 20") == read_position("350 20")


@pytest.mark.parametrize("text", ['class="SN cand', "class='SN", '"M31', 'r=10 "'])
def test_a_quote_without_end_means_nothing_yet(text: str) -> None:
    assert parse(text) == Parsed(is_open=True)
    assert action_of(parse(text)) is None


@pytest.mark.parametrize("text", ["", "  ", ",,", "\x00\x1f"])
def test_nothing_means_nothing(text: str) -> None:
    assert action_of(parse(text)) is None


def test_long_texts_are_not_read() -> None:
    parsed = parse("x" * 100_000)
    assert "100,000" in parsed.problems[0]
    assert f"{LONGEST}" in parsed.problems[0]


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("193.82 +2.9", "conesearch", {"ra": 193.82, "dec": 2.9, "r": 10}),
        ("193.82 +2.9 r=6d", "conesearch", {"ra": 193.82, "dec": 2.9, "r": 18000}),
        (
            "193.82 2.9 after=2024-09-01 03:00:00",
            "conesearch",
            {"ra": 193.82, "dec": 2.9, "r": 10, "after": "2024-09-01 03:00:00"},
        ),
        (
            "193.82 2.9 after=60554.5 window=2h",
            "conesearch",
            {"ra": 193.82, "dec": 2.9, "r": 10, "after": "2024-09-01 12:00:00", "window": pytest.approx(1 / 12)},
        ),
        ("ztf21ABFMBIX", "objectid", {"object": "ZTF21abfmbix"}),
        ("zTf", "objectid", {"object": "ZTF", "partial": "true"}),
        ("ZTF21ab", "objectid", {"object": "ZTF21ab", "partial": "true"}),
        ("ZTF21abfmbix, ZTF19aaosfcb", "objectid", {"object": "ZTF21abfmbix,ZTF19aaosfcb"}),
        ("trck_20211022_091949_00", "tracklet", {"object": "TRCK_20211022_091949_00"}),
        ("TRCK_2021", "tracklet", {"object": "TRCK_2021", "partial": "true"}),
        ("sso=8467", "sso", {"object": "8467"}),
        ("sso=C/2020 F3", "sso", {"object": "C/2020 F3"}),
        ("class=anomaly", "anomaly", {"class": "Anomaly", "last": 100}),
        ("class=Anomaly last=7", "anomaly", {"class": "Anomaly", "last": 7}),
        ("random=3 seed=1", "random", {"random": 3, "seed": 1}),
        ("random=", "random", {"random": 10}),
        ('random=99 class="SN candidate"', "random", {"random": 16, "class": "SN candidate"}),
        ('class="SN candidate"', "class", {"class": "SN candidate", "last": 100}),
        ("class=SN candidate last=5 trend=Rising", "class", {"class": "SN candidate", "last": 5, "trend": "rising"}),
        ('"class=SN candidate"', "class", {"class": "SN candidate", "last": 100}),
        ("CLASS = Unknown", "class", {"class": "Unknown", "last": 100}),
        ("last=5", "class", {"last": 5}),
        ("after=2024-09-01", "daterange", {"after": "2024-09-01"}),
        ("before=2024-09-01 window=1", "daterange", {"before": "2024-09-01", "window": 1}),
        ("before=2024-09-01", "unknown", {}),
        ("r=10", "unknown", {}),
        ("M31", "unknown", {}),
        ("class= last=", "unknown", {}),
    ],
)
def test_the_first_rule_that_applies(text: str, name: str, parameters: dict[str, object]) -> None:
    assert action_of(parse(text)) == Action(name, parameters)


def test_what_the_guide_says_can_be_typed_is_understood() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| you type |")[2].partition("\n\n")[0]
    typed = re.findall(r"`([^`]+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))
    found = {text: action_of(parse(text)) for text in typed}
    assert found == {
        "ZTF21abfmbix": Action("objectid", {"object": "ZTF21abfmbix"}),
        "ZTF21abf": Action("objectid", {"object": "ZTF21abf", "partial": "true"}),
        "193.822 2.897": Action("conesearch", {"ra": 193.822, "dec": 2.897, "r": 10}),
        "12:55:17.3 +02:53:49 5": Action("conesearch", {"ra": 193.8220833, "dec": 2.8969444, "r": 5}),
        "12h55m17.3s +02d53m49s r=1m": Action("conesearch", {"ra": 193.8220833, "dec": 2.8969444, "r": 60}),
        'class="SN candidate" last=100': Action("class", {"class": "SN candidate", "last": 100}),
        'after="2024-09-01 04:00:00" window=2h': Action(
            "daterange", {"after": "2024-09-01 04:00:00", "window": pytest.approx(1 / 12)}
        ),
        "sso=8467": Action("sso", {"object": "8467"}),
        "TRCK_20231213_133612_00": Action("tracklet", {"object": "TRCK_20231213_133612_00"}),
        "SN 2021co": Action("unknown"),  # until somebody knows the name
        "M31": Action("unknown"),
        "random=10": Action("random", {"random": 10}),
        "class=Anomaly": Action("anomaly", {"class": "Anomaly", "last": 100}),
    }
    assert [parse(text).name for text in ("SN 2021co", "M31")] == ["SN 2021co", "M31"]


def test_a_name_that_somebody_knows_is_a_place_or_a_body() -> None:
    parsed = parse("M31 r=1d")
    assert parsed.name == "M31"
    cone = action_of(parsed, Known("M 31", "SIMBAD", 10.6847, 41.2688))
    assert cone == Action("conesearch", {"ra": 10.6847, "dec": 41.2688, "r": 3600, "object": "M 31"})
    assert action_of(parse("Ceres"), Known("Ceres", "SsODNet")) == Action("sso", {"object": "Ceres"})
    assert parse("ZTF21abfmbix r=5").whole_object == "ZTF21abfmbix"


@pytest.mark.parametrize(
    ("text", "name"), [("AT2021co", "AT 2021co"), ("sn2021CO", "SN 2021CO"), ("O'Neill", "O'Neill")]
)
def test_names_for_others(text: str, name: str) -> None:
    assert parse(text).name == name


def test_words() -> None:
    action = action_of(parse("193.8217 -2.9 after=2024-09-01 window=2"))
    assert action is not None
    assert words(action) == "Cone of 10″ around 193.82°, −2.90°"
    assert criteria(action) == ("first detected after 2024-09-01 UTC", "first detected within 2 days")
