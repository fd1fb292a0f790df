import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.alert.packet import read_packet
from fink_broker.alert.survey import ZTF
from fink_broker.simulate.repeat import Repetition, fresh_candid, fresh_object
from fink_broker.simulate.sources import open_source

TIMES = ("jd", "jdstarthist", "jdendhist", "nid", "pid", "candid")


@pytest.fixture(scope="module")
def source(shared_data):
    return open_source(str(shared_data / "ztf" / "ztf_real_packets.tar.gz"), print, synthetic_count=0, seed=0)


def histories(record) -> list[dict]:
    return [*(record["prv_candidates"] or []), *(record.get("fp_hists") or [])]


def test_the_first_pass_is_untouched_and_later_ones_differ_in_times_and_names_alone(source):
    count = 376
    alerts = list(Repetition(3, nights_apart=2).alerts(source))
    assert all(alert.raw is not None for alert in alerts[:count])
    assert len({alert.record["candid"] for alert in alerts}) == len(alerts) == 3 * count
    names = [{alert.record["objectId"] for alert in alerts[k * count : (k + 1) * count]} for k in range(3)]
    assert len(names[0]) == len(names[1]) == len(names[2]) == len(set().union(*names)) / 3
    for number, alert in enumerate(alerts[count:], start=count):
        nights = 2 * (number // count)
        was, now = alerts[number % count].record, read_packet(alert.packet())[0]
        candidate = now["candidate"]
        assert now["candid"] == candidate["candid"] != was["candid"]
        assert re.fullmatch(r"ZTF\d\d[a-z]{7}", now["objectId"])
        assert candidate["jd"] == was["candidate"]["jd"] + nights
        for name in ("jdstarthist", "jdendhist"):
            assert candidate[name] == was["candidate"][name] + nights
        assert len(histories(now)) == len(histories(was))
        for then, point in zip(histories(was), histories(now), strict=True):
            assert point["jd"] == then["jd"] + nights
            assert {k: v for k, v in point.items() if k not in TIMES} == {
                k: v for k, v in then.items() if k not in TIMES
            }
            assert (point.get("candid") is None) == (then.get("candid") is None)
        same = set(now) - {"candid", "objectId", "candidate", "prv_candidates", "fp_hists"}
        assert {name: now[name] for name in same} == {name: was[name] for name in same}
        left = {k: v for k, v in candidate.items() if k not in TIMES}
        assert left == {k: v for k, v in was["candidate"].items() if k not in TIMES}


def test_repeating_is_deterministic_and_leaves_the_source_as_it_was(source):
    first, second = ([alert.packet() for alert in Repetition(2).alerts(source)] for _ in range(2))
    assert first == second


def test_objects_may_keep_their_names(source):
    alerts = list(Repetition(2, nights_apart=3000, fresh_objects=False).alerts(source))
    assert {alert.record["objectId"] for alert in alerts[:376]} == {alert.record["objectId"] for alert in alerts[376:]}


@given(st.integers(0, 180), st.integers(0, 180), st.integers(17, 30), st.integers(17, 30))
def test_names_of_passes_never_meet(one, other, year, other_year):
    assert (fresh_object(f"ZTF{year}aabcdef", one) == fresh_object(f"ZTF{other_year}aabcdef", other)) == (
        (one, year) == (other, other_year)
    )


def test_names_of_another_style_are_numbered():
    assert fresh_object("K2-18", 3) == "K2-18_3"


@given(st.integers(0, 2**63 - 1), st.floats(ZTF.jd_first, ZTF.jd_last - 1), st.integers(0, 10**9 - 1))
def test_candids_are_valid_and_told_apart_by_their_serial(old, jd, serial):
    candid = fresh_candid(old, jd, serial)
    assert 0 < candid < 2**63
    assert candid % 10**9 == serial
    assert candid // 10**14 % 10 == 9  # of the UTC day, when it is daytime at Palomar
