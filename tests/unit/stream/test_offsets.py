"""How many messages the offsets of a batch promise."""

from __future__ import annotations

import pytest

from fink_broker.stream.stream2raw import expected


@pytest.mark.parametrize(
    ("begin", "end", "promised"),
    [(3, 10, 7), (5, 5, 0), (None, 10, 0), (8, 2, 2)],
    ids=["plain", "nothing", "a partition met for the first time", "a topic made anew: Spark goes on from its end"],
)
def test_what_offsets_promise(begin: int | None, end: int, promised: int):
    assert expected({"ztf": {"0": [begin, end], "1": [1, 2]}}) == promised + 1
