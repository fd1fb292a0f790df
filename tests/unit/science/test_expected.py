"""The numbers of production, for every column of every real packet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from expected_science import COLUMNS, IN_TNS_SAMPLE, differences, production_config

from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import GROUPS, build_pipeline
from fink_broker.science.testing import batch_of

SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def production(shared_data: Path) -> Pipeline:
    return build_pipeline(production_config(shared_data))


@pytest.fixture(scope="module", params=list(SETS))
def compared(
    request: pytest.FixtureRequest, shared_data: Path, decoded: Callable, production: Pipeline
) -> tuple[Rows, Rows]:
    packets = decoded(SETS[request.param])
    found = production.run(batch_of(production, packets)).to_pylist(maps_as_pydicts="strict")
    found = [row | {"candid": packet["candid"]} for row, packet in zip(found, packets, strict=True)]
    table = pd.read_parquet(shared_data / "expected" / f"{request.param}.parquet").set_index("candid", drop=False)
    assert len({row["candid"] for row in found}) == len(found) == len(table)
    return found, table.loc[[row["candid"] for row in found]].to_dict("records")


def test_every_column_of_every_alert_is_as_in_production(compared: tuple[Rows, Rows]) -> None:
    found, expected = compared
    told = [line for row, wanted in zip(found, expected, strict=True) for line in differences(row, wanted)]
    assert not told, f"{len(told)} differences:\n" + "\n".join(told[:20])


def test_the_comparison_finds_a_difference(compared: tuple[Rows, Rows]) -> None:
    found, expected = compared
    for column in COLUMNS:
        if column in expected[0]:
            spoilt = found[0] | {column: "else" if isinstance(found[0][column], str) else {"else": 1.5}}
            if not isinstance(found[0][column], str | dict) and found[0][column] is not None:
                spoilt[column] = (found[0][column] or 0) + 1
            assert len(differences(spoilt, expected[0])) == 1, column


def test_the_expected_results_are_not_trivial(compared: tuple[Rows, Rows]) -> None:
    _, expected = compared
    scores = ("snn_sn_vs_all", "snn_snia_vs_nonia", "mulens", "roid", "nalerthist")
    assert all(sum(row[name] != 0 for row in expected) > 2 for name in scores)


def test_tns_names_the_one_object_of_the_sample(compared: tuple[Rows, Rows]) -> None:
    found, expected = compared
    assert all(row["tns"] == "" for row in expected)
    known = {candid: kind for candid, kind in IN_TNS_SAMPLE.items() if candid in {row["candid"] for row in found}}
    assert {row["candid"]: row["tns"] for row in found if row["tns"]} == known


def test_nothing_raised_and_each_module_is_accounted_for(compared: tuple[Rows, Rows], production: Pipeline) -> None:
    found, _ = compared
    names = [module.name for module in production.modules]
    for row in found:
        assert row["science_failed"] == []
        assert not set(row["science_skipped"]) & set(row["science_found_nothing"])
        assert list(row["science_made_with"]) == names


def test_every_position_is_labelled_by_its_own_nearest_source(shared_data: Path, pipeline: Pipeline) -> None:
    vectors = pd.read_parquet(shared_data / "expected" / "xmatch_vectors.parquet")
    columns = {"candid": vectors["id"], "ra": vectors["ra"], "dec": vectors["dec"]}
    crossmatch = Pipeline([module for module in pipeline.modules if module.name in GROUPS["crossmatch"]])
    batch = pa.StructArray.from_arrays([pa.array(values) for values in columns.values()], names=list(columns))
    found = crossmatch.run(batch)
    for column in ("gcvs", "vsx", "x3hsp", "x4lac", "tns"):
        assert found.field(column).to_pylist() == list(vectors[column]), column
    assert [dict(pairs) for pairs in found.field("mangrove").to_pylist()] == list(vectors["mangrove"])
