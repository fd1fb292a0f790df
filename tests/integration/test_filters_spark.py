"""Topics of real alerts against decisions made by the production code."""

from __future__ import annotations

import io
from pathlib import Path

import fastavro
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from fink_broker.errors import ConfigError
from fink_broker.filters import BUILT_IN, Filter
from fink_broker.filters.engine import add_topics, apply_filters

pytestmark = pytest.mark.integration

CANDIDATE = ("jd", "jdstarthist", "drb", "classtar", "ndethist", "magpsf")
SCIENCE = ("cdsxmatch", "roid", "snn_snia_vs_nonia", "snn_sn_vs_all")
OPTIONAL = ("mulens", "rf_kn_vs_nonkn", "rf_snia_vs_nonia")

#: science.md §6: alerts per topic as shipped, retimed, with labels
COUNTS = {
    "sn_candidates": (161, 270, 158),
    "sso_ztf_candidates": (94, 94, 94),
    "sso_fink_candidates": (108, 109, 109),
    "yso_candidates": (0, 0, 43),
    "blazar": (0, 0, 45),
    "simbad_grav_candidates": (0, 0, 39),
    "unknowns": (168, 86, 38),
    "vra": (166, 166, 40),
}


@pytest.fixture(scope="module")
def candidates(unpacked) -> dict[int, dict[str, float | int | None]]:
    """Candidate fields that rules read, of the 558 packets of 2023-10-18, by candid."""
    found = {}
    for content in unpacked("ztf_public_20231018"):
        for packet in fastavro.reader(io.BytesIO(content)):
            found[packet["candid"]] = {name: packet["candidate"][name] for name in CANDIDATE}
    assert len(found) == 558
    return found


def alerts_table(candidates: dict, science: pd.DataFrame, retimed: bool) -> pa.Table:
    """Join packets and science columns to what a science table looks like."""
    rows = [dict(candidates[candid]) for candid in science["candid"]]
    if retimed:
        for row, jd, jdstarthist in zip(rows, science["jd"], science["jdstarthist"], strict=True):
            row.update(jd=jd, jdstarthist=jdstarthist)
    types = {"jd": pa.float64(), "jdstarthist": pa.float64(), "ndethist": pa.int32()}
    candidate = pa.array(rows, pa.struct([(name, types.get(name, pa.float32())) for name in CANDIDATE]))
    columns = {name: pa.array(science[name]) for name in ("candid", *SCIENCE, *OPTIONAL)}
    return pa.table({**columns, "candidate": candidate})


def decisions(alerts: DataFrame) -> dict[int, list[str]]:
    return {row.candid: row.topics for row in add_topics(alerts, list(BUILT_IN)).collect()}


@pytest.mark.parametrize("number, which", [(0, "shipped"), (1, "retimed"), (2, "labels")])
def test_topics_are_those_of_production(
    spark: SparkSession, candidates: dict, shared_data: Path, number: int, which: str
) -> None:
    expected_folder = shared_data / "expected"
    suffix = "" if which == "shipped" else "_retimed"
    science = pd.read_parquet(expected_folder / f"science_20231018{suffix}.parquet")
    wanted = pd.read_parquet(
        expected_folder / f"filters_20231018{'_labels' if which == 'labels' else suffix}.parquet"
    ).set_index("candid")
    if which == "labels":
        science["cdsxmatch"] = wanted["cdsxmatch"].loc[science["candid"]].to_numpy()
    table = alerts_table(candidates, science, retimed=which != "shipped")

    topics = decisions(spark.createDataFrame(table))

    assert len(topics) == 558
    for name in BUILT_IN:
        passed = {candid for candid, names in topics.items() if name in names}
        assert passed == set(wanted.index[wanted[name]]), name
        assert len(passed) == COUNTS[name][number], name
    order = list(BUILT_IN)
    assert all(names == sorted(names, key=order.index) for names in topics.values())


def test_absent_optional_columns_count_as_null(spark: SparkSession, candidates: dict, shared_data: Path) -> None:
    science = pd.read_parquet(shared_data / "expected" / "science_20231018.parquet")
    table = alerts_table(candidates, science, retimed=False)
    nulls = {name: pa.nulls(len(table), pa.float64()) for name in OPTIONAL}
    with_nulls = table.drop_columns(list(OPTIONAL))
    for name, column in nulls.items():
        with_nulls = with_nulls.append_column(name, column)
    expected = decisions(spark.createDataFrame(with_nulls))

    assert decisions(spark.createDataFrame(table.drop_columns(list(OPTIONAL)))) == expected
    # alerts only these three columns give a class to (kilonova, microlensing) become unknown
    assert sum("unknowns" in names for names in expected.values()) > COUNTS["unknowns"][0]


ROW = {
    "candid": 1,
    "cdsxmatch": "Unknown",
    "roid": 0,
    "snn_snia_vs_nonia": 0.9,
    "snn_sn_vs_all": 0.9,
    "candidate": {
        "jd": 2460236.5,
        "jdstarthist": 2460200.5,
        "drb": 0.9,
        "classtar": 0.9,
        "ndethist": 3,
        "magpsf": 19.9,
    },
}
SCHEMA = (
    "candid long, cdsxmatch string, roid int, snn_snia_vs_nonia double, snn_sn_vs_all double, candidate "
    "struct<jd:double, jdstarthist:double, drb:float, classtar:float, ndethist:int, magpsf:float>"
)
NAN = float("nan")


@pytest.mark.parametrize(
    "change, topics",
    [
        ({}, ["sn_candidates", "vra"]),
        ({"drb": NAN}, ["unknowns"]),
        ({"drb": None}, ["unknowns"]),
        ({"classtar": NAN}, ["unknowns", "vra"]),
        ({"magpsf": NAN}, ["sn_candidates"]),
        ({"jdstarthist": NAN}, ["unknowns", "vra"]),
        ({"jd": None}, ["unknowns", "vra"]),
        ({"ndethist": None}, ["unknowns", "vra"]),
        ({"snn_snia_vs_nonia": NAN}, ["sn_candidates", "vra"]),
        ({"snn_snia_vs_nonia": None, "snn_sn_vs_all": NAN}, ["unknowns", "vra"]),
        ({"roid": None}, ["unknowns"]),
        ({"cdsxmatch": None}, ["unknowns"]),
        ({"cdsxmatch": "Star"}, []),
        ({"cdsxmatch": "Galaxy_of_some_kind"}, ["unknowns"]),
        ({"cdsxmatch": "Fail 504"}, ["sn_candidates"]),
        ({"cdsxmatch": "Fail 500"}, ["unknowns"]),
        ({"cdsxmatch": "Candidate_TTau*"}, ["yso_candidates"]),
        ({"drb": 0.5}, ["unknowns"]),
        ({"jdstarthist": 2460146.5}, ["sn_candidates", "vra"]),  # age of 90 days exactly
        ({"jdstarthist": 2460146.4}, ["unknowns", "vra"]),
        ({"roid": 2}, ["sn_candidates", "sso_fink_candidates", "vra"]),
        ({"roid": 3}, ["sso_ztf_candidates"]),
        ({"candidate": None}, ["unknowns"]),
    ],
)
def test_missing_values_and_edges(spark: SparkSession, change: dict, topics: list[str]) -> None:
    row = {**ROW, "candidate": dict(ROW["candidate"])}
    for name, value in change.items():
        (row if name in row else row["candidate"])[name] = value
    alerts = spark.createDataFrame([row], SCHEMA)
    added = add_topics(alerts, list(BUILT_IN))
    assert added.columns == [*alerts.columns, "topics"]
    result = added.collect()[0]
    assert result.topics == topics
    assert (result.candidate is None) == (row["candidate"] is None), "the alert itself stays as it was"


def test_a_column_that_is_not_there_is_named_with_near_names(spark: SparkSession) -> None:
    alerts = spark.createDataFrame([ROW], SCHEMA)
    wrong = Filter("wrong", "candidate.clastar > 0.4", "", "", "1")
    with pytest.raises(ConfigError, match=r"'wrong'.*'candidate\.clastar'.*'candidate\.classtar'"):
        apply_filters(alerts, [wrong])
    with pytest.raises(ConfigError, match=r"'cdsmatch'.*'cdsxmatch'"):
        apply_filters(alerts, [Filter("wrong", "cdsmatch = 'SN'", "", "", "1")])
    with pytest.raises(ConfigError, match=r"'wrong' is no Spark SQL"):
        apply_filters(alerts, [Filter("wrong", "candidate.drb >> > 1", "", "", "1")])


def test_lists_and_whole_structs_lose_nan_too(spark: SparkSession) -> None:
    alerts = spark.createDataFrame(
        [(1, [1.0, NAN], (NAN, 2))], "candid long, mags array<double>, band struct<mag:double, n:int>"
    )
    rules = {
        "in_list": "exists(mags, mag -> mag > 1)",
        "in_struct": "struct(band).band.mag > 1 OR band.n > 2",
        "plain": "array_max(mags) = 1 AND band.n = 2",
    }
    filters = [Filter(name, rule, "", "", "1") for name, rule in rules.items()]
    assert apply_filters(alerts, filters).collect()[0].topics == ["plain"]
