"""The memory of candids: exact while it lasts, bounded, and the same after a restart."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fink_broker.stream.dedup import SeenCandids, pack, remember, unpack

candids = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 20), max_size=40)


def array(values):
    return np.array(values, dtype=np.int64)


@given(st.lists(candids, max_size=12))
def test_repeats_are_those_a_set_would_name(batches):
    seen, reference = SeenCandids(10_000), set()
    for batch in batches:
        expected = []
        for candid in batch:
            expected.append(candid in reference)
            reference.add(candid)
        repeats = seen.repeats(array(batch))
        assert repeats.tolist() == expected
        seen.add(array(batch)[~repeats])
    assert len(seen) == len(reference)


def test_memory_is_bounded_and_forgets_the_oldest():
    seen = SeenCandids(1000)
    for start in range(0, 50_000, 100):
        seen.add(np.arange(start, start + 100))
    assert len(seen) <= 1000
    assert seen.contains(np.arange(49_900, 50_000)).all()
    assert not seen.contains(np.arange(0, 100)).any()


def test_a_restart_remembers_the_latest_within_capacity():
    batches = [np.arange(start, start + 100) for start in range(0, 1000, 100)]
    newest_first = [pack(batch) for batch in reversed(batches)]
    seen = remember(300, newest_first)
    assert seen.contains(np.arange(700, 1000)).all()
    assert not seen.contains(np.arange(0, 600)).any()


@given(candids)
def test_packed_candids_come_back(values):
    assert unpack(pack(array(values))).tolist() == values
