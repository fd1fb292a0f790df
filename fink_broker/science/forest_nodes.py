"""The nodes of a random forest: flat arrays over all trees, and what they must obey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A class as it was named in training.
Class = bool | int | float | str

#: Most a sum of class fractions may differ from one.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Nodes:
    """The nodes of all trees, one tree after the other.

    Attributes
    ----------
    left, right : numpy.ndarray of int
        Children as numbers within the same tree, negative in a leaf.
    feature : numpy.ndarray of int
        Which feature a node compares; of no meaning in a leaf.
    threshold : numpy.ndarray of float64
        A row goes left where its feature is not above it.
    missing_left : numpy.ndarray of bool
        Whether a row goes left where its feature is NaN.
    fractions : numpy.ndarray of float64, shape (nodes, classes)
        Share of each class among the training rows that reached the node.
    starts : numpy.ndarray of int, shape (trees + 1,)
        Tree k owns the nodes ``starts[k]`` to ``starts[k + 1]`` (exclusive); the first is its root.
    """

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    missing_left: npt.NDArray[np.bool_]
    fractions: npt.NDArray[np.float64]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.left)

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.starts) - 1

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        """Nodes without children."""
        return self.left < 0


def join(trees: Sequence[Nodes]) -> Nodes:
    """Return the nodes of several forests (or trees) as those of one."""
    lengths = [np.diff(tree.starts) for tree in trees]
    return Nodes(
        left=np.concatenate([tree.left for tree in trees]),
        right=np.concatenate([tree.right for tree in trees]),
        feature=np.concatenate([tree.feature for tree in trees]),
        threshold=np.concatenate([tree.threshold for tree in trees]),
        missing_left=np.concatenate([tree.missing_left for tree in trees]),
        fractions=np.concatenate([tree.fractions for tree in trees]),
        starts=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
    )


def check(nodes: Nodes, features: int, classes: int) -> None:
    """Refuse what is not a forest: every row must reach one leaf of every tree, and every leaf must have an answer.

    Raises
    ------
    ValueError
        Says what is wrong.
    """
    count = len(nodes)
    flat = (nodes.right, nodes.feature, nodes.threshold, nodes.missing_left)
    if any(array.shape != (count,) for array in (nodes.left, *flat)) or nodes.fractions.shape != (count, classes):
        raise ValueError("its arrays do not have the same length")
    sizes = np.diff(nodes.starts)
    if (
        nodes.starts.ndim != 1
        or nodes.trees < 1
        or nodes.starts[0] != 0
        or nodes.starts[-1] != count
        or sizes.min() < 1
    ):
        raise ValueError("its trees do not divide the nodes")
    _check_children(nodes, sizes)
    splits = ~nodes.is_leaf
    if not ((nodes.feature[splits] >= 0) & (nodes.feature[splits] < features)).all():
        raise ValueError("a node compares a feature that does not exist")
    if np.isnan(nodes.threshold[splits]).any():
        raise ValueError("a threshold is not a number")
    sums = nodes.fractions.sum(axis=1)
    if not ((nodes.fractions >= 0).all() and (np.abs(sums - 1) <= SUM_TOLERANCE).all()):
        raise ValueError("class fractions do not add up to one")


def _check_children(nodes: Nodes, sizes: npt.NDArray[np.int64]) -> None:
    """Every node but the root is the child of one node before it: then there are no circles and nothing is apart."""
    if not np.array_equal(nodes.is_leaf, nodes.right < 0):
        raise ValueError("a node has one child only")
    splits = np.flatnonzero(~nodes.is_leaf)
    owner = np.repeat(np.arange(nodes.trees), sizes)[splits]
    number = splits - nodes.starts[owner]
    for child in (nodes.left[splits], nodes.right[splits]):
        if not ((child > number) & (child < sizes[owner])).all():
            raise ValueError("a child lies outside its tree or before its parent")
    children = np.concatenate([nodes.left[splits], nodes.right[splits]]) + np.tile(nodes.starts[owner], 2)
    parents = np.bincount(children, minlength=len(nodes))
    expected = np.ones(len(nodes), dtype=np.int64)
    expected[nodes.starts[:-1]] = 0
    if not np.array_equal(parents, expected):
        raise ValueError("a node has no parent, or several")
