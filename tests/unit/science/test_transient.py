"""is_transient: the seven flags of production, the rules as the contract words them, and missing values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.config import Config
from fink_broker.science import asteroids, transient
from fink_broker.science.batch import AlertBatch
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import batch_of, check_pipeline, ordinary_alert

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

PIPELINE = Pipeline([asteroids.build(Config()), transient.build(Config())])
FLAGS = tuple(transient.Flags.__dataclass_fields__)
SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}


def flags(packets: Sequence[dict]) -> pd.DataFrame:
    found = transient.transient_flags(AlertBatch.from_struct(batch_of(PIPELINE, packets)))
    return pd.DataFrame({name: getattr(found, name) for name in FLAGS})


@pytest.mark.parametrize("name", SETS)
def test_the_flags_are_those_of_production(decoded: Callable, shared_data: Path, name: str) -> None:
    packets = decoded(SETS[name])
    expected = pd.read_parquet(shared_data / "expected" / f"{name}.parquet").set_index("candid")
    expected = expected.loc[[packet["candid"] for packet in packets]].reset_index(drop=True)
    found = flags(packets)
    found["is_transient"] = PIPELINE.run(batch_of(PIPELINE, packets)).field("is_transient").to_pylist()
    pd.testing.assert_frame_equal(found, expected[[*FLAGS, "is_transient"]])


#: The rules in the words of the contract, "none of" and all, for a database that knows three truth values. The
#: values they read are prepared as the contract says: no sign, or 99 for a negative distance.
SQL = {
    "real": """NOT (rb <= 0.2
        OR (rb < 0.35 AND gaia < 1 AND maggaia < 17) OR (rb < 0.45 AND gaia < 1.5 AND maggaia < 15.5)
        OR (sgscore1 > 0.49 AND ((rb < 0.35 AND ps1 < 1 AND (r < 17 OR i < 17 OR z < 16.5))
                              OR (rb < 0.45 AND ps1 < 1.5 AND (r < 15.5 OR i < 15.5 OR z < 15))))
        OR drb < 0.8
        OR (age > 90 AND drb < 0.9 AND ((ps1 < 3 AND psmag < 16) OR (ps1 < 1.1 AND psmag < 18)))
        OR (age > 90 AND drb < 0.95 AND ((ps1 < 1.5 AND psmag < 15.5) OR (ps1 < 0.8 AND psmag < 17.5))))""",
    "brightstar": """(bgaia < 20 AND bmag < 12)
        OR (ps1 < 20 AND sgscore1 > 0.9 AND (r < 14 OR i < 14 OR (z < 14 AND ps1 < 10)))
        OR (ps2 < 20 AND sgscore2 > 0.9 AND r2 < 14) OR (ps3 < 20 AND sgscore3 > 0.9 AND r3 < 14)""",
}
NEAR = [None, -999.0, 0.1, 0.3, 0.9, 1.25, 2.0, 5.0, 15.0, 30.0]
MAGNITUDES = [None, -999.0, 11.0, 13.0, 15.2, 15.7, 16.7, 17.2, 17.7, 19.0, 22.0]
SCORES = [None, 0.1, 0.3, 0.4, 0.48, 0.5, 0.7, 0.85, 0.92, 0.99]
FIELDS = {
    **dict.fromkeys(("neargaia", "neargaiabright", "distpsnr1", "distpsnr2", "distpsnr3"), NEAR),
    **dict.fromkeys(
        ("maggaia", "maggaiabright", "srmag1", "simag1", "sgmag1", "szmag1", "srmag2", "srmag3"), MAGNITUDES
    ),
    **dict.fromkeys(("rb", "drb", "sgscore1", "sgscore2", "sgscore3"), SCORES),
}


def by_sql(candidate: dict) -> dict[str, bool]:
    def size(name: str) -> float | None:
        return None if candidate[name] is None else abs(candidate[name])

    def distance(name: str) -> float | None:
        return 99.0 if candidate[name] is not None and candidate[name] < 0 else candidate[name]

    age = None if candidate["jdstarthist"] is None else candidate["jd"] - candidate["jdstarthist"]
    in_ps1 = [candidate[name] for name in ("srmag1", "simag1", "sgmag1")]
    values = {
        "rb": candidate["rb"], "drb": candidate["drb"], "gaia": size("neargaia"), "maggaia": size("maggaia"),
        "bgaia": size("neargaiabright"), "bmag": size("maggaiabright"), "age": age,
        "ps1": distance("distpsnr1"), "ps2": distance("distpsnr2"), "ps3": distance("distpsnr3"),
        "r": size("srmag1"), "i": size("simag1"), "z": size("szmag1"), "r2": size("srmag2"), "r3": size("srmag3"),
        "psmag": next((magnitude for magnitude in in_ps1 if magnitude is not None and 0 < magnitude < 30), 99.0),
        **{f"sgscore{k}": candidate[f"sgscore{k}"] for k in (1, 2, 3)},
    }  # fmt: skip
    columns = ", ".join(f":{name} AS {name}" for name in values)
    rules = ", ".join(f"({rule}) AS {name}" for name, rule in SQL.items())
    query = f"SELECT {rules} FROM (SELECT {columns})"  # noqa: S608 - all of it is written above
    row = sqlite3.connect(":memory:").execute(query, values).fetchone()
    return {name: bool(value) for name, value in zip(SQL, row, strict=True)}


@settings(max_examples=400, deadline=None)
@given(
    st.fixed_dictionaries({name: st.sampled_from(values) for name, values in FIELDS.items()}),
    st.sampled_from([None, 10.0, 100.0, 400.0]),
    st.booleans(),
)
def test_a_missing_value_leaves_open_what_sql_leaves_open(fields: dict, age: float | None, good: bool) -> None:
    alert = ordinary_alert()
    candidate = alert["candidate"]
    candidate |= fields | {"jdstarthist": None if age is None else candidate["jd"] - age}
    if good:  # most random alerts fail for their scores alone
        candidate |= {"rb": 0.93, "drb": 0.93}
    found = flags([alert]).loc[0]
    assert {name: bool(found[name]) for name in SQL} == by_sql(candidate)


def clean_transient(**candidate: object) -> dict:
    """An alert for which every rule speaks for a transient."""
    alert = ordinary_alert()
    far = dict.fromkeys(("neargaia", "neargaiabright", "distpsnr1", "distpsnr2", "distpsnr3"), 40.0)
    stars = ("maggaia", "maggaiabright", "srmag1", "simag1", "sgmag1", "szmag1", "srmag2", "srmag3")
    alert["candidate"] |= far | dict.fromkeys(stars, 21.0) | {"sgscore1": 0.1, "sgscore2": 0.1, "sgscore3": 0.1}
    alert["candidate"] |= {"magnr": 22.0, "magpsf": 18.3} | candidate
    return alert


def verdict(alert: dict) -> bool:
    return PIPELINE.run(batch_of(PIPELINE, [alert])).field("is_transient").to_pylist()[0]


def aged(days: float, **more: object) -> dict:
    alert = clean_transient(**more)
    alert["candidate"]["jdstarthist"] = alert["candidate"]["jd"] - days
    return alert


def test_a_clean_alert_is_a_transient() -> None:
    assert verdict(clean_transient())


@pytest.mark.parametrize(
    "field",
    ["neargaia", "maggaia", "neargaiabright", "maggaiabright", "sgscore2", "distpsnr2", "magnr", "distnr", "srmag1"],
)
def test_a_missing_neighbour_is_no_reason_against(field: str) -> None:
    assert verdict(clean_transient(**{field: None}))


@pytest.mark.parametrize("field", ["rb", "drb", "isdiffpos"])
def test_a_missing_score_or_sign_is(field: str) -> None:
    assert not verdict(clean_transient(**{field: None}))


@pytest.mark.parametrize(
    ("flag", "candidate"),
    [
        ("faint", {"magpsf": 19.9}),
        ("pointunderneath", {"sgscore1": 0.8, "distpsnr1": 2.0}),
        ("pointunderneath", {"sgscore1": 0.3, "distpsnr1": 0.9, "srmag1": 21.5, "szmag1": 18.0}),
        ("brightstar", {"neargaiabright": 19.0, "maggaiabright": 11.0}),
        ("variablesource", {"ndethist": 201}),
    ],
)
def test_one_reason_against_is_enough(flag: str, candidate: dict) -> None:
    alert = clean_transient(**candidate)
    assert flags([alert])[flag][0]
    assert not verdict(alert)


def test_a_source_that_is_not_there_is_not_red() -> None:
    alert = clean_transient(sgscore1=0.3, distpsnr1=0.9, srmag1=21.5, szmag1=-999.0, simag1=-999.0)
    assert not flags([alert])["pointunderneath"][0]


@pytest.mark.parametrize(
    ("days", "magnitude", "sign", "faint"),
    [(0.7, 19.1, "t", True), (0.7, 18.9, "t", False), (0.8, 19.1, "t", False), (0.7, 19.1, "f", False)],
)
def test_rising_from_a_faint_point_of_the_night(days: float, magnitude: float, sign: str, faint: bool) -> None:
    alert = clean_transient(isdiffpos=sign)
    # the sign is the alert's own, whatever that of the earlier point
    alert["prv_candidates"][-1] |= {"jd": alert["candidate"]["jd"] - days, "magpsf": magnitude, "isdiffpos": "f"}
    assert flags([alert])["faint"][0] == faint


@pytest.mark.parametrize(
    ("days", "passes", "variable"), [(100, 1, False), (100, 2, True), (400, 1, True), (80, 9, False)]
)
def test_how_often_a_source_must_come_back(days: float, passes: int, variable: bool) -> None:
    alert = aged(days, ndethist=31, magnr=19.0, distnr=0.3, magpsf=18.6)
    for k, point in enumerate(alert["prv_candidates"]):
        point |= {"magpsf": 19.0 if k < passes else 19.9, "fid": 2}
    assert flags([alert])["variablesource"][0] == variable


@pytest.mark.parametrize(("peak", "variable"), [(18.0, True), (18.8, False)])
def test_fainter_than_its_peak_on_a_brighter_source(peak: float, variable: bool) -> None:
    alert = aged(100, magnr=17.0, distnr=0.3, magpsf=18.6)
    for point in alert["prv_candidates"]:
        point |= {"magpsf": peak, "fid": alert["candidate"]["fid"]}
    assert flags([alert])["variablesource"][0] == variable
    for point in alert["prv_candidates"]:
        point["fid"] = 2  # another band says nothing of the peak
    assert not flags([alert])["variablesource"][0]


@pytest.mark.parametrize(
    ("candidate", "days", "variable"),
    [
        ({"neargaia": 0.3, "maggaia": 16.0}, 31, True),
        ({"neargaia": 0.3, "maggaia": 16.0}, 29, False),
        ({"neargaia": 0.3, "maggaia": 18.5, "magpsf": 18.6}, 301, True),
        ({"neargaia": 0.3, "maggaia": 18.5, "magpsf": 18.4}, 301, False),
        ({"neargaia": 0.1, "maggaia": 17.5}, 91, True),
        ({"neargaia": -999.0, "maggaia": -999.0}, 400, False),
        ({"sgscore1": 0.3, "distpsnr1": 2.9, "szmag1": 15.9, "drb": 0.99}, 91, True),
        ({"sgscore1": 0.3, "distpsnr1": 2.9, "szmag1": 15.9, "drb": 0.99}, 89, False),
        ({"sgscore1": 0.5, "distpsnr1": 0.4, "sgmag1": 16.9, "drb": 0.99}, 91, True),
    ],
)
def test_on_a_star(candidate: dict, days: float, variable: bool) -> None:
    assert flags([aged(days, **candidate)])["variablesource"][0] == variable


def test_only_a_positive_detection_on_another_visit_makes_it_stationary() -> None:
    alone = clean_transient()
    alone["prv_candidates"] = None
    limits, negative, same_visit = clean_transient(), clean_transient(), clean_transient()
    for limit, dim, near in zip(
        limits["prv_candidates"], negative["prv_candidates"], same_visit["prv_candidates"], strict=True
    ):
        limit["magpsf"] = None
        dim["isdiffpos"] = "f"
        near["jd"] = alone["candidate"]["jd"] - 0.019
    assert not flags([alone, limits, negative, same_visit])["stationary"].any()
    assert flags([clean_transient()])["stationary"].all()


def test_moving_objects_are_none() -> None:
    assert not verdict(clean_transient(ndethist=2, sgscore1=0.1, distpsnr1=-999.0, ssdistnr=1.0))


def test_each_alert_on_its_own(decoded: Callable) -> None:
    check_pipeline(PIPELINE, decoded("ztf_public_20231018_retimed")[:150])


def test_bad_numbers_in_every_field_are_decided() -> None:
    spoilt = [
        clean_transient(**{field: value})
        for field in PIPELINE.candidate_fields
        if field not in ("isdiffpos", "fid", "ndethist")
        for value in (None, np.nan, np.inf, -np.inf, 0.0, -999.0, 1e30)
    ]
    check_pipeline(PIPELINE, spoilt)
    assert not flags(spoilt).isna().any(axis=None)
