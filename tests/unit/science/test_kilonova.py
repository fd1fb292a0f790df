"""The kilonova module: production's numbers with production's files, our own forest, and files that are none."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.optimize import lsq_linear

from fink_broker.alert.batch import struct_from_packets
from fink_broker.config.model import Config, ScienceConfig
from fink_broker.errors import ConfigError, DataError, FinkError
from fink_broker.science import kilonova
from fink_broker.science.batch import AlertBatch
from fink_broker.science.files import checked_file
from fink_broker.science.forest import read_forest
from fink_broker.science.kilonova.fit import STEP_DAYS, band_features, bounded_minimum
from fink_broker.science.kilonova.models import OWN_COMPONENTS, OWN_FOREST, read_components
from fink_broker.science.module import SKIPPED, Module

SETS = {
    "20231018": "ztf_public_20231018",
    "20231018_retimed": "ztf_public_20231018_retimed",
    "real": "ztf_real_packets",
}
Packet = dict[str, Any]


def module_with(forest: Path | str = "", components: Path | str = "") -> Module:
    science = ScienceConfig(kilonova_forest=str(forest), kilonova_components=str(components))
    return kilonova.build(Config(science=science))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def module() -> Module:
    return module_with()


@pytest.fixture(scope="module")
def production(shared_data: Path) -> Module:
    folder = shared_data / "models" / "kilonova"
    return module_with(folder / "partial.pkl", folder / "interpolated_mixed_pcs.npy")


def batch_of(packets: list[Packet], labels: list[str] | None = None) -> AlertBatch:
    needs = module_with().needs
    candidate = sorted({*needs.candidate, *needs.history})
    struct = struct_from_packets(packets, ["candid"], candidate, sorted(needs.history))
    column = pa.array(labels if labels is not None else ["Unknown"] * len(packets), pa.string())
    return AlertBatch.from_struct(struct).with_columns({"cdsxmatch": column})


def scores(module: Module, batch: AlertBatch) -> list[float | None]:
    return module.compute(batch)[kilonova.COLUMN].to_pylist()


def expected_rows(shared_data: Path, name: str, packets: list[Packet]) -> pd.DataFrame:
    table = pd.read_parquet(shared_data / "expected" / f"{name}.parquet").set_index("candid")
    return table.loc[[packet["candid"] for packet in packets]]


@pytest.mark.parametrize("name", ["20231018", "20231018_retimed"])
@pytest.mark.parametrize("column", ["kn_features", "kn_features_wheelpcs"])
def test_features_are_those_of_production(shared_data: Path, decoded: Callable, name: str, column: str) -> None:
    packets = decoded(SETS[name])
    expected = expected_rows(shared_data, f"features_{name}", packets)[column]
    batch = batch_of(packets)
    chosen = kilonova.eligible(batch)
    np.testing.assert_array_equal(chosen, expected.notna())
    own = shared_data / "models" / "kilonova" / "interpolated_mixed_pcs.npy"
    components = read_components(own if column == "kn_features" else checked_file(OWN_COMPONENTS))
    found = kilonova.features_of(batch, chosen, components)
    wanted = np.stack(list(expected.dropna()))
    assert len(wanted) > 70
    np.testing.assert_array_equal(found[:, [0, 5]] == 0, wanted[:, [0, 5]] == 0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", list(SETS))
def test_scores_are_those_of_production(shared_data: Path, decoded: Callable, production: Module, name: str) -> None:
    packets = decoded(SETS[name])
    expected = expected_rows(shared_data, f"science_{name}", packets)
    found = scores(production, batch_of(packets, list(expected["cdsxmatch"])))
    np.testing.assert_array_equal(np.array(found) == 0, expected[kilonova.COLUMN] == 0)
    # 0.04 would be allowed: a feature off by 1e-6 may cross a threshold of one tree of thirty
    np.testing.assert_allclose(found, expected[kilonova.COLUMN], rtol=0, atol=1e-9)
    assert np.count_nonzero(found) > 20


def test_our_forest_seldom_calls_a_real_alert_a_kilonova(decoded: Callable, module: Module) -> None:
    packets = [*decoded(SETS["20231018_retimed"]), *decoded(SETS["real"])]
    found = np.array(scores(module, batch_of(packets)))
    assert np.count_nonzero(found) > 10
    assert np.count_nonzero(found > 0.5) <= 2


def test_our_forest_has_the_promised_shape(module: Module) -> None:
    forest = read_forest(OWN_FOREST)
    assert (forest.trees, forest.features, tuple(forest.classes)) == (30, 10, (False, True))
    assert OWN_FOREST.stat().st_size < 1e6
    assert module.digests() == module_with(OWN_FOREST, checked_file(OWN_COMPONENTS)).digests()
    assert all(len(digest) == 64 for digest in module.digests())


def test_digests_are_of_the_files_in_use(production: Module, module: Module) -> None:
    assert not set(production.digests()) & set(module.digests())
    assert production.digests()[1] == "0e11e20ef09ff3c70fc255688845f28dd5a95184a5cd4e29d3213fa69e393002"


# --- the fit


def test_the_bounded_minimum_is_that_of_scipy() -> None:
    random = np.random.default_rng(1)
    lower, upper = np.array([0.0, -2.0, -2.0]), np.array([2.0, 2.0, 2.0])
    tables = random.normal(size=(300, 6, 3)) * random.choice([0.3, 1.0, 5.0], size=(300, 1, 1))
    targets = random.normal(size=(300, 6)) * 4
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    matrix = np.array([[(t[:, i] * t[:, j]).sum() for t in tables] for i, j in pairs])
    vector = np.einsum("npk,np->kn", tables, targets)
    found, value = bounded_minimum(matrix, vector, lower, upper)
    wanted = np.array([lsq_linear(t, y, (lower, upper), method="bvls").x for t, y in zip(tables, targets, strict=True)])
    np.testing.assert_allclose(found.T, wanted, atol=1e-7)
    on_bound = np.isclose(wanted, lower) | np.isclose(wanted, upper)
    assert {0, 1, 2, 3} == set(on_bound.sum(axis=1))
    residual = np.einsum("npk,kn->np", tables, found) - targets
    np.testing.assert_allclose(2 * value + (targets**2).sum(axis=1), (residual**2).sum(axis=1), rtol=1e-9)


def test_numbers_that_overflow_have_no_minimum() -> None:
    with np.errstate(all="ignore"):
        found, value = bounded_minimum(np.full((6, 1), np.inf), np.ones((3, 1)), np.full(3, -2.0), np.full(3, 2.0))
    assert np.isnan(found).all()
    assert np.isnan(value).all()


def test_a_sum_of_components_is_found_again() -> None:
    components = read_components(checked_file(OWN_COMPONENTS))
    index = np.array([196, 200, 204, 208, 216])
    shape = components[0, index]
    flux = 5000.0 * shape / shape.max()
    days = (index - index[np.argmax(flux)]) * STEP_DAYS
    points = np.stack([2460000.0 + days, flux, np.full(5, 1.0)])
    ((c1, c2, c3, residuo, top),) = band_features(np.zeros(5, dtype=int), 1, points, components)
    assert top == 5000.0
    assert residuo < 0.3 * 5000  # the grid begins at the brightest point, so that the shape is not quite its own
    assert abs(c1) <= 2
    assert max(abs(c2), abs(c3)) <= 2


def test_a_faint_or_short_band_is_zero() -> None:
    components = read_components(checked_file(OWN_COMPONENTS))
    faint = np.array([[0.0, 1.0], [200.0, 150.0], [1.0, 1.0]])
    short = np.array([[0.0, 50.0], [900.0, 800.0], [1.0, 1.0]])
    for points in (faint, short):
        assert not band_features(np.zeros(2, dtype=int), 2, points, components).any()


# --- batches and hostile light curves


def test_an_alert_has_the_same_bits_in_any_company(decoded: Callable, module: Module) -> None:
    batch = batch_of(decoded(SETS["20231018_retimed"]))
    together = scores(module, batch)
    chosen = np.flatnonzero(kilonova.eligible(batch))
    for row in chosen.tolist():
        assert scores(module, batch.slice(row, row + 1)) == together[row : row + 1]
    components = read_components(checked_file(OWN_COMPONENTS))
    all_features = kilonova.features_of(batch, np.ones(len(batch), dtype=bool), components)
    random = np.random.default_rng(0)
    for size in (1, 2, 3, 17, 200, 900):
        rows = random.integers(0, len(batch), size)
        mixed = AlertBatch({name: column.take(pa.array(rows)) for name, column in batch.columns.items()}, size)
        features = kilonova.features_of(mixed, np.ones(size, dtype=bool), components)
        assert features.tobytes() == all_features[rows].tobytes()
        assert scores(module, mixed) == [together[row] for row in rows]


def alert(points: list[tuple[Any, Any, Any, Any]], **candidate: Any) -> Packet:
    """Return a packet with these points (jd, fid, magpsf, sigmapsf), the last one its own."""
    rows = [dict(zip(("jd", "fid", "magpsf", "sigmapsf"), point, strict=True)) for point in points]
    own = {"jdstarthist": 2460000.0, "ndethist": 4, **rows[-1], **candidate}
    return {"candid": 1, "candidate": own, "prv_candidates": rows[:-1] or None}


GOOD = [(2460000.0 + k, 1 + k % 2, 18.0 + 0.3 * k, 0.05) for k in range(6)]
HOSTILE = {
    "one point": GOOD[:1],
    "no magnitudes": [(2460000.0 + k, 1, None, None) for k in range(5)],
    "repeated times": [(2460000.0, 1 + k % 2, 18.0, 0.05) for k in range(6)],
    "all equal": [GOOD[0]] * 6,
    "i band only": [(jd, 3, magnitude, error) for jd, _, magnitude, error in GOOD],
    "no band": [(jd, fid, m, e) for (jd, _, m, e), fid in zip(GOOD, (None, 0, -999, None, 0, 1), strict=True)],
    "unsorted": GOOD[::-1],
    "a thousand": [(2460000.0 + k / 100, 1 + k % 2, 18.0 + (k % 7) / 10, 0.05) for k in range(1000)],
    "no errors": [(jd, fid, magnitude, 0.0) for jd, fid, magnitude, _ in GOOD],
    "no times": [(None, fid, magnitude, error) for _, fid, magnitude, error in GOOD[:-1]] + GOOD[-1:],
    **{
        f"{field} {value}": [tuple(value if k == field else x for k, x in enumerate(point)) for point in GOOD]
        for field in (0, 2, 3)
        for value in (math.nan, math.inf, -math.inf, 0.0, -999.0, 1e30, -1e30, 1e-30, 1e-38)
    },
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_light_curves_have_a_result(module: Module, name: str) -> None:
    packets = [alert(HOSTILE[name]), alert(GOOD)]
    batch = batch_of(packets)
    found = scores(module, batch)
    assert found[0] is None or 0 <= found[0] <= 1
    assert found[1] == scores(module, batch_of([alert(GOOD)]))[0]
    features = kilonova.features_of(batch, np.ones(2, dtype=bool), read_components(checked_file(OWN_COMPONENTS)))
    assert np.isfinite(features[1]).all()
    assert features[1].all()


def test_numbers_beyond_all_bounds_are_null(module: Module) -> None:
    # so bright that the flux is finite and the square of it over its error is not
    beyond = [(jd, fid, -500.0, 1e-37) for jd, fid, _, _ in GOOD[:4]] + [(GOOD[4][0], 1, 690.0, 1e-37)]
    (score,) = scores(module, batch_of([alert(beyond)]))
    assert score is None


@pytest.mark.parametrize(
    "changed",
    [{"ndethist": 21}, {"ndethist": None}, *({"jdstarthist": jd} for jd in (2459985.0, None, -math.inf))],
)
def test_the_cuts_leave_out(module: Module, changed: Packet) -> None:
    batch = batch_of([alert(GOOD), alert(GOOD, **changed)])
    found = module.compute(batch)
    assert found[SKIPPED].tolist() == [False, True]
    assert found[kilonova.COLUMN].to_pylist()[1] == 0


@pytest.mark.parametrize(("label", "kept"), [("Galaxy", True), ("Fail 504", True), ("Star", False), (None, False)])
def test_only_extragalactic_or_unknown_objects_are_looked_at(module: Module, label: str | None, kept: bool) -> None:
    found = module.compute(batch_of([alert(GOOD)], [label]))
    assert found[SKIPPED].tolist() == [not kept]


def test_one_band_alone_is_looked_at_and_found_nothing_in(module: Module) -> None:
    found = module.compute(batch_of([alert([(jd, 1, m, e) for jd, _, m, e in GOOD])]))
    assert found[kilonova.COLUMN].to_pylist() == [0]
    assert found[SKIPPED].tolist() == [False]


def test_an_empty_batch(module: Module) -> None:
    assert scores(module, batch_of([])) == []


def test_the_packet_is_not_changed(module: Module) -> None:
    batch = batch_of([alert(GOOD)])
    before = dict(batch.columns)
    scores(module, batch)
    assert batch.columns == before


# --- the files


def test_components_from_csv_with_or_without_names(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 401))
    np.save(tmp_path / "c.npy", values)
    rows = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    (tmp_path / "bare.csv").write_text(rows)
    (tmp_path / "named.csv").write_text(",".join(map(str, range(401))) + "\n" + rows + "\n")
    for name in ("c.npy", "bare.csv", "named.csv"):
        np.testing.assert_array_equal(read_components(tmp_path / name), values)


def spoil(folder: Path) -> dict[str, Path]:
    """Write files that are no components."""
    np.save(folder / "shape.npy", np.zeros((3, 400)))
    np.save(folder / "nan.npy", np.full((3, 401), np.nan))
    np.save(folder / "text.npy", np.full((3, 401), "x"))
    np.save(folder / "objects.npy", np.full((3, 401), None, dtype=object))
    (folder / "empty.npy").write_bytes(b"")
    (folder / "text.npy.npy").write_bytes(b"hello")
    (folder / "ragged.csv").write_text("1,2\n3\n4,5,6\n")
    (folder / "words.csv").write_text("a,b\nc,d\ne,f\n")
    (folder / "empty.csv").write_text("")
    (folder / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (folder / "folder.csv").mkdir()
    return {path.name: path for path in folder.iterdir()} | {"missing": folder / "missing.npy"}


@pytest.mark.parametrize(
    "name",
    [
        *("shape.npy", "nan.npy", "text.npy", "objects.npy", "empty.npy", "text.npy.npy", "ragged.csv", "words.csv"),
        *("empty.csv", "binary.csv", "folder.csv", "missing"),
    ],
)
def test_wrong_components_are_one_sentence(tmp_path: Path, name: str) -> None:
    path = spoil(tmp_path)[name]
    with pytest.raises(ConfigError) as raised:
        module_with(components=path).prepare()
    assert str(path) in raised.value.message
    assert "science.kilonova_components" in raised.value.hint
    assert raised.value.message.count("\n") == 0


def test_a_wrong_forest_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.pkl").write_text("hello")
    with pytest.raises(FinkError, match=r"text\.pkl"):
        module_with(tmp_path / "text.pkl").prepare()
    with pytest.raises(ConfigError, match="47 features"):
        module_with(checked_file("models/rf.sav")).prepare()
    missing = module_with(tmp_path / "gone.npz")
    for ask in (missing.prepare, missing.digests):
        with pytest.raises(ConfigError, match=r"gone\.npz"):
            ask()


def test_a_forest_that_is_missing_from_the_package_is_the_installations_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fink_broker.science.kilonova.models.OWN_FOREST", tmp_path / "forest.npz")
    with pytest.raises(DataError, match="install fink-broker again"):
        module_with().prepare()
