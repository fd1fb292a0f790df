"""States of blazars by the rules the tables of the archive go by."""

from __future__ import annotations

import numpy as np
import pytest
from science_rows import alerts_of, object_of, words_of

from fink_broker.portal.web.object_tabs.blazar import TAB, flux_plot, high_level, states

STATS = "d:blazar_stats_"


def blazar(**ratios: list[float]) -> dict[str, list[float]]:
    return {f"{STATS}{name}": values for name, values in ratios.items()}


ALERTS = alerts_of(
    5,
    **blazar(
        instantness_low=[0.5, 1.0, 2.0, 5.0, -1.0],
        robustness_low=[0.9, 1.1, 2.0, 4.0, -1.0],
        instantness_high=[-1.0, 0.25, 0.5, 1.25, -1.0],
        robustness_high=[-1.0, 0.3, 1.5, 1.0, -1.0],
    ),
)


def test_states_need_the_last_and_the_mean_flux() -> None:
    assert states(ALERTS) == ["low", "between", "between", "high", "unknown"]


def test_levels_are_in_units_of_the_low_one() -> None:
    assert high_level(ALERTS) == pytest.approx(4.0)
    assert np.isnan(high_level(ALERTS.head(1)))
    plot = flux_plot(ALERTS)
    assert [shape.y0 for shape in plot.layout.shapes] == pytest.approx([1.0, 4.0])
    assert [trace.name for trace in plot.data] == ["g", "r", "mean of 30 days"]
    assert list(plot.data[0].y) == [0.5, 2.0]  # what is not known is not drawn
    # 0.05 mag of the difference and 0.1 mag of a reference that is 3 mag fainter, over their sum
    reference = 10 ** (-0.4 * 3)
    relative = np.hypot(0.05, 0.1 * reference) / (1 + reference) * np.log(10) / 2.5
    assert plot.data[0].error_y.array[0] == pytest.approx(0.5 * relative, rel=1e-3)


def test_only_blazars_have_the_tab() -> None:
    others = alerts_of(2, **blazar(instantness_low=[-1.0, -1.0], robustness_low=[-1.0, -1.0]))
    assert TAB.why_not(object_of(others))
    assert TAB.why_not(object_of(alerts_of(2)))
    assert not TAB.why_not(object_of(ALERTS))


def test_each_state_is_said_in_words() -> None:
    words = words_of(TAB.build(object_of(ALERTS), None))  # type: ignore[arg-type]
    for expected in ("Quiescent (low) · 1 alert", "In between · 2 alerts", "High · 1 alert", "Not known · 1 alert"):
        assert expected in words
