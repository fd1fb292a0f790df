"""Topics that are functions: each cut on made-up alerts, and alerts that should not be."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from built_in_topics import FUNCTIONS, passes

from fink_broker.alert.batch import field_types
from fink_broker.filters.measures import cuts
from fink_broker.filters.measures.nearby_galaxies import Galaxies
from fink_broker.filters.view import AlertView
from fink_broker.filters.ztf import early_kn_candidates, rate_based_kn_candidates

NOW = 2460236.5


def point(days: float, magnitude: float | None, band: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "jd": NOW + days, "fid": band, "magpsf": magnitude, "sigmapsf": None if magnitude is None else 0.1,
        "magnr": 23.0, "sigmagnr": 0.1, "isdiffpos": "t", **more,
    }  # fmt: skip


#: An alert that passes no cut of images, and those of light curves where it has one.
ROW: dict[str, Any] = {
    "cdsxmatch": "Unknown", "roid": 0, "DR3Name": "nan", "spicy_class": "Unknown",
    "elephant_kstest_science": -99.0, "elephant_kstest_template": -99.0,
    "lc_features_r": {"linear_fit_slope": None},
    "candidate": point(0.0, 19.0) | {
        "ra": 180.0, "dec": 30.0, "drb": 0.95, "classtar": 0.9, "jdstarthist": NOW - 0.1, "ndethist": 2,
        "ssdistnr": -999.0, "distnr": 5.0,
    },
    "prv_candidates": None,
}  # fmt: skip
_NOW_TYPES, _PAST_TYPES = field_types()[1:]
SCHEMA = pa.schema(
    [
        ("cdsxmatch", pa.string()), ("roid", pa.int32()), ("DR3Name", pa.string()), ("spicy_class", pa.string()),
        ("elephant_kstest_science", pa.float64()), ("elephant_kstest_template", pa.float64()),
        ("lc_features_r", pa.struct([("linear_fit_slope", pa.float64())])),
        ("candidate", pa.struct([(name, _NOW_TYPES[name]) for name in ROW["candidate"]])),
        ("prv_candidates", pa.list_(pa.struct([(name, _PAST_TYPES[name]) for name in point(0, 0)]))),
    ]
)  # fmt: skip


def alert(**changes: Any) -> dict[str, Any]:
    """Return `ROW` with changes: of root columns by their names, of the candidate by others."""
    row = copy.deepcopy(ROW)
    for name, value in changes.items():
        (row if name in row else row["candidate"])[name] = value
    return row


def decide(name: str, *rows: dict[str, Any]) -> list[bool]:
    return passes(name, pa.Table.from_pylist(list(rows), SCHEMA)).tolist()


RISES = [point(-2, 20.0), point(-1, None), point(-1, 19.24)]
STEADY = [point(-step, 18.0 + 0.1 * step, 2) for step in range(5, 0, -1)]
FADES = [point(-2.0, 18.0), point(-1.0, 18.9, 2), point(-1.0, None), point(-0.7, 18.6)]
#: For each topic: an alert that passes.
TAKEN: dict[str, dict[str, Any]] = {
    "fast_riser_candidates": {"prv_candidates": RISES, "jdstarthist": NOW - 60},
    "yso_spicy_candidates": {
        "prv_candidates": STEADY, "spicy_class": "ClassII", "lc_features_r": {"linear_fit_slope": -0.03},
    },
    "rate_based_kn_candidates": {"prv_candidates": FADES, "jdstarthist": NOW - 4.9},
    "early_kn_candidates": {"jdstarthist": NOW - 0.2},
    "magnetic_cvs": {"ra": 78.92250, "dec": 1.0777778},
    **{
        name: {
            "elephant_kstest_science": 0.5, "elephant_kstest_template": 0.85, "ndethist": detections,
            "prv_candidates": [point(-0.9, 19.0), point(back, None)],
        }
        for name, detections, back in (
            ("new_hostless", 1, -0.3), ("intra_night_hostless", 2, -0.3), ("inter_night_hostless", 3, -0.6),
        )
    },
}  # fmt: skip
NOT_UNCATALOGUED = [
    {"distnr": 1.5}, {"distnr": None}, {"cdsxmatch": "Star"}, {"cdsxmatch": None}, {"cdsxmatch": "galaxy"}, {"roid": 3},
    {"roid": None}, {"DR3Name": None}, {"DR3Name": "Gaia DR3 1"}, {"elephant_kstest_science": 0.51},
    {"elephant_kstest_science": -1.0}, {"elephant_kstest_template": 0.86}, {"elephant_kstest_template": -99.0},
    {"elephant_kstest_template": None}, {"ndethist": 4}, {"ndethist": None},
]  # fmt: skip
NOT_GOOD = [
    {"drb": 0.5}, {"drb": None}, {"drb": np.nan}, {"classtar": 0.39}, {"cdsxmatch": "Star"}, {"cdsxmatch": "Fail 500"},
    {"cdsxmatch": None}, {"jd": None}, {"jdstarthist": np.nan},
]  # fmt: skip
#: What one change makes of it: an alert that does not pass.
REFUSED: dict[str, list[dict[str, Any]]] = {
    "fast_riser_candidates": [
        {"drb": 0.5}, {"drb": np.nan}, {"cdsxmatch": "Star"}, {"roid": 2}, {"roid": 3}, {"roid": None},
        {"jdstarthist": NOW - 60.1}, {"jdstarthist": None}, {"prv_candidates": None}, {"prv_candidates": []},
        {"prv_candidates": [point(-1, 19.24)]},  # rises by 0.24 in a day
        {"prv_candidates": [point(-1, 19.24), point(-0.019, 19.24)]},  # steeper, but too close in time
        {"prv_candidates": [point(-2, 20.0, 2), point(-1, 19.24)]},  # of another band
    ],
    "yso_spicy_candidates": [
        {"spicy_class": "Unknown"}, {"spicy_class": None}, {"lc_features_r": {"linear_fit_slope": 0.025}},
        {"lc_features_r": {"linear_fit_slope": np.nan}}, {"lc_features_r": None}, {"prv_candidates": None},
        {"prv_candidates": STEADY[:4]}, {"prv_candidates": [*STEADY[:4], point(-1, None, 2)]},
        {"prv_candidates": [*STEADY[:4], point(-1, 18.1, 1)]},
        {"prv_candidates": [point(-step, 18.0, 2) for step in range(6)]},  # no scatter
        {"prv_candidates": [point(-1, 18.0 + 0.1 * step, 2) for step in range(6)]},  # no time
        {"prv_candidates": [point(-step, 18.0 + step % 2, 2) for step in range(6)]},  # no line
    ],
    "rate_based_kn_candidates": [
        *NOT_GOOD, {"drb": 0.9}, {"jdstarthist": NOW - 5}, {"ndethist": 20}, {"isdiffpos": "1"}, {"isdiffpos": "f"},
        {"isdiffpos": None}, {"ssdistnr": 0.0}, {"ssdistnr": 10.0}, {"ssdistnr": None}, {"dec": None}, {"ra": np.nan},
        {"ra": 266.4, "dec": -20.0}, {"fid": 2}, {"magpsf": 18.4}, {"sigmapsf": None},
        {"sigmapsf": 0.0, "sigmagnr": 0.0}, {"prv_candidates": None}, {"prv_candidates": [point(-0.49, 18.0)]},
        {"prv_candidates": [point(-2.0, 21.5), point(-1.0, 22.0)]},
    ],
    "early_kn_candidates": [
        *NOT_GOOD, {"roid": 3}, {"roid": None}, {"jdstarthist": NOW - 0.25}, {"magpsf": None},
        {"magpsf": 17.9}, {"magpsf": 20.1}, {"dec": 30.0 + 22.0 / 3600}, {"ra": None}, {"dec": 91.0},
    ],
    "magnetic_cvs": [
        {"isdiffpos": "f"}, {"isdiffpos": "0"}, {"isdiffpos": None}, {"ra": 78.9227, "dec": 1.0777778}, {"dec": None},
        {"ra": np.inf}, {"dec": -1.0777778},
    ],
    "new_hostless": [*NOT_UNCATALOGUED, {"ndethist": 2}],
    "intra_night_hostless": [
        *NOT_UNCATALOGUED, {"ndethist": 1}, {"ndethist": 3}, {"prv_candidates": None}, {"jd": None},
        {"prv_candidates": [point(-0.5, 19.0)]}, {"prv_candidates": [point(-0.1, 19.0, jd=None)]},
    ],
    "inter_night_hostless": [
        *NOT_UNCATALOGUED, {"ndethist": 2}, {"prv_candidates": [point(-0.6, 19.0)]}, {"prv_candidates": []},
        {"prv_candidates": [point(-0.9, 19.0), point(-0.4, 19.0)]},
        {"prv_candidates": [point(-1.2, 19.0), point(-0.6, 19.0)]},
    ],
}  # fmt: skip
#: Changes after which it still passes.
STILL_TAKEN: dict[str, list[dict[str, Any]]] = {
    "fast_riser_candidates": [
        {"cdsxmatch": "Seyfert_1"}, {"prv_candidates": RISES[::-1]}, {"roid": 1}, {"magpsf": None},
        {"prv_candidates": [point(-1, 19.26)]}, {"prv_candidates": [point(-0.02001, 19.3)]},
        {"prv_candidates": [point(-2, 20.0), point(-1, 19.24, None), point(-1, 19.24)]},
    ],
    "yso_spicy_candidates": [{"prv_candidates": STEADY[::-1]}, {"lc_features_r": {"linear_fit_slope": 0.026}}],
    "rate_based_kn_candidates": [
        {"ssdistnr": 10.1}, {"classtar": 0.41}, {"ndethist": 19}, {"cdsxmatch": "Fail 504"}, {"drb": 0.91},
        {"prv_candidates": [point(-0.51, 18.0)]}, {"prv_candidates": [*FADES, point(-0.1, 25.0, magnr=26.0)]},
    ],
    "early_kn_candidates": [
        {"magpsf": 18.1}, {"magpsf": 19.9}, {"dec": 30.0 + 21.0 / 3600}, {"roid": 2}, {"prv_candidates": STEADY},
    ],
    "magnetic_cvs": [{"isdiffpos": "1"}, {"drb": None}, {"ra": 78.92250, "dec": 1.0777778 + 0.49 / 3600}],
    "new_hostless": [
        {"cdsxmatch": "Transient"}, {"cdsxmatch": "Fail 500"}, {"cdsxmatch": "Galaxy_of_some_kind"}, {"roid": 2},
        {"elephant_kstest_science": 0.0, "elephant_kstest_template": 0.0}, {"prv_candidates": None},
    ],
    "intra_night_hostless": [{"prv_candidates": [point(-0.49, None)]}],
    "inter_night_hostless": [{"prv_candidates": [point(-0.9, None), point(-0.51, None)]}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_galaxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the place of the made-up alert: 100 Mpc away (95 in angles), so that 10 kpc are 21.7″."""
    if "shared_data" not in request.fixturenames:
        sky = Galaxies(*(np.array([value]) for value in (180.0, 30.0, 100.0, 95.0)))
        monkeypatch.setattr(early_kn_candidates, "nearby_galaxies", lambda: sky)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_change_decides(name: str) -> None:
    taken = TAKEN[name]
    assert decide(name, alert(**taken)) == [True]
    # all at once: none may spoil another
    changes = [*REFUSED[name], *STILL_TAKEN[name]]
    found = decide(name, *(alert(**{**taken, **change}) for change in changes))
    wanted = [False] * len(REFUSED[name]) + [True] * len(STILL_TAKEN[name])
    wrong = [change for change, passed, right in zip(changes, found, wanted, strict=True) if passed != right]
    assert wrong == []


BAD = (None, np.nan, np.inf, -np.inf, 0.0, -999.0, 1e30)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("error")
def test_bad_numbers_raise_nothing_and_spoil_no_other_alert(name: str) -> None:
    good, rows = alert(**TAKEN[name]), []
    for value in BAD:
        for field, kind in _NOW_TYPES.items():
            if field in ROW["candidate"] and pa.types.is_floating(kind):
                rows.append(alert(**{**TAKEN[name], field: value}))
        for field in ("jd", "magpsf", "sigmapsf", "magnr", "sigmagnr"):
            history = [{**entry, field: value} for entry in TAKEN[name].get("prv_candidates") or RISES]
            rows.append(alert(**{**TAKEN[name], "prv_candidates": history}))
    rows.append({**alert(**TAKEN[name]), "candidate": None})
    rows.append(dict.fromkeys(ROW))
    mixed = [row for bad in rows for row in (bad, good)]
    found = decide(name, *mixed)
    assert all(found[1::2])
    assert not found[-2], "an alert of nothing but nulls"
    assert found[0::2] == [decide(name, row)[0] for row in rows]


def test_a_star_beside_it_forbids_a_kilonova() -> None:
    class Stars:
        def beside(self, ra_deg: np.ndarray, dec_deg: np.ndarray) -> np.ndarray:
            asked.append(len(ra_deg))
            return ra_deg > 180.0

    for module in (early_kn_candidates, rate_based_kn_candidates):
        asked: list[int] = []
        taken = TAKEN[module.__name__.rpartition(".")[2]]
        rows = [alert(**taken), alert(**{**taken, "ra": 180.001}), alert(**{**taken, "drb": 0.1})]
        found = module.decide(AlertView(pa.Table.from_pylist(rows, SCHEMA)), Stars())
        assert found.tolist() == [True, False, False]
        assert asked == [2], "only what passes all else is asked about"


def test_light_curves_of_some_alerts_are_those_of_the_batch() -> None:
    histories = [RISES, None, [], STEADY, FADES]
    table = pa.Table.from_pylist([alert(prv_candidates=history) for history in histories], SCHEMA)
    rows = np.array([4, 1, 0, 2])
    for batch in (table, pa.concat_tables([table.slice(0, 2), table.slice(2)])):
        curves = cuts.light_curves(AlertView(batch), rows, "jd", "fid", "isdiffpos")
        assert curves.lengths.tolist() == [5, 1, 4, 1]
        expected = [entry["jd"] for row in rows for entry in [*(histories[row] or []), ROW["candidate"]]]
        assert curves.numbers("jd").tolist() == expected
        assert curves.texts("isdiffpos").to_pylist() == ["t"] * len(expected)
    of_slice = cuts.light_curves(AlertView(table.slice(3)), np.array([0]), "jd")
    assert of_slice.numbers("jd").tolist() == [entry["jd"] for entry in [*STEADY, ROW["candidate"]]]
