"""The broker's values in an annotation."""

import json
import math

import pytest
from fink_skyportal.annotation import annotation_data
from unit.integrations.alerts_by_hand import alert

TOPIC = "fink_sn_candidates_ztf"
RATE_BASED = "fink_rate_based_kn_candidates_ztf"


def test_the_values_of_an_alert_by_their_names_in_skyportal():
    assert annotation_data(alert(roid=2, mulens=0.5), TOPIC) == {
        "topic": TOPIC,
        "cdsxmatch": "Unknown",
        "rf_snia_vs_nonia": 0.25,
        "snn_snia_vs_nonia": 0.125,
        "snn_sn_vs_all": 0.5,
        "microlensing": 0.5,
        "asteroids": 2,
        "rf_kn_vs_nonkn": 0.75,
        "nalerthist": 2,
        "obstime (jd)": 2460235.8420486,
    }


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_what_is_no_number_is_null(value):
    data = annotation_data(alert(mulens=value), TOPIC)
    assert data["microlensing"] is None
    json.dumps(data, allow_nan=False)


def test_an_empty_text_is_null():
    assert annotation_data(alert(cdsxmatch=" "), TOPIC)["cdsxmatch"] is None


def test_values_an_alert_lacks_are_null():
    data = annotation_data({"objectId": "ZTF1"}, TOPIC)
    assert data.pop("topic") == TOPIC
    assert set(data.values()) == {None} and len(data) == 9


def test_the_galaxy_near_an_alert():
    galaxy = {"HyperLEDA_name": "NGC 1", "2MASS_name": "None", "lum_dist": "65.5", "ang_dist": "64.1"}
    data = annotation_data(alert(mangrove=galaxy), TOPIC)
    assert {key: data[key] for key in data if key.startswith("host")} == {
        "host_galaxy_name": "NGC 1",
        "host_galaxy_catalog": "HyperLEDA",
        "host_galaxy_distmpc": 65.5,
    }
    data = annotation_data(alert(mangrove=galaxy | {"HyperLEDA_name": "None", "2MASS_name": "J1"}), TOPIC)
    assert (data["host_galaxy_name"], data["host_galaxy_catalog"]) == ("J1", "2MASS")


def test_a_galaxy_of_unknown_distance():
    data = annotation_data(alert(mangrove={"HyperLEDA_name": "NGC 1", "lum_dist": "None"}), TOPIC)
    assert data["host_galaxy_distmpc"] is None


@pytest.mark.parametrize("topic", [TOPIC, f"{RATE_BASED}_more", RATE_BASED.removesuffix("_ztf"), f"x{RATE_BASED}"])
def test_rates_are_for_one_topic_only(topic):
    assert "rate(dg)" not in annotation_data(alert(**{"rate(dg)": 0.5}), topic)


def test_rates_of_an_alert():
    data = annotation_data(alert(**{"rate(dg)": 0.5, "rate(dr)": math.nan}), RATE_BASED)
    assert (data["rate(dg)"], data["rate(dr)"]) == (0.5, None)


def test_the_rate_of_its_own_band():
    data = annotation_data(alert(mag_rate=-0.25), RATE_BASED)
    assert (data["rate(dg)"], data["rate(dr)"]) == (None, -0.25)
