"""Conditions one after the other: the costly ones are asked about few alerts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fink_broker.filters.measures import cuts


def test_conditions_are_asked_only_about_those_that_met_all_before() -> None:
    asked: list[list[int]] = []

    def condition(divisor: int) -> Callable[[np.ndarray], np.ndarray]:
        def decide(rows: np.ndarray) -> np.ndarray:
            asked.append(rows.tolist())
            return rows % divisor == 0

        return decide

    start = np.arange(13) > 0
    passed = cuts.narrowed(start, condition(2), condition(3))
    assert np.flatnonzero(passed).tolist() == [6, 12]
    assert asked == [list(range(1, 13)), [2, 4, 6, 8, 10, 12]]
    asked.clear()
    assert not cuts.narrowed(start, condition(100), condition(2)).any()
    assert len(asked) == 1
    assert start.sum() == 12
