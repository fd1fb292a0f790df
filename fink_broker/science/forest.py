"""Random forest classifiers: read from a file, asked for probabilities (Breiman 2001, Machine Learning 45, 5)."""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fink_broker.errors import DataError
from fink_broker.science.files import checked_file
from fink_broker.science.forest_nodes import Class, Nodes, check
from fink_broker.science.forest_pickle import forest_from_pickle

#: Pairs of row and tree followed at a time: their numbers stay in the cache of the processor, and memory is bounded.
CELLS = 2**16

#: Names of the arrays in a file written by `Forest.save`.
_ARRAYS = ("left", "right", "feature", "threshold", "missing_left", "fractions", "starts")


class Forest:
    """A random forest classifier.

    Parameters
    ----------
    classes : tuple
        The classes, in the order of the columns of `probabilities`.
    features : int
        Numbers in a row.
    nodes : Nodes
        The nodes of all trees.

    Raises
    ------
    ValueError
        If the nodes do not form trees.
    """

    def __init__(self, classes: tuple[Class, ...], features: int, nodes: Nodes) -> None:
        check(nodes, features, len(classes))
        self.classes = classes
        self.features = features
        self.nodes = nodes
        self._lay_out()

    @property
    def trees(self) -> int:
        """Number of trees."""
        return self.nodes.trees

    def _lay_out(self) -> None:
        """Put the nodes in the order they are followed in: the roots, then the two children of each node together.

        Then one number says where the children are, and the outcome of the comparison is added to it. The numbers
        compared are 32 bit, so the threshold may be rounded down to 32 bit: x ≤ threshold comes out the same.
        """
        nodes, trees = self.nodes, self.nodes.trees
        splits = np.flatnonzero(~nodes.is_leaf)
        first = np.repeat(nodes.starts[:-1], np.diff(nodes.starts))[splits]
        place = np.empty(len(nodes), dtype=np.intp)
        place[nodes.starts[:-1]] = np.arange(trees)
        place[nodes.left[splits] + first] = trees + 2 * np.arange(len(splits))
        place[nodes.right[splits] + first] = trees + 2 * np.arange(len(splits)) + 1
        source = np.argsort(place)
        self._feature = np.where(nodes.is_leaf, -1, nodes.feature)[source].astype(np.int32)
        self._threshold = _rounded_down(nodes.threshold[source])
        self._missing_left = nodes.missing_left[source]
        self._fractions = np.ascontiguousarray(nodes.fractions[source].T)
        self._left = np.zeros(len(nodes), dtype=np.int32)
        self._left[place[splits]] = place[nodes.left[splits] + first]

    def probabilities(self, rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of each class: the mean over trees of the class fractions in the leaf reached.

        The numbers are cast to 32 bit and a row goes left where x ≤ threshold, as scikit-learn does. The answer for
        a row does not depend on the other rows, to the last bit: trees are added one after the other.

        Parameters
        ----------
        rows : array_like, shape (n, features)
            One row for each object. NaN goes where the forest says missing values go; a forest that does not say
            (before scikit-learn 1.3) sends it right.

        Returns
        -------
        numpy.ndarray of float64, shape (n, classes)
            They add up to one in each row.

        Raises
        ------
        ValueError
            If the rows do not have as many numbers as the forest has features.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            table = np.asarray(rows, dtype=np.float32)
        if table.ndim != 2 or table.shape[1] != self.features:
            raise ValueError(f"rows of {self.features} features were expected")
        result = np.empty((len(table), len(self.classes)))
        step = max(1, CELLS // self.trees)
        for start in range(0, len(table), step):
            leaves = self._leaves(np.ascontiguousarray(table[start : start + step]))
            for column, fractions in enumerate(self._fractions):
                result[start : start + step, column] = np.cumsum(fractions[leaves], axis=1)[:, -1]
        return result / self.trees

    def _leaves(self, table: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """Return the leaf each row (first axis) reaches in each tree (second axis)."""
        values, missing = table.ravel(), bool(np.isnan(table).any())
        leaves = np.tile(np.arange(self.trees, dtype=np.intp), len(table))
        cells = np.arange(len(leaves), dtype=np.int32)
        row_start = np.repeat(np.arange(len(table), dtype=np.int32) * self.features, self.trees)
        node = leaves
        while True:
            feature = self._feature[node]
            moving = feature >= 0
            if not moving.all():  # those that reached a leaf are done; the others go on
                cells, row_start, node, feature = cells[moving], row_start[moving], node[moving], feature[moving]
            if not len(cells):
                return leaves.reshape(len(table), self.trees)
            value = values[row_start + feature]
            right = ~(value <= self._threshold[node])
            if missing:
                right &= ~(np.isnan(value) & self._missing_left[node])
            node = (self._left[node] + right).astype(np.intp)
            leaves[cells] = node

    def save(self, path: Path) -> None:
        """Write the forest to a file of plain arrays (``.npz``), which `read_forest` reads."""
        arrays = {name: getattr(self.nodes, name) for name in _ARRAYS}
        with path.open("wb") as stream:
            np.savez_compressed(stream, classes=np.array(self.classes), features=np.array(self.features), **arrays)


@lru_cache(maxsize=4)
def shipped_forest(name: str) -> Forest:
    """Return a forest of the package fink-science (a key of `files.DIGESTS`), read once a process."""
    return read_forest(checked_file(name))


def read_forest(path: Path) -> Forest:
    """Read a forest written by `Forest.save`, or pickled by scikit-learn 0.22 to 1.9.

    Nothing in the file is run, and scikit-learn is not needed.

    Parameters
    ----------
    path : pathlib.Path
        A plain pickle (not one of joblib) of a ``RandomForestClassifier``, or a ``.npz``.

    Raises
    ------
    DataError
        If the file cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"The forest {path} cannot be read: {error.strerror}.") from error
    try:
        if content.startswith(b"PK"):
            return _from_arrays(path)
        return Forest(*forest_from_pickle(content))
    except (*_UNREADABLE, ValueError, MemoryError) as error:
        raise DataError(
            f"The forest {path} cannot be used: {error}.",
            "Write a RandomForestClassifier of scikit-learn with pickle.dump.",
        ) from error


#: What NumPy may raise on a damaged file, beside ValueError.
_UNREADABLE = (KeyError, TypeError, OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error)


def _from_arrays(path: Path) -> Forest:
    """Read a file written by `Forest.save`."""
    with np.load(path, allow_pickle=False) as file:
        nodes = Nodes(**{name: file[name].astype(_TYPES[name], casting="safe") for name in _ARRAYS})
        return Forest(tuple(file["classes"].tolist()), int(file["features"]), nodes)


_TYPES = {"threshold": np.float64, "fractions": np.float64, "missing_left": np.bool_} | dict.fromkeys(
    ("left", "right", "feature", "starts"), np.int64
)


def _rounded_down(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the largest 32-bit numbers that are not above the given ones."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = numbers.astype(np.float32)
        return np.where(rounded > numbers, np.nextafter(rounded, np.float32(-np.inf)), rounded)
