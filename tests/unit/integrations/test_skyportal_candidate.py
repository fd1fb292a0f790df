"""What is posted for an alert, and alerts that cannot be posted."""

import json
import math

import pytest
from fink_skyportal.candidate import NotPostable, candidate_of
from unit.integrations.alerts_by_hand import alert, decoded, stamp

TOPIC = "fink_sn_candidates_ztf"
KILONOVA_TOPICS = {
    "fink_kn_candidates_ztf": "Classifier-based kilonova candidate",
    "fink_early_kn_candidates_ztf": "Galaxy crossmatch kilonova candidate",
    "fink_rate_based_kn_candidates_ztf": "Rate-based kilonova candidate",
}


def classified(topic, generation, **changes):
    found = candidate_of(alert(**changes), topic, generation).classification
    return found.name, found.probability


def test_a_candidate():
    found = candidate_of(alert(cutoutScience={"stampData": stamp([[0.0, 1.0]])}), TOPIC, "stand-alone")
    assert (found.object_id, found.candid, found.ra, found.dec) == ("ZTF23abcdefg", 2480342042015010001, 150.25, -12.5)
    assert (found.topic, found.instrument) == (TOPIC, "ZTF")
    assert len(found.photometry) == 3
    assert found.annotation["topic"] == TOPIC
    assert list(found.thumbnails()) == ["new"]


@pytest.mark.parametrize(
    ("jd", "iso"),
    [
        (2440587.5, "1970-01-01T00:00:00.000"),
        (2460235.8420486, "2023-10-18T08:12:32.999"),
        (2460236.4999999999, "2023-10-19T00:00:00.000"),
    ],
)
def test_the_time_of_an_alert_is_that_of_its_exposure(jd, iso):
    assert candidate_of(alert(candidate__jd=jd), TOPIC, "stand-alone").passed_at == iso


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"objectId": None}, "no objectId"),
        ({"objectId": ""}, "no objectId"),
        ({"objectId": "a b/c"}, "takes no object named 'a b/c'"),
        ({"candidate": None}, "has no candidate"),
        ({"candidate__candid": "x"}, "no candid"),
        ({"candidate__fid": 4}, "candidate.fid of ZTF23abcdefg is 4"),
        ({"candidate__isdiffpos": None}, "candidate.isdiffpos"),
        ({"candidate__jd": 1e12}, "which is no date"),
        *(
            ({f"candidate__{name}": value}, f"candidate.{name} of ZTF23abcdefg is missing or no finite number")
            for name in ("jd", "ra", "dec", "magpsf", "sigmapsf", "diffmaglim")
            for value in (None, math.nan, math.inf, "1", True)
        ),
    ],
)
def test_an_alert_that_lacks_what_a_candidate_needs(changes, said):
    with pytest.raises(NotPostable, match=r"\.$") as caught:
        candidate_of(alert(**changes), TOPIC, "stand-alone")
    assert said in str(caught.value)


def test_an_alert_without_one_of_the_fields():
    made = alert()
    del made["candidate"]["magpsf"]
    with pytest.raises(NotPostable, match="magpsf"):
        candidate_of(made, TOPIC, "stand-alone")


def test_candid_may_stand_at_the_root_only():
    made = alert(candid=7)
    del made["candidate"]["candid"]
    assert candidate_of(made, TOPIC, "stand-alone").candid == 7


@pytest.mark.parametrize("generation", ["microservice", "stand-alone"])
def test_the_class_is_that_of_the_broker(generation):
    assert classified(TOPIC, generation, finkclass="Ambiguous") == ("Ambiguous", None)
    assert classified(TOPIC, generation, cdsxmatch="RRLyr") == ("RRLyr", None)


@pytest.mark.parametrize(("topic", "name"), KILONOVA_TOPICS.items())
def test_the_microservice_says_what_kind_of_kilonova_a_topic_holds(topic, name):
    assert classified(topic, "microservice", finkclass="SN candidate") == (name, 1.0)
    assert classified(topic, "microservice", finkclass="Kilonova candidate") == ("Kilonova candidate", None)


@pytest.mark.parametrize("topic", KILONOVA_TOPICS)
def test_the_stand_alone_client_says_kilonova_with_its_score(topic):
    assert classified(topic, "stand-alone", finkclass="SN candidate") == ("Kilonova candidate", 0.75)


@pytest.mark.parametrize(("score", "probability"), [(math.nan, None), (None, None), (-1.0, None), (0.0, 0.0), (1, 1.0)])
def test_a_score_that_is_no_probability(score, probability):
    changes = {"finkclass": "Kilonova candidate", "rf_kn_vs_nonkn": score}
    assert classified(TOPIC, "stand-alone", **changes) == ("Kilonova candidate", probability)


@pytest.mark.parametrize("topic", ["fink_kn_candidates", "fink_kn_candidates_ztf_more", "x_fink_kn_candidates_ztf"])
@pytest.mark.parametrize("generation", ["microservice", "stand-alone"])
def test_only_whole_names_are_topics_of_kilonovae(topic, generation):
    assert classified(topic, generation, finkclass="SN candidate") == ("SN candidate", None)


def test_real_alerts_can_all_be_posted(unpacked):
    for real in decoded(unpacked("ztf_real_packets")[:100]):
        found = candidate_of(real, TOPIC, "microservice")
        assert found.photometry[-1].mag == real["candidate"]["magpsf"]
        assert set(found.thumbnails()) == {"new", "ref", "sub"}
        json.dumps(found.annotation, allow_nan=False)
