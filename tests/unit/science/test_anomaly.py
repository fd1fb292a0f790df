"""Anomaly scores: production's numbers, the two rules, and archives that are no model."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fink_broker.config.model import Config, ScienceConfig
from fink_broker.errors import ConfigError, DataError
from fink_broker.science import anomaly, features
from fink_broker.science.anomaly.models import WHEEL_MODELS, OnnxForest, load_models, read_forests
from fink_broker.science.anomaly.rules import (
    FEATURES_18,
    FEATURES_25,
    MEANS_G,
    MEANS_R,
    BandFeatures,
    mean_of_both,
    read_means,
    smallest_of_complete,
)
from fink_broker.science.batch import AlertBatch
from fink_broker.science.features import COLUMNS, FEATURES, FEATURES_TYPE
from fink_broker.science.files import checked_file
from fink_broker.science.module import SKIPPED, Module
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import batch_of, check_pipeline

SETS = {
    "science_real": "ztf_real_packets",
    "science_20231018": "ztf_public_20231018",
    "science_20231018_retimed": "ztf_public_20231018_retimed",
}
SHIPPED = [anomaly.column_name(suffix) for suffix in WHEEL_MODELS]


def module_with(**further: Path | str) -> Module:
    paths = {suffix: str(path) for suffix, path in further.items()}
    return anomaly.build(Config(science=ScienceConfig(anomaly_models=paths)))


def pipeline_with(**further: Path | str) -> Pipeline:
    return Pipeline([features.build(Config()), module_with(**further)])


# --- a small ONNX file, byte by byte: the least or the largest of the features of each row ---


def field(number: int, content: bytes | str | int) -> bytes:
    """Return a field of a protobuf message: a number, or anything with a length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def onnx_file(operator: str, width: int, *, over: int = 1, element: int = 1) -> bytes:
    """Return a model that reduces a table over one of its axes (operator ReduceMin or ReduceMax)."""

    def table(name: str, columns: int) -> bytes:
        shape = field(1, field(2, "rows")) + field(1, field(1, columns))
        return field(1, name) + field(2, field(1, field(1, element) + field(2, shape)))

    axes = field(1, "axes") + field(8, over) + field(20, 7)  # attribute of type INTS
    node = field(1, "X") + field(2, "score") + field(4, operator) + field(5, axes)
    graph = field(1, node) + field(2, "graph") + field(11, table("X", width)) + field(12, table("score", 1))
    return field(1, 6) + field(7, graph) + field(8, field(1, "") + field(2, 11))


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.onnx", content)
    return path


def model_archive(path: Path, width: int) -> Path:
    return archive(path, forest_g_x=onnx_file("ReduceMin", width), forest_r_x=onnx_file("ReduceMax", width))


# --- production's numbers ---


@pytest.mark.parametrize("expected_set", SETS)
def test_scores_are_those_of_production(decoded: Callable, shared_data: Path, expected_set: str) -> None:
    pipeline = pipeline_with()
    packets = decoded(SETS[expected_set])
    table = pd.read_parquet(shared_data / "expected" / f"{expected_set}.parquet").set_index("candid")
    table = table.loc[[packet["candid"] for packet in packets]]
    result = pipeline.run(batch_of(pipeline, packets))
    for column in SHIPPED:
        found = np.array(result.field(column).to_pylist(), dtype=float)
        np.testing.assert_allclose(found, table[column], rtol=0, atol=2e-7)
        np.testing.assert_array_equal(found == 0, table[column] == 0)
        skipped = ["anomaly" in names for names in result.field("science_skipped").to_pylist()]
        assert skipped == (table[column] == 0).tolist()
        assert 0 < sum(skipped) < 30


def test_each_alert_is_on_its_own(decoded: Callable, tmp_path: Path) -> None:
    further = {str(width): model_archive(tmp_path / f"{width}.zip", width) for width in (18, 25)}
    check_pipeline(pipeline_with(**further), decoded("ztf_public_20231018_retimed")[:150])


@pytest.mark.parametrize("suffix", ["", "beta"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_forest_gives_the_same_bits_in_batches_of_any_size(suffix: str, which: int) -> None:
    forest = OnnxForest(read_forests(checked_file(WHEEL_MODELS[suffix]).read_bytes())[which])
    random = np.random.default_rng(1)
    rows = random.normal(0, 3, (1000, 18)).astype(np.float32)
    rows[::50], rows[7::50] = np.inf, 1e30
    together = forest.scores(rows)
    for size in (1, 2, 3, 7, 50, 128, 129, 500):
        parts = [forest.scores(rows[start : start + size]) for start in range(0, len(rows), size)]
        assert np.concatenate(parts).tobytes() == together.tobytes(), size
    assert len(np.unique(together)) > 100


def test_equal_models_are_loaded_and_scored_once(tmp_path: Path) -> None:
    copied = tmp_path / "copy.zip"
    contents = read_forests(checked_file(WHEEL_MODELS[""]).read_bytes())
    archive(copied, forest_g_new=contents[0], forest_r_new=contents[1])  # other bytes, but the same forests
    models = load_models((("copy", str(copied)),))
    assert len(models.distinct) == 2
    assert models.index_of == {"": 0, "beta": 1, "anais": 1, "emille": 1, "julien": 1, "maria": 1, "copy": 0}
    assert models.digests[-1] == hashlib.sha256(copied.read_bytes()).hexdigest()
    assert len(module_with(copy=copied).digests()) == len(WHEEL_MODELS) + 3


# --- the rules ---


class SumForest:
    """A stand-in for a forest that keeps what it is asked."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.asked: list[np.ndarray] = []

    def scores(self, rows: np.ndarray) -> np.ndarray:
        assert rows.dtype == np.float32
        self.asked.append(rows)
        return (self.weight * rows.sum(axis=1)).astype(np.float32)


def band(*values: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return features that are all of one value for each alert; None: the alert does not have the band."""
    present = np.array([value is not None for value in values])
    rows = np.array([np.full(len(FEATURES), np.nan if value is None else value) for value in values])
    return rows, present


def both(g: tuple[np.ndarray, np.ndarray], r: tuple[np.ndarray, np.ndarray]) -> BandFeatures:
    return BandFeatures(g[0], g[1], r[0], r[1])


def test_18_features_forests_change_bands_and_give_their_mean() -> None:
    forest_g, forest_r = SumForest(1.0), SumForest(10.0)
    scores, scored = mean_of_both(forest_g, forest_r, both(band(1.0), band(2.0)))
    assert scores.tolist() == [(10 * 18 * 1 + 18 * 2) / 2]
    assert scored.tolist() == [True]


def test_18_features_are_replaced_by_the_means_of_the_forest_when_missing() -> None:
    g, r = band(1.0, np.nan, 5.0), band(2.0, 3.0, np.nan)
    g[0][0, FEATURES.index("cusum")] = np.nan
    forest_g, forest_r = SumForest(1.0), SumForest(1.0)
    scores, scored = mean_of_both(forest_g, forest_r, both(g, r))
    means_g, means_r = read_means(MEANS_G).astype(np.float32), read_means(MEANS_R).astype(np.float32)
    cusum = FEATURES_18.index("cusum")
    (asked_r,), (asked_g,) = forest_r.asked, forest_g.asked
    assert asked_r[0, cusum] == means_r[cusum] == np.float32(0.3353034770643174)
    assert np.delete(asked_r[0], cusum).tolist() == [1.0] * 17
    np.testing.assert_array_equal(asked_r[1], means_r)
    np.testing.assert_array_equal(asked_g[2], means_g)
    assert scored.all()
    assert (scores != 0).all()


def test_18_features_without_both_bands_or_any_number_score_0() -> None:
    g, r = band(None, 1.0, np.nan, None), band(1.0, None, np.nan, None)
    # of the features that are known of a single point, a mean, the model takes none
    g[0][2, FEATURES.index("mean")] = 18.0
    scores, scored = mean_of_both(SumForest(1.0), SumForest(1.0), both(g, r))
    assert scores.tolist() == [0.0] * 4
    assert not scored.any()


def test_25_features_give_the_smaller_score_of_the_complete_bands() -> None:
    g, r = band(1.0, 1.0, None, np.nan, 4.0), band(2.0, 0.5, 2.0, None, np.nan)
    g[0][:, FEATURES.index("mean_variance")] = np.nan  # the one feature these models do not take
    r[0][1, FEATURES.index("skew")] = np.nan
    scores, scored = smallest_of_complete(SumForest(1.0), SumForest(1.0), both(g, r))
    assert scores[:3].tolist() == [25.0, 25.0, 50.0]
    assert np.isnan(scores[3])
    assert scores[4] == 100.0
    assert scored.tolist() == [True, True, True, False, True]


def test_25_features_forests_change_bands() -> None:
    scores, _ = smallest_of_complete(SumForest(-1.0), SumForest(1.0), both(band(1.0), band(2.0)))
    assert scores.tolist() == [-50.0]  # forest "g" looks at band r


def test_features_come_in_the_order_of_the_models() -> None:
    assert len(FEATURES_18) == 18
    assert len(FEATURES_25) == 25
    assert set(FEATURES) - set(FEATURES_25) == {"mean_variance"}
    numbers = np.arange(len(FEATURES), dtype=float)[None]
    forest = SumForest(1.0)
    present = np.array([True])
    smallest_of_complete(forest, forest, BandFeatures(numbers, present, numbers, present))
    assert forest.asked[0][0].tolist() == [FEATURES.index(name) for name in FEATURES_25]


def test_the_means_are_those_that_ship() -> None:
    assert read_means(MEANS_G)[FEATURES_18.index("median")] == 16.09982754358941
    assert read_means(MEANS_R)[FEATURES_18.index("stetson_K")] == 0.8580286805997064


# --- models of the operator ---


def structs(rows: np.ndarray, present: np.ndarray) -> pa.StructArray:
    return pa.StructArray.from_arrays(
        [pa.array(column) for column in rows.T.copy()], fields=list(FEATURES_TYPE), mask=pa.array(~present)
    )


def test_a_further_model_has_its_own_column_and_the_rule_of_its_inputs(tmp_path: Path) -> None:
    module = module_with(
        of_18=model_archive(tmp_path / "18.zip", 18),
        of_25=model_archive(tmp_path / "25.zip", 25),
        same=checked_file(WHEEL_MODELS["beta"]),
    )
    assert [column.name for column in module.outputs][6:] == [
        "anomaly_score_of_18", "anomaly_score_of_25", "anomaly_score_same",
    ]  # fmt: skip
    g, r = band(3.0, 3.0, np.nan, None), band(-2.0, None, 1.0, None)
    g[0][0, FEATURES.index("kurtosis")] = 7.0
    batch = AlertBatch(dict(zip(COLUMNS, (structs(*g), structs(*r)), strict=True)), 4)
    found = module.compute(batch)
    # forest_r, the largest, looks at band g; forest_g, the least, at band r
    assert found["anomaly_score_of_18"].to_pylist()[0] == (7.0 - 2.0) / 2
    assert found["anomaly_score_of_18"].to_pylist()[1::2] == [0.0, 0.0]
    assert found["anomaly_score_of_25"].to_pylist() == [-2.0, 3.0, 1.0, None]
    assert found["anomaly_score_same"].equals(found["anomaly_score_beta"])
    assert found[SKIPPED].tolist() == [False, False, False, True]


def test_features_that_are_all_null_are_no_features() -> None:
    nulls = AlertBatch({column: pa.nulls(3, FEATURES_TYPE) for column in COLUMNS}, 3)
    found = module_with().compute(nulls)
    assert all(found[column].to_pylist() == [0.0] * 3 for column in SHIPPED)
    assert found[SKIPPED].all()


def encrypted(path: Path) -> Path:
    """Return an archive whose members claim to need a password."""
    content = bytearray(archive(path, forest_g=b"x", forest_r=b"x").read_bytes())
    for signature, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := content.find(signature, start)) >= 0:
            content[start + flag] |= 1
            start += 4
    path.write_bytes(content)
    return path


def bad_archive(path: Path, kind: str) -> Path:
    fine, other = onnx_file("ReduceMax", 25), onnx_file("ReduceMax", 18)
    members: dict[str, dict[str, bytes]] = {
        "one forest": {"forest_g": fine},
        "two of a kind": {"forest_g1": fine, "forest_g2": fine, "forest_r": fine},
        "garbage": {"forest_g": b"garbage", "forest_r": b"garbage"},
        "nothing": {"forest_g": b"", "forest_r": b""},
        "7 features": {"forest_g": onnx_file("ReduceMax", 7), "forest_r": onnx_file("ReduceMax", 7)},
        "unequal": {"forest_g": fine, "forest_r": other},
        "one score for all": dict.fromkeys(("forest_g", "forest_r"), onnx_file("ReduceMax", 25, over=0)),
        "64 bit": dict.fromkeys(("forest_g", "forest_r"), onnx_file("ReduceMax", 25, element=11)),
    }
    if kind in members:
        return archive(path, **members[kind])
    if kind == "password":
        return encrypted(path)
    if kind == "no zip":
        path.write_bytes(b"\x89PNG")
    return path


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("absent", r"cannot be read: No such file"),
        ("no zip", r"it is no zip archive"),
        ("password", r"it is no zip archive that can be read"),
        ("one forest", r"holds 0 files forest_r\*.onnx, not one"),
        ("two of a kind", r"holds 2 files forest_g\*.onnx, not one"),
        ("garbage", r"no model in ONNX"),
        ("nothing", r"no model in ONNX"),
        ("7 features", r"wants 7 features, not 18 or 25"),
        ("unequal", r"want 25 and 18 features"),
        ("one score for all", r"one 32-bit score a row"),
        ("64 bit", r"no table of 32-bit numbers"),
    ],
)
def test_a_bad_model_is_one_clear_sentence_when_it_is_loaded(
    tmp_path: Path, kind: str, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    module = module_with(mine=bad_archive(tmp_path / "model.zip", kind))
    with pytest.raises(DataError, match=reason) as raised:
        module.prepare()
    message = str(raised.value)
    assert "'mine'" in message
    assert str(tmp_path / "model.zip") in message
    assert "science.anomaly_models" in message
    assert capfd.readouterr().err == ""  # onnxruntime is silent


@pytest.mark.parametrize("suffix", ["", "beta", "with space", "a-b", "ä"])
def test_a_suffix_that_cannot_be_a_column_of_its_own_is_refused(suffix: str) -> None:
    with pytest.raises(ConfigError, match=r"science\.anomaly_models names the model"):
        module_with(**{suffix: "model.zip"})


def test_in_an_archive_folders_do_not_matter() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("models/forest_g_AAD.onnx", b"g")
        opened.writestr("models/forest_r_AAD.onnx", b"r")
        opened.writestr("README.txt", b"")
    assert read_forests(content.getvalue()) == (b"g", b"r")
