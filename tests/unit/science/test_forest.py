"""Random forests are read without scikit-learn, answer as it does, and run nothing."""

from __future__ import annotations

import dataclasses
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fink_broker.errors import DataError
from fink_broker.science.files import checked_file
from fink_broker.science.forest import CELLS, Forest, read_forest
from fink_broker.science.forest_nodes import Nodes

ensemble = pytest.importorskip("sklearn.ensemble", reason="the reference needs scikit-learn")

ROWS, FEATURES = 300, 6


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(ROWS, FEATURES))


def train(table: np.ndarray, **settings: object) -> ensemble.RandomForestClassifier:
    kinds = np.array(["CV", "ML", "VARIABLE"])[np.digitize(np.nansum(table[:, :2], axis=1), [-0.5, 0.7])]
    return ensemble.RandomForestClassifier(40, random_state=np.random.RandomState(3), **settings).fit(table, kinds)


@pytest.fixture(scope="module")
def written(
    table: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ensemble.RandomForestClassifier, Path]:
    model, path = train(table), tmp_path_factory.mktemp("forest") / "forest.pkl"
    path.write_bytes(pickle.dumps(model))
    return model, path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_it_answers_as_scikit_learn_to_the_last_bit(table: np.ndarray, tmp_path: Path, protocol: int) -> None:
    model = train(table, min_samples_leaf=protocol)
    path = tmp_path / "forest.pkl"
    path.write_bytes(pickle.dumps(model, protocol=protocol))
    forest = read_forest(path)
    assert forest.classes == tuple(model.classes_)
    assert (forest.features, forest.trees) == (FEATURES, 40)
    others = np.random.default_rng(2).normal(size=(1000, FEATURES))
    for rows in (table, others, others * 1e30, np.zeros((2, FEATURES))):
        np.testing.assert_array_equal(forest.probabilities(rows), model.predict_proba(rows))


def test_rows_on_a_threshold_go_left_as_in_scikit_learn(
    written: tuple[ensemble.RandomForestClassifier, Path],
) -> None:
    model, path = written
    forest = read_forest(path)
    near = forest.nodes.threshold[~forest.nodes.is_leaf][:3000].astype(np.float32).reshape(-1, 1)
    rows = np.concatenate([np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf)] + [near])
    rows = np.repeat(rows, FEATURES, axis=1)
    np.testing.assert_array_equal(forest.probabilities(rows), model.predict_proba(rows))


def test_missing_values_go_where_the_forest_learnt(table: np.ndarray, tmp_path: Path) -> None:
    holes = np.where(np.random.default_rng(4).random(table.shape) < 0.2, np.nan, table)
    model, path = train(holes), tmp_path / "forest.pkl"
    path.write_bytes(pickle.dumps(model))
    np.testing.assert_array_equal(read_forest(path).probabilities(holes), model.predict_proba(holes))


def test_an_answer_does_not_depend_on_the_batch(
    table: np.ndarray, written: tuple[ensemble.RandomForestClassifier, Path]
) -> None:
    forest = read_forest(written[1])
    rows = np.tile(table, (1 + CELLS // forest.trees // ROWS, 1))
    rows[7] = np.nan
    assert len(rows) * forest.trees > CELLS
    together = forest.probabilities(rows)
    order = np.random.default_rng(5).permutation(len(rows))
    np.testing.assert_array_equal(forest.probabilities(rows[order]), together[order])
    for row in range(0, len(rows), 50):
        np.testing.assert_array_equal(forest.probabilities(rows[row : row + 1]), together[row : row + 1])
    assert forest.probabilities(rows[:0]).shape == (0, 3)


def test_a_row_of_the_wrong_length_is_refused(written: tuple[ensemble.RandomForestClassifier, Path]) -> None:
    with pytest.raises(ValueError, match="6 features"):
        read_forest(written[1]).probabilities(np.zeros((1, FEATURES + 1)))


@pytest.mark.parametrize(
    ("name", "trees", "nodes", "features", "classes"),
    [
        ("models/default-model_sigmoid.obj", 1000, 117_296, 12, (False, True)),
        ("models/rf.sav", 1000, 24_684, 47, ("CONSTANT", "CV", "ML", "VARIABLE")),
        ("models/kn_diff_pc_sets.pkl", 30, 30_440, 10, (0, 1)),
    ],
)
def test_the_shipped_forests_are_whole(
    name: str, trees: int, nodes: int, features: int, classes: tuple, tmp_path: Path
) -> None:
    forest = read_forest(checked_file(name))
    assert (forest.trees, len(forest.nodes), forest.features, forest.classes) == (trees, nodes, features, classes)
    rows = np.random.default_rng(6).normal(size=(20, features))
    found = forest.probabilities(rows)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-12)
    forest.save(tmp_path / "forest.npz")
    saved = read_forest(tmp_path / "forest.npz")
    assert saved.classes == classes
    np.testing.assert_array_equal(saved.probabilities(rows), found)


class _Hostile:
    def __init__(self, function: Callable, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, getattr, np.load])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, function: Callable) -> None:
    made = tmp_path / "made"
    (tmp_path / "forest.pkl").write_bytes(pickle.dumps(_Hostile(function, f"touch {made}")))
    with pytest.raises(DataError, match="is not expected in a forest"):
        read_forest(tmp_path / "forest.pkl")
    assert not made.exists()


def test_a_hostile_pickle_cannot_change_what_names_stand_for(
    written: tuple[ensemble.RandomForestClassifier, Path], tmp_path: Path
) -> None:
    # sets __setstate__ of the class itself, by the instruction that gives an object its state
    attack = b"\x80\x02csklearn.tree._tree\nTree\n(N}U\x0c__setstate__K\x01stb."
    (tmp_path / "attack.pkl").write_bytes(attack)
    with pytest.raises(DataError):
        read_forest(tmp_path / "attack.pkl")
    assert read_forest(written[1]).trees == 40


@pytest.mark.parametrize("content", [b"", b"PK", b"text", pickle.dumps({"a": 1}), pickle.dumps(None)])
def test_anything_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "forest").write_bytes(content)
    with pytest.raises(DataError):
        read_forest(tmp_path / "forest")


def test_a_damaged_file_is_refused(written: tuple[ensemble.RandomForestClassifier, Path], tmp_path: Path) -> None:
    read_forest(written[1]).save(tmp_path / "whole.npz")
    for source in (written[1], tmp_path / "whole.npz"):
        content = source.read_bytes()
        for keep in (0.1, 0.5, 0.999):
            (tmp_path / "part").write_bytes(content[: int(keep * len(content))])
            with pytest.raises(DataError):
                read_forest(tmp_path / "part")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        read_forest(tmp_path / "nowhere")


def stump(**changes: object) -> Nodes:
    """Return one tree: a root and two leaves."""
    nodes = Nodes(
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        feature=np.array([0, -2, -2]),
        threshold=np.array([0.5, -2.0, -2.0]),
        missing_left=np.array([False, False, False]),
        fractions=np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
        starts=np.array([0, 3]),
    )
    return dataclasses.replace(nodes, **{name: np.array(value) for name, value in changes.items()})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"left": [0, -1, -1]}, "before its parent"),
        ({"left": [3, -1, -1]}, "outside its tree"),
        ({"left": [2, -1, -1]}, "no parent, or several"),
        ({"left": [1, 2, -1]}, "one child only"),
        ({"left": [1, -1]}, "same length"),
        ({"feature": [2, 0, 0]}, "feature that does not exist"),
        ({"threshold": [np.nan, 0, 0]}, "not a number"),
        ({"fractions": [[0.5, 0.5], [1, 0.5], [0, 1]]}, "add up to one"),
        ({"fractions": [[0.5, 0.5], [np.nan, 0.5], [0, 1]]}, "add up to one"),
        ({"starts": [0, 2]}, "divide the nodes"),
        ({"starts": [0, 0, 3]}, "divide the nodes"),
    ],
)
def test_nodes_that_are_no_trees_are_refused(changes: dict, reason: str, tmp_path: Path) -> None:
    assert Forest((False, True), 2, stump()).probabilities([[0.5, 0], [0.6, 0]]).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match=reason):
        Forest((False, True), 2, stump(**changes))
    forest = Forest((False, True), 2, stump())
    forest.nodes = stump(**changes)
    forest.save(tmp_path / "forest.npz")
    with pytest.raises(DataError, match=reason):
        read_forest(tmp_path / "forest.npz")
