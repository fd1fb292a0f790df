"""Addresses of searches."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.portal.web.search.addresses import AddressError, action_at, address_of, search_of, text_of
from fink_broker.portal.web.search.grammar import parse
from fink_broker.portal.web.search.rules import Action, action_of

TEXTS = (
    "193.8217409 -2.8973184 r=5m after=2024-09-01 window=3", "193.8 2 before=2024-09-01 03:00:00", "ZTF21ab",
    "ZTF21abfmbix ZTF19aaosfcb", "TRCK_20211022_091949_00", 'sso="C/2020 F3"', "class=Anomaly last=3",
    "random=3 seed=12",
    'class="(SIMBAD) RRLyr" last=50 trend=fading', "last=1000", "after=2024-08-30 03:00:00 window=2h",
    "before=2024-09-01 window=1",
)  # fmt: skip


def arguments_of(address: str) -> dict[str, str]:
    return dict(parse_qsl(address.partition("?")[2]))


@pytest.mark.parametrize("text", TEXTS)
def test_searches_come_back_from_their_address_and_their_text(text: str) -> None:
    action = action_of(parse(text))
    assert action is not None
    assert action.name != "unknown"
    assert action_at(arguments_of(search_of(action))) == action
    assert action_of(parse(text_of(action))) == action


@given(st.floats(0, 359.999), st.floats(-90, 90), st.floats(0.01, 18000))
def test_cones_come_back(ra: float, dec: float, radius: float) -> None:
    action = action_of(parse(f"{ra:.7f} {dec:.7f} r={radius:.4f}"))
    assert action is not None
    assert action_at(arguments_of(search_of(action))) == action


def test_one_whole_object_has_a_page() -> None:
    assert address_of(Action("objectid", {"object": "ZTF21abfmbix"})) == "/ZTF21abfmbix"
    assert address_of(Action("objectid", {"object": "ZTF21ab", "partial": "true"})).startswith(
        "/?action=objectid&object=ZTF21ab"
    )


def test_a_named_cone_keeps_its_name() -> None:
    arguments = {"action": "conesearch", "ra": "10.68", "dec": "41.27", "r": "60", "object": "M 31"}
    action = action_at(arguments)
    assert action == Action("conesearch", {"ra": 10.68, "dec": 41.27, "r": 60, "object": "M 31"})
    assert text_of(action) == "M 31 r=60"


def test_positions_in_any_notation() -> None:
    action = action_at({"action": "conesearch", "ra": "12:55:17.2", "dec": "+02:53:50", "radius": "1m"})
    assert action is not None
    assert action.parameters == {"ra": 193.8216667, "dec": 2.8972222, "r": 60}


@pytest.mark.parametrize(
    ("older", "expected"),
    [
        (
            {
                "query_type": "Conesearch",
                "ra": "10",
                "dec": "-2",
                "radius": "30",
                "startdate_conesearch": "2024-09-01 00:00:00",
                "window_days_conesearch": "7",
            },
            Action("conesearch", {"ra": 10, "dec": -2, "r": 30, "after": "2024-09-01", "window": 7}),
        ),
        ({"query_type": "objectID", "objectId": "ZTF21abfmbix"}, Action("objectid", {"object": "ZTF21abfmbix"})),
        (
            {"query_type": "Date Search", "startdate": "2024-09-01", "window": "0.1"},
            Action("daterange", {"after": "2024-09-01", "window": 0.1}),
        ),
        (
            {"query_type": "Class", "class": "SN candidate", "n": "5"},
            Action("class", {"last": 5, "class": "SN candidate"}),
        ),
        ({"query_type": "SSO", "n_or_d": "8467"}, Action("sso", {"object": "8467"})),
        ({"query_type": "Tracklet", "id": "TRCK_2021"}, Action("tracklet", {"object": "TRCK_2021", "partial": "true"})),
        ({"query_type": "Anomaly", "n": "3"}, Action("anomaly", {"class": "Anomaly", "last": 3})),
    ],
)
def test_the_older_form(older: dict[str, str], expected: Action) -> None:
    assert action_at(older) == expected


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": "conesearch", "ra": "nan", "dec": "1"},
        {"action": "conesearch", "ra": "1e999", "dec": "1"},
        {"action": "conesearch", "ra": "10", "dec": "100"},
        {"action": "conesearch", "ra": "10"},
        {"action": "conesearch", "ra": "10", "dec": "10", "r": "<script>"},
        {"action": "objectid", "object": "'; DROP TABLE"},
        {"action": "objectid"},
        {"action": "tracklet", "object": "x"},
        {"action": "sso"},
        {"action": "daterange"},
        {"action": "class", "last": "-1"},
        {"action": "unknown"},
        {"action": "<b>"},
        {"query_type": "Nothing"},
        {"action": "class", "after": "2024-09-02", "before": "2024-09-01"},
        {"action": ""},
    ],
)
def test_other_addresses_are_refused_in_words(arguments: dict[str, str]) -> None:
    with pytest.raises(AddressError, match=r"^[“A-Z].*[.?]$"):
        action_at(arguments)


def test_an_address_without_a_search() -> None:
    assert action_at({"view": "table"}) is None


@given(
    st.dictionaries(
        st.sampled_from(["action", "query_type", "ra", "dec", "r", "object", "class", "last", "after"]),
        st.text(max_size=30),
    )
)
def test_no_address_makes_it_fail(arguments: dict[str, str]) -> None:
    try:
        action = action_at(arguments)
    except AddressError:
        return
    assert action is None or address_of(action).startswith("/")
