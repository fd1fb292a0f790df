"""The form of a search, and the question to the API it stands for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import requests
from django.test import override_settings
from tom_fink.fink import FinkQueryForm
from tom_fink.searches import COLUMNS, FIELDS, SSO_COLUMNS, NotOneSearch, WrongSearch, question

NOW = datetime(2021, 11, 5, 12, 30, 15, 250999, UTC)


@pytest.mark.parametrize(
    ("field", "text", "route", "arguments"),
    [
        ("objectId", " ZTF21abfmbix ", "objects", {"objectId": "ZTF21abfmbix", "columns": COLUMNS}),
        ("conesearch", "193.822,  2.897 , 5", "conesearch", {"ra": 193.822, "dec": 2.897, "radius": 5.0}),
        (
            "conesearch",
            "12h55m17.2s, +2d53m50s, 60",
            "conesearch",
            {"ra": "12h55m17.2s", "dec": "+2d53m50s", "radius": 60.0},
        ),
        ("classsearch", "Early SN Ia candidate, 10", "latests", {"class": "Early SN Ia candidate", "n": 10}),
        ("classsearch", "Candidate, odd, 3", "latests", {"class": "Candidate, odd", "n": 3}),
        (
            "classsearchdate",
            "EB*, 1.5",
            "latests",
            {
                "class": "EB*",
                "n": 1000,
                "startdate": "2021-11-04 00:30:15.250",
                "stopdate": "2021-11-05 12:30:15.250",
            },
        ),
        ("ssosearch", " 8467 ", "sso", {"n_or_d": "8467", "columns": SSO_COLUMNS}),
        (
            "datesearch",
            "2021-11-03 10:00:00, 36",
            "explorer",
            {"startdate": "2021-11-03 10:00:00", "window": pytest.approx(0.025)},
        ),
    ],
)
def test_a_field_is_a_question(field: str, text: str, route: str, arguments: dict) -> None:
    asked = question({"query_name": "mine", field: text}, NOW)
    assert (asked.route, asked.arguments) == (route, arguments)


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("conesearch", "193.822, 2.897", "RA, Dec, radius"),
        ("conesearch", "193.822, 2.897, 5, 5", "RA, Dec, radius"),
        ("conesearch", "193.822, , 5", "RA, Dec, radius"),
        ("conesearch", "361, 2.897, 5", "RA must lie between 0 and 360 degrees"),
        ("conesearch", "nan, 2.897, 5", "RA must lie"),
        ("conesearch", "193.822, -90.1, 5", "Dec must lie between -90 and 90 degrees"),
        ("conesearch", "193.822, 2.897, wide", "The radius must be a number above 0, and not above 18000"),
        ("conesearch", "193.822, 2.897, 18001", "not above 18000"),
        ("conesearch", "193.822, 2.897, 0", "above 0"),
        ("classsearch", "SN candidate", "class, number of alerts"),
        ("classsearch", "SN candidate,", "class, number of alerts"),
        ("classsearch", "SN candidate, many", "whole number above 0"),
        ("classsearch", "SN candidate, 0", "whole number above 0"),
        ("classsearch", "SN candidate, 1.5", "whole number above 0"),
        ("classsearchdate", "SN candidate, -1", "number of days must be a number above 0"),
        ("classsearchdate", "SN candidate, inf", "number of days must be a number above 0"),
        ("classsearchdate", "SN candidate, 1e9", "number of days is too large"),
        ("datesearch", "2021-11-03", "date, minutes"),
        ("datesearch", "2021-11-03, 181", "not above 180"),
    ],
)
def test_what_is_no_search_gets_a_sentence_at_its_field(field: str, text: str, said: str) -> None:
    with pytest.raises(WrongSearch, match=said):
        question({field: text})
    form = FinkQueryForm({"query_name": "mine", "broker": "Fink", field: text})
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert said in form.errors[field][0]


def test_earlier_versions_errors_are_still_caught() -> None:
    for error in (ValueError, requests.HTTPError):
        with pytest.raises(error):
            question({"conesearch": "here"})
    for error in (NotImplementedError, requests.HTTPError):
        with pytest.raises(error):
            question({})


def test_exactly_one_field_is_filled() -> None:
    with pytest.raises(NotOneSearch, match="all are empty"):
        question({"objectId": "  ", "ssosearch": None})
    with pytest.raises(NotOneSearch, match="objectId, ssosearch are filled"):
        question({"objectId": "ZTF21abfmbix", "ssosearch": "8467"})
    empty = FinkQueryForm({"query_name": "mine", "broker": "Fink"})
    assert not empty.is_valid()
    assert "Exactly one field" in empty.non_field_errors()[0]
    two = FinkQueryForm({"query_name": "mine", "broker": "Fink", "objectId": "ZTF21abfmbix", "ssosearch": "8467"})
    assert sorted(two.errors) == ["objectId", "ssosearch"]


def test_the_form_is_saved_as_texts_under_the_names_of_old_queries(database: None) -> None:
    form = FinkQueryForm({"query_name": "mine", "broker": "Fink", "classsearch": "SN candidate, 10"})
    assert form.is_valid(), form.errors
    saved = form.save()
    saved.refresh_from_db()
    assert saved.parameters == {
        "query_name": "mine",
        "broker": "Fink",
        **dict.fromkeys(FIELDS, ""),
        "classsearch": "SN candidate, 10",
    }


def test_the_form_links_to_the_broker_of_the_settings() -> None:
    with override_settings(FINK_API_URL="http://api.test", FINK_PORTAL_URL="http://portal.test/{{ x }}"):
        form = FinkQueryForm()
        assert 'href="http://api.test/api/v1/classes"' in form.fields["classsearch"].help_text
        assert "http://portal.test/&#123;&#123; x }}" in form.helper.layout.fields[0].html
    with override_settings(FINK_API_URL="http://user:secret@[::1]:32000"):
        assert 'href="http://[::1]:32000/api/v1/classes"' in FinkQueryForm().fields["classsearchdate"].help_text
    with override_settings(FINK_API_URL="nowhere"):
        assert "href" not in FinkQueryForm().fields["classsearch"].help_text
