"""What the handlers that come with the module log and save."""

from __future__ import annotations

import logging
import re

import pytest
from conftest import stored_light_curve
from tom_fink.alertstream import alert_logger, alert_with_photometry
from tom_targets.models import Target

TOPIC = "fink_sn_candidates_ztf"
JD = 2459376.7


def alert(jd: float = JD, **changes: object) -> dict:
    exposure = {"jd": jd, "fid": 1, "magpsf": 18.5, "sigmapsf": 0.1, "diffmaglim": 20.5, "isdiffpos": "t"}
    before = {"jd": jd - 1, "fid": 2, "magpsf": None, "sigmapsf": None, "diffmaglim": 20.0, "isdiffpos": None}
    return {
        "objectId": "ZTF21abfmbix",
        "candid": 1,
        "candidate": {**exposure, "ra": 193.8, "dec": 2.9, "candid": 1},
        "prv_candidates": [before],
        "finkclass": "SN candidate",
        "rf_snia_vs_nonia": 0.57,
        **changes,
    }


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="tom_fink")
    return caplog


def lines(said: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in said.records if record.name.startswith("tom_fink")]


def tags(name: str = "ZTF21abfmbix") -> dict[str, str]:
    found = dict(Target.objects.get(name=name).targetextra_set.values_list("key", "value"))
    return {key: value for key, value in found.items() if key != "fink broker link"}


def test_an_alert_is_logged_and_becomes_a_target(database: None, said: pytest.LogCaptureFixture) -> None:
    alert_logger(alert(), TOPIC)
    first, second = lines(said)
    assert first == f"fink.alert_logger topic: {TOPIC}"
    value = r"fink\.alert_logger value: ZTF21abfmbix emitted 2459376\.7 JD \(received \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)"
    assert re.fullmatch(value, second)
    assert Target.objects.get().name == "ZTF21abfmbix"
    assert stored_light_curve(Target.objects.get()) == []
    assert tags() == {}


def test_a_known_target_is_said_to_be_known(database: None, said: pytest.LogCaptureFixture) -> None:
    alert_logger(alert(), TOPIC)
    said.clear()
    alert_logger(alert(), TOPIC)
    assert lines(said)[-1] == "Target ZTF21abfmbix already in the database"


@pytest.mark.parametrize("handler", [alert_logger, alert_with_photometry])
def test_an_alert_without_a_position_is_only_logged(database: None, said: pytest.LogCaptureFixture, handler) -> None:
    handler({"objectId": "ZTF21abfmbix", "triggerId": 5, "observatory": "Fermi"}, "fink_grb_bronze")
    assert "ZTF21abfmbix without a position" in lines(said)[-1]
    assert not Target.objects.exists()


def test_light_curve_class_score_and_topics_are_saved(database: None) -> None:
    for _ in range(2):  # handing an alert over twice changes nothing
        alert_with_photometry(alert(), TOPIC)
        rows = [row[1:5] for row in stored_light_curve(Target.objects.get())]
        assert rows == [("r", None, None, 20.0), ("g", 18.5, 0.1, None)]
        assert tags() == {
            "fink class": "SN candidate",
            "fink topics": TOPIC,
            "fink last alert": str(JD),
            "fink rf_snia_vs_nonia": "0.57",
        }


def test_the_latest_alert_decides_whatever_order_they_come_in(database: None) -> None:
    alert_with_photometry(alert(JD, finkclass="Unknown", rf_snia_vs_nonia=0.1), TOPIC)
    alert_with_photometry(alert(JD + 5, finkclass="Ambiguous", rf_snia_vs_nonia=None), "fink_vra_ztf")
    alert_with_photometry(alert(JD + 2, finkclass="SN candidate", rf_snia_vs_nonia=0.9), "fink_blazar_ztf")
    assert tags() == {
        "fink class": "Ambiguous",
        "fink topics": "fink_blazar_ztf, fink_sn_candidates_ztf, fink_vra_ztf",
        "fink last alert": str(JD + 5),
        "fink rf_snia_vs_nonia": "0.1",
    }
    assert len(stored_light_curve(Target.objects.get())) == 6


def test_a_class_is_found_where_the_alert_does_not_say_it(database: None) -> None:
    alert_with_photometry(alert(finkclass=None, cdsxmatch="RRLyrae"), TOPIC)
    assert tags()["fink class"] == "RRLyrae"


def test_what_somebody_wrote_into_the_tags_does_no_harm(database: None) -> None:
    alert_logger(alert(), TOPIC)
    Target.objects.get().targetextra_set.create(key="fink last alert", value="yesterday")
    alert_with_photometry(alert(), TOPIC)
    assert tags()["fink last alert"] == str(JD)


def test_an_alert_without_history(database: None) -> None:
    told = alert()
    del told["prv_candidates"]
    alert_with_photometry(told, TOPIC)
    assert len(stored_light_curve(Target.objects.get())) == 1
