from __future__ import annotations

import math
import time
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.archive.hbase import keys
from fink_broker.errors import DataError

NAMES = st.text(max_size=20)
JDS = st.floats(0, 9_999_999, allow_nan=False)


def within(key: bytes, ranges: list[keys.KeyRange]) -> bool:
    return any(each.start <= key < each.stop for each in ranges)


@given(NAMES)
def test_a_part_is_plain_ascii_and_can_be_read_back(name):
    part = keys.part(name)
    assert set(part) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+-%")
    assert keys.split_key(part.encode()) == [name]


@pytest.mark.parametrize("name", ["a_b", "a_", "_", "a%5Fb", "a\nb", "../x", "SN Ia", "é", "\U0001f600", "a\0b", "'"])
def test_nothing_in_a_name_reaches_beyond_its_part(name):
    key = keys.alert_key(name, 2460000.5)
    assert key.count(b"_") == 1
    assert keys.split_key(key) == [name, "2460000.5000000"]


@given(NAMES, JDS, NAMES)
def test_many_keys_are_the_keys_of_each(name, jd, label):
    names, labels, jds = pa.array([name, "ZTF1"]), pa.array([label, "SN Ia"]), np.array([jd, 2460000.1234567])
    assert keys.alert_keys(names, jds) == [keys.alert_key(name, jd), keys.alert_key("ZTF1", 2460000.1234567)]
    assert keys.time_keys(labels, jds, names) == [
        keys.time_key(label, jd, name),
        keys.time_key("SN Ia", 2460000.1234567, "ZTF1"),
    ]
    assert keys.time_keys(None, jds, names)[0] == keys.time_key(None, jd, name)
    assert keys.position_keys(np.array([7, 201326591]), names)[0] == keys.position_key(7, name)
    assert keys.joined_keys(labels, names)[0] == f"{keys.part(label)}_{keys.part(name)}".encode()


@given(st.lists(JDS, min_size=2, max_size=20))
def test_keys_of_an_object_sort_by_time(jds):
    made = keys.alert_keys(["ZTF19aaosfcb"] * len(jds), np.array(jds))
    by_key = [jds[row] for row in sorted(range(len(jds)), key=lambda row: made[row])]
    assert all(later - earlier > -1e-7 for earlier, later in pairwise(by_key))


@given(NAMES, NAMES, JDS)
def test_the_range_of_an_object_holds_its_alerts_alone(one, other, jd):
    ranges = [keys.one_object(one)]
    assert within(keys.alert_key(one, jd), ranges)
    assert within(keys.alert_key(other, jd), ranges) == (one == other)


@given(st.text(alphabet="ZTF_%ab1é", max_size=14), st.text(alphabet="ZTF_%ab1é", max_size=20), JDS)
def test_a_short_name_stands_for_all_that_begin_with_it(short, name, jd):
    found = within(keys.alert_key(name, jd), [keys.object_range(short)])
    assert found == (name == short if len(short) >= 12 else name.startswith(short))


@given(NAMES, NAMES, JDS, JDS, JDS, NAMES)
def test_ranges_of_time_include_both_ends(label, other, jd, first, last, name):
    first, last = sorted((first, last))
    ranges = keys.time_ranges(label, first, last)
    assert len(ranges) == keys.SALTS
    for at in (first, last):
        assert within(keys.time_key(label, at, name), ranges)
    if label != other:
        assert not within(keys.time_key(other, first, name), ranges)
    if abs(jd - first) > 1e-6 and abs(jd - last) > 1e-6:
        assert within(keys.time_key(label, jd, name), ranges) == (first < jd < last)
    assert within(keys.time_key(label, jd, name), keys.time_ranges(label))
    assert within(keys.time_key(None, first, name), keys.time_ranges(None, first, last))


def test_times_beyond_all_keys_are_as_far_as_keys_go():
    key = keys.time_key(None, 2460000.5, "a")
    assert within(key, keys.time_ranges(None, -math.inf, math.inf))
    assert within(key, keys.time_ranges(None, -1e300, 1e300))
    assert not within(key, keys.time_ranges(None, 1e9, 1e10))
    assert not within(key, keys.time_ranges(None, 2460001, 2460000))
    with pytest.raises(DataError, match="no Julian date"):
        keys.time_ranges(None, math.nan)


@pytest.mark.parametrize("jd", [math.nan, math.inf, -math.inf, -1.0, 1e7, 1e300])
def test_a_time_no_key_can_hold_is_refused_one_by_one_and_at_once(jd):
    with pytest.raises(DataError, match="no Julian date"):
        keys.alert_key("a", jd)
    with pytest.raises(DataError, match="no Julian date"):
        keys.alert_keys(["a", "b"], np.array([2460000.5, jd]))


def test_which_alerts_can_have_a_key():
    names = pa.array(["a", None, "", "b", "c", "d"])
    jds = pa.array([2460000.5, 2460000.5, 2460000.5, math.nan, None, 0.0])
    good = keys.keyable(names, jds)
    assert good.tolist() == [True, False, False, False, False, True]
    assert len(keys.alert_keys(names.filter(pa.array(good)), jds.filter(pa.array(good)))) == 2
    with pytest.raises(DataError, match="missing"):
        keys.alert_keys(names, np.zeros(6))


@given(st.binary(max_size=6), st.binary(max_size=8))
def test_the_range_of_a_prefix(prefix, key):
    assert within(key, [keys.prefix_range(prefix)]) == key.startswith(prefix) or key.startswith(b"\xff" * 8)


def test_salts_spread_objects_evenly():
    salts = [keys.salt(f"ZTF19aa{number:05d}") for number in range(4000)]
    counts = np.bincount(salts)
    assert len(counts) == keys.SALTS
    assert counts.min() > 800


def test_the_keys_of_a_batch_cost_little():
    names = pa.array([f"ZTF19aa{number:05d}" for number in range(500)])
    labels, jds = pa.array(["Solar System candidate"] * 500), 2460000.5 + np.arange(500) / 7
    seconds = []
    for _ in range(5):
        started = time.process_time()
        keys.alert_keys(names, jds)
        keys.time_keys(labels, jds, names)
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.01  # 1.5 ms on the machine it was written on
