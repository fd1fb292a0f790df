"""finkclass: the classes of production, and the same rules as the topics have in SQL."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.alert.labels import EXTRAGALACTIC
from fink_broker.config import Config
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.view import AlertView
from fink_broker.science import finkclass
from fink_broker.science.batch import AlertBatch

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MODULE = finkclass.build(Config())
NUMBERS = {
    "jd": pa.float64(), "jdstarthist": pa.float64(), "ndethist": pa.int32(), "drb": pa.float32(),
    "classtar": pa.float32(), "roid": pa.int32(), "mulens": pa.float64(), "snn_snia_vs_nonia": pa.float64(),
    "snn_sn_vs_all": pa.float64(), "rf_snia_vs_nonia": pa.float64(), "rf_kn_vs_nonkn": pa.float64(),
}  # fmt: skip


FIELDS = ("jd", "jdstarthist", "ndethist", "drb", "classtar")


def classes(rows: Sequence[dict]) -> list[str]:
    types = {"cdsxmatch": pa.string()} | NUMBERS
    columns = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    return MODULE.compute(AlertBatch(columns, len(rows)))["finkclass"].to_pylist()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("20231018", {"Unknown": 168, "SN candidate": 131, "Kilonova candidate": 38, "Ambiguous": 9}),
        ("20231018_retimed", {"Unknown": 86, "SN candidate": 225, "Early SN Ia candidate": 21, "Ambiguous": 20}),
    ],
)
def test_the_classes_are_those_of_production(
    decoded: Callable, shared_data: Path, name: str, counts: dict[str, int]
) -> None:
    """The other modules' columns are those of production too, so that the rules alone are compared."""
    expected = pd.read_parquet(shared_data / "expected" / f"science_{name}.parquet").set_index("candid")
    candidates = {packet["candid"]: packet["candidate"] for packet in decoded(f"ztf_public_{name}")}
    outputs = expected[["cdsxmatch", *(column for column in NUMBERS if column not in FIELDS)]].to_dict("index")
    rows = [outputs[candid] | {field: candidates[candid][field] for field in FIELDS} for candid in expected.index]
    found = pd.Series(classes(rows), index=expected.index, name="finkclass")
    pd.testing.assert_series_equal(found, expected["finkclass"], check_dtype=False)
    assert {word: int((found == word).sum()) for word in counts} == counts


#: A SIMBAD type that says what the object is; "galaxy" in lower case, as old records have it, counts as one.
HAS_SIMBAD_CLASS = (
    "(cdsxmatch NOT IN ('Unknown', 'Transient')"
    " AND NOT startswith(cdsxmatch, 'Fail') AND NOT startswith(cdsxmatch, 'Galaxy'))"
)
MICROLENSING, SUPERNOVA, EARLY_SUPERNOVA_IA, KILONOVA, IS_SSO_CANDIDATE, IS_KNOWN_SSO = (
    f"({BUILT_IN[name].rule.text})"
    for name in (
        "microlensing_candidates", "sn_candidates", "early_sn_candidates", "kn_candidates", "sso_fink_candidates",
        "sso_ztf_candidates",
    )
)  # fmt: skip
#: Kilonova and early supernova Ia do not count: they go along with supernova.
CLAIMS = " + ".join(
    f"CAST(coalesce({claim}, false) AS INT)" for claim in (MICROLENSING, SUPERNOVA, IS_SSO_CANDIDATE, IS_KNOWN_SSO)
)
#: The class from the rules of the topics: from the last word to the first, since the first branch that holds is taken.
FINKCLASS = f"""(CASE
    WHEN {HAS_SIMBAD_CLASS} THEN cdsxmatch
    WHEN {CLAIMS} > 1 THEN 'Ambiguous'
    WHEN {IS_KNOWN_SSO} THEN 'Solar System MPC'
    WHEN {IS_SSO_CANDIDATE} THEN 'Solar System candidate'
    WHEN {KILONOVA} THEN 'Kilonova candidate'
    WHEN {EARLY_SUPERNOVA_IA} THEN 'Early SN Ia candidate'
    WHEN {SUPERNOVA} THEN 'SN candidate'
    WHEN {MICROLENSING} THEN 'Microlensing candidate'
    ELSE 'Unknown' END)"""
IS_THAT_CLASS = SqlRule(f"finkclass = {FINKCLASS}")


def by_rules(rows: Sequence[dict]) -> list[bool]:
    """Whether the class the topics' rules give is the one the module gives, by the evaluator of the topics."""
    view = AlertView(
        pa.table(
            {
                "finkclass": classes(rows),
                "cdsxmatch": pa.array([row["cdsxmatch"] for row in rows], pa.string()),
                **{
                    name: pa.array([row[name] for row in rows], NUMBERS[name]) for name in NUMBERS if name not in FIELDS
                },
                "candidate": pa.array(
                    [{name: row[name] for name in FIELDS} for row in rows],
                    pa.struct([(name, NUMBERS[name]) for name in FIELDS]),
                ),
            }
        )
    )
    return IS_THAT_CLASS.decide(view).tolist()


def by_sql(rows: Sequence[dict]) -> list[str]:
    """The rules of the topics, by a database: it has null, and takes NaN for it."""
    database = sqlite3.connect(":memory:")
    database.create_function(
        "startswith", 2, lambda text, start: None if text is None else text.startswith(start), deterministic=True
    )
    names = ("cdsxmatch", *NUMBERS)
    database.execute(f"CREATE TABLE candidate ({', '.join(names)})")
    database.executemany(
        f"INSERT INTO candidate VALUES ({', '.join('?' * len(names))})",  # noqa: S608 - nothing of it is foreign
        [[row[name] for name in names] for row in rows],
    )
    found = database.execute(f"SELECT {FINKCLASS} FROM candidate ORDER BY rowid").fetchall()  # noqa: S608 - as above
    return [word for (word,) in found]


LABELS = (*EXTRAGALACTIC, "Star", "QSO", "Fail 503", "Failure", "Galaxy_Candidate", "galaxy", "", None)
PROBABILITIES = st.sampled_from([0.0, 0.5, 0.51, 0.9, None, math.nan, math.inf])
ALERTS = st.fixed_dictionaries(
    {
        "cdsxmatch": st.sampled_from(LABELS) | st.just("Unknown"),
        "jd": st.sampled_from([2460000.5, 2460003.0, 2460090.5, 2460091.0, None, math.nan]),
        "jdstarthist": st.sampled_from([2460000.5, None]) | st.just(2460000.5),
        "ndethist": st.sampled_from([1, 2, 19, 20, 21, None, -999]),
        "drb": st.sampled_from([0.4, 0.5, 0.9, None, math.nan]) | st.just(0.9),
        "classtar": st.sampled_from([0.4, 0.3, 0.9, None]) | st.just(0.9),
        "roid": st.sampled_from([0, 0, 0, 1, 2, 3, None]),
        "mulens": st.sampled_from([0.0, 0.0, 0.3, None, math.nan]),
        "snn_snia_vs_nonia": PROBABILITIES,
        "snn_sn_vs_all": PROBABILITIES,
        "rf_snia_vs_nonia": PROBABILITIES,
        "rf_kn_vs_nonkn": PROBABILITIES,
    }
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ALERTS, min_size=1, max_size=40))
def test_the_column_is_what_the_filters_find(rows: list[dict]) -> None:
    # 32-bit fields of a packet are widened by both; the database has no such type
    rows = [row | {name: narrow(row[name]) for name in ("drb", "classtar")} for row in rows]
    assert classes(rows) == by_sql(rows)
    assert all(by_rules(rows))


def narrow(value: float | None) -> float | None:
    return pa.scalar(value, pa.float32()).as_py()


PLAIN = {
    "cdsxmatch": "Unknown", "jd": 2460010.5, "jdstarthist": 2460000.5, "ndethist": 5, "drb": 0.9, "classtar": 0.9,
    "roid": 0, "mulens": 0.0, "snn_snia_vs_nonia": 0.0, "snn_sn_vs_all": 0.0, "rf_snia_vs_nonia": 0.0,
    "rf_kn_vs_nonkn": 0.0,
}  # fmt: skip
SUPERNOVA = {"snn_sn_vs_all": 0.9}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "Unknown"),
        ({"mulens": 0.1}, "Microlensing candidate"),
        (SUPERNOVA, "SN candidate"),
        (SUPERNOVA | {"ndethist": 1}, "Unknown"),
        (SUPERNOVA | {"rf_snia_vs_nonia": 0.9}, "Early SN Ia candidate"),
        ({"rf_kn_vs_nonkn": 0.9, "jd": 2460004.5}, "Kilonova candidate"),
        (SUPERNOVA | {"rf_kn_vs_nonkn": 0.9, "jd": 2460004.5}, "Kilonova candidate"),
        ({"roid": 2}, "Solar System candidate"),
        ({"roid": 3}, "Solar System MPC"),
        (SUPERNOVA | {"mulens": 0.1}, "Ambiguous"),
        (SUPERNOVA | {"roid": 2}, "Ambiguous"),
        ({"mulens": 0.1, "roid": 3}, "Ambiguous"),
        (SUPERNOVA | {"mulens": 0.1, "cdsxmatch": "RRLyr"}, "RRLyr"),
        (SUPERNOVA | {"cdsxmatch": "SN"}, "SN"),
        (SUPERNOVA | {"cdsxmatch": "Galaxy"}, "SN candidate"),
        (SUPERNOVA | {"cdsxmatch": "galaxy"}, "galaxy"),
        (SUPERNOVA | {"cdsxmatch": "Fail 504"}, "SN candidate"),
        (SUPERNOVA | {"cdsxmatch": None}, "Unknown"),
        (SUPERNOVA | {"roid": None}, "Unknown"),
    ],
)
def test_rules(values: dict, word: str) -> None:
    assert classes([PLAIN | values]) == [word]


def test_an_empty_batch() -> None:
    assert classes([]) == []
