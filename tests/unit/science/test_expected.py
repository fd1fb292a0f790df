"""The numbers of production, for every real packet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import GROUPS

SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}
#: SN 2018lzf, the one classified transient of the sample catalogue. Production's numbers were made without TNS.
IN_TNS_SAMPLE = {1786226723415015003: "SN Ia"}


@pytest.fixture(scope="module", params=list(SETS))
def compared(
    request: pytest.FixtureRequest,
    shared_data: Path,
    decoded: Callable,
    batch_of: Callable,
    pipeline: Pipeline,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    packets = decoded(SETS[request.param])
    result = pipeline.run(batch_of(packets))
    found = pd.DataFrame({name: result.field(name).to_pylist() for name in pipeline.output_names})
    found.index = pd.Index([packet["candid"] for packet in packets], name="candid")
    expected = pd.read_parquet(shared_data / "expected" / f"{request.param}.parquet").set_index("candid")
    assert found.index.is_unique
    assert set(found.index) == set(expected.index)
    return found, expected.loc[found.index]


@pytest.mark.parametrize("column", ["cdsxmatch", "roid", "nalerthist", "gcvs", "vsx", "x3hsp", "x4lac"])
def test_labels_and_counts_are_exact(compared: tuple[pd.DataFrame, pd.DataFrame], column: str) -> None:
    found, expected = compared
    pd.testing.assert_series_equal(found[column], expected[column], check_dtype=False)


def test_tns_names_the_one_object_of_the_sample(compared: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found, expected = compared
    assert (expected["tns"] == "").all()
    known = {candid: kind for candid, kind in IN_TNS_SAMPLE.items() if candid in found.index}
    assert found["tns"][found["tns"] != ""].to_dict() == known


def test_mangrove_is_exact(compared: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found, expected = compared
    assert [dict(pairs) for pairs in found["mangrove"]] == list(expected["mangrove"])


@pytest.mark.parametrize("column", ["snn_snia_vs_nonia", "snn_sn_vs_all"])
def test_supernova_scores_agree(compared: tuple[pd.DataFrame, pd.DataFrame], column: str) -> None:
    found, expected = compared
    np.testing.assert_array_equal(found[column] == 0, expected[column] == 0)
    np.testing.assert_allclose(found[column], expected[column], rtol=0, atol=2e-6)
    assert (expected[column] > 0).sum() > 100


def test_nothing_raised(compared: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    found, _ = compared
    assert found["science_failed"].map(len).sum() == 0


def test_every_position_is_labelled_by_its_own_nearest_source(shared_data: Path, pipeline: Pipeline) -> None:
    vectors = pd.read_parquet(shared_data / "expected" / "xmatch_vectors.parquet")
    columns = {"candid": vectors["id"], "ra": vectors["ra"], "dec": vectors["dec"]}
    crossmatch = Pipeline([module for module in pipeline.modules if module.name in GROUPS["crossmatch"]])
    batch = pa.StructArray.from_arrays([pa.array(values) for values in columns.values()], names=list(columns))
    found = crossmatch.run(batch)
    for column in ("gcvs", "vsx", "x3hsp", "x4lac", "tns"):
        assert found.field(column).to_pylist() == list(vectors[column]), column
    assert [dict(pairs) for pairs in found.field("mangrove").to_pylist()] == list(vectors["mangrove"])
