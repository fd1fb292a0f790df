"""Fink as a data service of the TOM: queries, targets, light curves, updates, and what is said when they fail."""

from __future__ import annotations

import importlib
import logging
import sys

import pytest
import requests
from conftest import Api, Reply, alert_row, curve_row, stored_light_curve
from django.apps import apps
from django.contrib.messages import get_messages
from django.test import Client, override_settings
from django.urls import reverse
from tom_dataservices.dataservices import MissingDataException, QueryServiceError, get_data_service_class
from tom_dataservices.models import DataServiceQuery
from tom_fink.data_service import FinkDataService
from tom_targets.models import Target, TargetName

NAME = "ZTF21abfmbix"
#: Whether the toolkit asks for light curves by itself, and for updates of targets.
IS_NEW = hasattr(FinkDataService, "to_aliases")


def target(name: str = NAME, **changes: object) -> Target:
    return Target.objects.create(**{"name": name, "type": "SIDEREAL", "ra": 193.8, "dec": 2.9, **changes})


def test_the_toolkit_finds_the_service() -> None:
    assert get_data_service_class("Fink") is FinkDataService
    with override_settings(FINK_API_URL="http://api.test", FINK_PORTAL_URL="http://portal.test"):
        assert FinkDataService.get_urls("base_url") == "http://api.test/api/v1/"
        assert FinkDataService.info_url == "http://portal.test"


def test_objects_of_a_query_each_once_with_the_latest_alert(api: Api) -> None:
    later = alert_row(**{"i:jd": 2459380.5, "i:candid": 2, "i:magpsf": None, "v:classification": "SN candidate"})
    other = alert_row(**{"i:objectId": "ZTF21aaxtctv"})
    api.answers["latests"] = [alert_row(), later, other, alert_row(**{"i:dec": None})]
    service = FinkDataService()
    asked = service.build_query_parameters({"data_service": "Fink", "classsearch": "SN candidate, 4"})
    first, second = service.query_targets(asked)
    assert first == {
        "name": NAME,
        "ra": 193.8217409,
        "dec": 2.8973184,
        "jd": 2459380.5,
        "magnitude": None,
        "class_name": "SN candidate",
        "link": f"http://portal.test/{NAME}",
    }
    assert (second["name"], second["magnitude"], second["class_name"]) == ("ZTF21aaxtctv", 18.123457, "Unknown")
    assert "1 of 4 alerts are left out" in service.get_additional_context_data()["query_feedback"]


def test_all_failures_are_what_pages_and_commands_catch(database: None, api: Api) -> None:
    api.answers["objects"] = Reply(b"", 500)
    service, one, nowhere = FinkDataService(), target(), target("M31", ra=None, dec=None)
    for caught in (QueryServiceError, requests.HTTPError):
        with pytest.raises(caught, match="failed"):
            service.query_targets({"objectId": NAME})
        with pytest.raises(caught, match="Exactly one field"):
            service.query_targets({})
        with pytest.raises(caught, match="failed"):
            service.query_reduced_data(one)
        with pytest.raises(caught, match="no ZTF name and no position"):
            service.query_reduced_data(nowhere)


def test_a_target_is_found_by_name_other_name_or_place(database: None, api: Api) -> None:
    service = FinkDataService()
    assert service.build_query_parameters_from_target(target()) == {"objectId": NAME}
    known = target("SN 2021abc")
    TargetName.objects.create(target=known, name="ZTF21aaxtctv")
    assert service.build_query_parameters_from_target(known) == {"objectId": "ZTF21aaxtctv"}
    placed = target("M31 nova")
    assert service.build_query_parameters_from_target(placed) == {"ra": 193.8, "dec": 2.9, "radius": 2.0}

    api.answers["conesearch"] = [{"i:objectId": NAME}]
    api.answers["objects"] = [curve_row(2459376.5)]
    assert service.query_reduced_data(placed) == {"photometry": [curve_row(2459376.5)]}
    assert [(one.route, one.arguments.get("objectId"), one.arguments.get("n")) for one in api.asked] == [
        ("conesearch", None, 1),
        ("objects", NAME, None),
    ]
    api.answers["conesearch"] = []
    assert service.query_reduced_data(placed) == {"photometry": []}


def test_light_curves_are_stored_once_and_asked_for_where_they_are_missing(database: None, api: Api) -> None:
    one = target()
    api.answers["objects"] = [curve_row(2459376.5), curve_row(2459375.5, magnitude=None)]
    service = FinkDataService()
    service.to_reduced_datums(one, {"photometry": api.answers["objects"], "spectroscopy": []})
    assert api.asked == []
    service.to_reduced_datums(one)
    assert len(api.asked) == 1
    assert len(stored_light_curve(one)) == 2


def test_a_light_curve_that_cannot_be_had_is_missing(
    database: None, api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.answers["objects"] = Reply(b"", 500)
    with caplog.at_level(logging.WARNING), pytest.raises(MissingDataException):
        FinkDataService().to_reduced_datums(target())
    assert f"Target {NAME} has no light curve yet" in caplog.text


def test_a_query_in_the_browser_from_form_to_light_curve(browser: Client, api: Api) -> None:
    create = reverse("tom_dataservices:create")
    page = browser.get(create, {"data_service": "Fink"}).content.decode()
    assert 'name="conesearch"' in page
    fields = {"data_service": "Fink", "objectId": NAME, "ssosearch": "8467"}
    assert "objectId, ssosearch are filled" in browser.post(create, fields).content.decode()
    api.answers["objects"] = lambda asked: [curve_row(2459376.5)] if "withupperlim" in asked else [alert_row()]
    page = browser.post(create, {**fields, "ssosearch": ""}, follow=True).content.decode()
    assert f'href="http://portal.test/{NAME}"' in page
    assert "193.82174" in page
    made = {"data_service": "Fink", "query_id": "", "selected_results": ["0"]}
    answer = browser.post(reverse("tom_dataservices:create-target"), made)
    one = Target.objects.get(name=NAME)
    assert answer.status_code == 302
    assert len(stored_light_curve(one)) == 1
    assert one.targetextra_set.get(key="fink broker link").value == f"http://portal.test/{NAME}"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"objectId": NAME}, "is busy; try again in 9 s."),
        ({}, "Exactly one field of the search must be filled"),
        ({"conesearch": "here"}, "A cone is written as"),
    ],
)
def test_what_goes_wrong_is_said_in_the_page(browser: Client, api: Api, parameters: dict[str, str], said: str) -> None:
    api.answers["objects"] = Reply(b"", 429, {"Retry-After": "9"})
    query = DataServiceQuery.objects.create(name="mine", data_service="Fink", parameters=parameters)
    page = browser.get(reverse("tom_dataservices:run_saved", args=[query.pk]))
    assert page.status_code == 200
    assert said in page.content.decode()


def test_a_query_without_results_says_so(browser: Client, api: Api) -> None:
    api.answers["objects"] = []
    query = DataServiceQuery.objects.create(name="mine", data_service="Fink", parameters={"objectId": NAME})
    page = browser.get(reverse("tom_dataservices:run_saved", args=[query.pk])).content.decode()
    assert "Fink has no alerts for this query." in page


@pytest.mark.skipif(not IS_NEW, reason="this toolkit has no update of targets by data services")
def test_a_target_is_updated_in_the_browser(browser: Client, api: Api) -> None:
    one = target()
    api.answers["objects"] = [curve_row(2459376.5)]
    update = reverse("tom_dataservices:update-data")
    browser.post(update, {"target": one.pk, "data_service": "Fink"})
    assert len(stored_light_curve(one)) == 1
    api.answers["objects"] = Reply(b"", 500)
    answer = browser.post(update, {"target": one.pk, "data_service": "Fink"})
    assert any("failed (status 500)" in str(message) for message in get_messages(answer.wsgi_request))


def test_the_module_can_be_imported_where_data_services_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tom_dataservices"]:
        monkeypatch.setitem(sys.modules, name, None)  # importing it fails from here on
    monkeypatch.delitem(sys.modules, "tom_fink.data_service")
    monkeypatch.setattr(apps, "is_installed", lambda app: app != "tom_dataservices")
    assert not hasattr(importlib.import_module("tom_fink.data_service"), "FinkDataService")
