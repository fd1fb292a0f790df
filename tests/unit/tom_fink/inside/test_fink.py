"""Fink as a broker of the TOM: queries, targets, light curves, and what the pages say when something is wrong."""

from __future__ import annotations

import logging
from io import StringIO
from typing import Any

import pytest
import requests
from conftest import Api, Reply, alert_row, curve_row, stored_light_curve
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse
from tom_alerts.models import BrokerQuery
from tom_fink.fink import FinkBroker
from tom_fink.searches import COLUMNS, NotOneSearch
from tom_targets.models import Target

NAME = "ZTF21abfmbix"


def saved(**parameters: str) -> BrokerQuery:
    return BrokerQuery.objects.create(name="mine", broker="Fink", parameters={"query_name": "mine", **parameters})


def test_a_query_of_an_earlier_version_goes_on_working(api: Api) -> None:
    api.answers["objects"] = [alert_row(), alert_row(**{"i:candid": 2})]
    found = FinkBroker().fetch_alerts({"query_name": "old", "broker": "Fink", "objectId": f"{NAME} "})
    assert next(found) == alert_row()
    assert next(found)["i:candid"] == 2
    assert next(found, None) is None
    assert api.asked[0].arguments == {"objectId": NAME, "columns": COLUMNS}


def test_an_alert_as_the_page_shows_it(api: Api) -> None:
    alert = FinkBroker().to_generic_alert(alert_row())
    assert (alert.timestamp, alert.id, alert.name) == (2459376.7153472, 1622215345315015012, NAME)
    assert (alert.ra, alert.dec, alert.mag, alert.score) == (193.8217409, 2.8973184, 18.123457, 0.57)
    assert alert.url == f"http://portal.test/{NAME}"
    bare = {name: value for name, value in alert_row().items() if name.startswith("i:")}
    assert FinkBroker().to_generic_alert({**bare, "i:magpsf": None}).score == 0
    assert FinkBroker().to_generic_alert({**bare, "d:rf_snia_vs_nonia": None}).score == 0


def test_rows_that_cannot_be_targets_are_left_out_and_counted(api: Api) -> None:
    broken: list[dict[str, Any]] = [
        {},
        alert_row(**{"i:objectId": ""}),
        alert_row(**{"i:objectId": "x" * 101}),
        alert_row(**{"i:candid": None}),
        alert_row(**{"i:jd": "yesterday"}),
        alert_row(**{"i:ra": None}),
        alert_row(**{"i:ra": 361.0}),
        alert_row(**{"i:dec": True}),
        alert_row(**{"i:dec": -91}),
    ]
    api.answers["conesearch"] = [*broken, alert_row(), alert_row(**{"i:magpsf": "faint"})]
    broker = FinkBroker()
    assert [row["i:objectId"] for row in broker.fetch_alerts({"conesearch": "193.8, 2.9, 5"})] == [NAME, NAME]
    assert broker.get_broker_context_data() == {
        "broker_feedback": "9 of 11 alerts are left out: they have no name, time or position."
    }
    api.answers["conesearch"] = [alert_row()]
    assert len(list(broker.fetch_alerts({"conesearch": "193.8, 2.9, 5"}))) == 1
    assert broker.get_broker_context_data() == {}


def test_no_search_is_the_error_it_always_was(api: Api) -> None:
    with pytest.raises(NotImplementedError):
        FinkBroker().fetch_alerts({"query_name": "empty"})
    with pytest.raises(NotOneSearch):
        FinkBroker().fetch_alerts({"objectId": NAME, "classsearch": "SN candidate, 10"})
    assert api.asked == []


def test_a_target_is_made_once_from_whatever_stands_for_an_alert(database: None, api: Api) -> None:
    broker = FinkBroker()
    made = broker.to_target(broker.to_generic_alert(alert_row()))
    made.refresh_from_db()
    assert (made.name, made.type, made.ra, made.dec) == (NAME, "SIDEREAL", 193.8217409, 2.8973184)
    assert broker.to_target(alert_row()) == made
    api.answers["objects"] = [alert_row()]
    assert broker.to_target(broker.fetch_alert(f" {NAME}")) == made
    assert api.asked[0].arguments == {"objectId": NAME, "columns": COLUMNS}
    with pytest.raises(ValueError, match="Fink does not know the object"):
        broker.to_target([])


def test_all_objects_of_a_query_become_targets(database: None, api: Api) -> None:
    other = alert_row(**{"i:objectId": "ZTF21aaxtctv", "i:candid": 3})
    api.answers["latests"] = [alert_row(), other, alert_row(**{"i:candid": 2})]
    targets = FinkBroker().fetch_and_save_all({"classsearch": "SN candidate, 3"})
    assert [one.name for one in targets] == [NAME, "ZTF21aaxtctv"]
    assert Target.objects.count() == 2


def test_the_light_curve_is_asked_once_and_stored_once(database: None, api: Api) -> None:
    api.answers["objects"] = [curve_row(2459376.5), curve_row(2459375.5, magnitude=None)]
    target = Target.objects.create(name=NAME, type="SIDEREAL", ra=193.8, dec=2.9)
    FinkBroker().process_reduced_data(target, alert_row())
    (asked,) = api.asked
    assert asked.route == "objects"
    assert asked.arguments["objectId"] == NAME
    assert asked.arguments["withupperlim"] == "True"
    assert {"i:jd", "i:fid", "i:magpsf", "i:sigmapsf", "i:diffmaglim", "d:tag"} <= set(
        asked.arguments["columns"].split(",")
    )
    FinkBroker().process_reduced_data(target)
    assert [(row[1], row[2], row[4], row[-1]) for row in stored_light_curve(target)] == [
        ("g", None, 20.5, "Fink"),
        ("g", 18.5, None, "Fink"),
    ]


def test_an_api_that_is_away_spares_the_target_but_not_the_update(
    database: None, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers["objects"] = Reply(b"", 503)
    target = Target.objects.create(name=NAME, type="SIDEREAL", ra=193.8, dec=2.9)
    with caplog.at_level(logging.WARNING):
        FinkBroker().process_reduced_data(target, alert_row())
    assert f"Target {NAME} has no light curve yet: The Fink API at" in caplog.text
    with pytest.raises(requests.HTTPError, match="is busy"):
        FinkBroker().process_reduced_data(target)


def test_a_query_in_the_browser_from_form_to_light_curve(browser: Client, api: Api) -> None:
    page = browser.get(reverse("tom_alerts:create"), {"broker": "Fink"})
    assert 'name="classsearchdate"' in page.content.decode()
    fields = {"query_name": "mine", "broker": "Fink", "conesearch": "here"}
    page = browser.post(reverse("tom_alerts:create"), fields)
    assert "A cone is written as RA, Dec, radius in arcseconds" in page.content.decode()
    browser.post(reverse("tom_alerts:create"), {**fields, "conesearch": "193.822, 2.897, 5"})
    query = BrokerQuery.objects.get()

    api.answers["conesearch"] = [alert_row(), alert_row(**{"i:ra": None})]
    page = browser.get(reverse("tom_alerts:run", args=[query.pk])).content.decode()
    assert f'href="http://portal.test/{NAME}"' in page
    assert "1 of 2 alerts are left out" in page
    assert api.asked[-1].arguments == {"ra": 193.822, "dec": 2.897, "radius": 5.0}

    api.answers["objects"] = [curve_row(2459376.5), curve_row(2459377.5, 2)]
    made = {"query_id": query.pk, "broker": "Fink", "alerts": [str(alert_row()["i:candid"])]}
    answer = browser.post(reverse("tom_alerts:create-target"), made)
    assert answer.status_code == 302
    assert len(stored_light_curve(Target.objects.get(name=NAME))) == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"objectId": NAME}, "did not understand this (status 400): 1 &lt; 2 is no name"),
        ({"classsearch": "SN candidate"}, "This search is written as class, number of alerts"),
        ({}, "Exactly one field of the search must be filled; all are empty."),
        ({"objectId": NAME, "ssosearch": "8467"}, "objectId, ssosearch are filled"),
        ({"ssosearch": "8467"}, "failed (status 500)"),
        ({"conesearch": "1, 2, 3"}, "did not answer with a list of alerts"),
    ],
)
def test_what_goes_wrong_is_said_in_the_page(browser: Client, api: Api, parameters: dict[str, str], said: str) -> None:
    api.answers["objects"] = Reply({"status": "error", "text": "1 < 2 is no name"}, 400)
    api.answers["sso"] = Reply(b"", 500)
    api.answers["conesearch"] = {"status": "ok"}
    page = browser.get(reverse("tom_alerts:run", args=[saved(**parameters).pk]))
    assert page.status_code == 200
    assert said in page.content.decode()


def test_an_api_that_is_away_is_said_in_the_page(browser: Client) -> None:
    with override_settings(FINK_API_URL="http://127.0.0.1:1"):
        page = browser.get(reverse("tom_alerts:run", args=[saved(objectId=NAME).pk]))
    assert "The Fink API at http://127.0.0.1:1 cannot be reached" in page.content.decode()


def test_a_target_is_made_in_the_browser_although_the_api_went_away(browser: Client, api: Api) -> None:
    api.answers["objects"] = [alert_row()]
    query = saved(objectId=NAME)
    browser.get(reverse("tom_alerts:run", args=[query.pk]))
    api.answers["objects"] = Reply(b"", 500)
    made = {"query_id": query.pk, "broker": "Fink", "alerts": [str(alert_row()["i:candid"])]}
    assert browser.post(reverse("tom_alerts:create-target"), made).status_code == 302
    assert stored_light_curve(Target.objects.get(name=NAME)) == []


def test_the_commands_of_the_toolkit_work(database: None, api: Api) -> None:
    api.answers["latests"] = [alert_row(), alert_row()]
    saved(classsearch="SN candidate, 2")
    out = StringIO()
    call_command("runbrokerquery", "mine", stdout=out)
    assert f"Created target: {NAME}" in out.getvalue()
    target = Target.objects.get(name=NAME)
    api.answers["objects"] = [curve_row(2459376.5)]
    FinkBroker().process_reduced_data(target)
    api.answers["objects"] = [curve_row(2459376.5), curve_row(2459377.5)]
    assert "successfully" in call_command("updatereduceddata", target_id=target.pk)
    assert len(stored_light_curve(target)) == 2
    api.answers["objects"] = Reply(b"", 500)
    assert "errors" in call_command("updatereduceddata", target_id=target.pk)
