"""Read a random forest pickled by scikit-learn without scikit-learn, and without running anything that is in the file.

A pickle is a program: it names functions and calls them. Here every name it may use stands for a record, which keeps
what it was called with and does nothing else; any other name is refused. The forest is then taken out of the records.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from fink_broker.science.forest_nodes import Class, Nodes, join

#: How far the class fractions of a node may be from a sum of one before they are taken for counts.
SUM_TOLERANCE = 1e-6

#: NumPy's code of a boolean, integer, float or text, without its byte order.
_PLAIN_TYPE = re.compile(r"[biuf]\d{1,2}|U\d{1,4}")


class _Record:
    """What a pickle built: the arguments it was called with and the state it was given."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> _Record:
        record = object.__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    def __init__(self, *arguments: Any) -> None:
        """Accept what `__new__` has kept."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Forest(_Record):
    pass


class _Estimator(_Record):
    pass


class _Tree(_Record):
    pass


class _DType(_Record):
    pass


class _Array(_Record):
    """An array as all protocols up to 4 hold it: built empty, its content given as state."""


class _Buffer(_Record):
    """An array as protocol 5 holds it: called with its content."""


class _EncodedBytes(_Record):
    """Bytes as protocol 2 holds them: text to be encoded in Latin-1."""


class _Ignored(_Record):
    """Something a forest has but does not need to answer: scalars, random states."""


_KNOWN: dict[tuple[str, str], type[_Record]] = {
    ("sklearn.ensemble._forest", "RandomForestClassifier"): _Forest,
    ("sklearn.tree._classes", "DecisionTreeClassifier"): _Estimator,
    ("sklearn.tree._tree", "Tree"): _Tree,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Ignored,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.numeric", "_frombuffer"): _Buffer,
    ("numpy._core.multiarray", "scalar"): _Ignored,
    ("numpy.random._pickle", "__randomstate_ctor"): _Ignored,
    ("numpy.random._pickle", "__bit_generator_ctor"): _Ignored,
    ("numpy.random._mt19937", "MT19937"): _Ignored,
    ("_codecs", "encode"): _EncodedBytes,
}
#: Modules that were renamed.
_RENAMED = {
    "sklearn.ensemble.forest": "sklearn.ensemble._forest",
    "sklearn.tree.tree": "sklearn.tree._classes",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}


class _Unpickler(pickle.Unpickler):
    """Gives a record for each name a forest needs; refuses every other."""

    def find_class(self, module: str, name: str) -> type[_Record]:
        known = _KNOWN.get((_RENAMED.get(module, module), name))
        if known is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in a forest")
        return known


def forest_from_pickle(content: bytes) -> tuple[tuple[Class, ...], int, Nodes]:
    """Return classes, number of features and nodes of a pickled ``RandomForestClassifier``.

    Node layouts before scikit-learn 1.3 do not say where missing values go: right, as a comparison with NaN is false.
    Where a node holds counts (the older way) they are divided by their sum.

    Parameters
    ----------
    content : bytes
        A plain pickle (protocol 2 to 5) of scikit-learn 0.22 to 1.9.

    Raises
    ------
    ValueError
        If the content is anything else. Nothing of it has been run.
    """
    try:
        forest = _Unpickler(io.BytesIO(content)).load()
        if not isinstance(forest, _Forest):
            raise TypeError("it holds something else than a RandomForestClassifier")
        classes = tuple(_array(forest.state["classes_"]).tolist())
        trees = [estimator.state["tree_"] for estimator in forest.state["estimators_"]]
        if not trees or not all(isinstance(tree, _Tree) for tree in trees):
            raise TypeError("it has no trees")
        return classes, int(trees[0].arguments[0]), join([_nodes(tree) for tree in trees])
    except _MALFORMED as error:
        raise ValueError(str(error) or type(error).__name__) from error


#: What unpickling or taking apart a damaged or hostile file may raise.
_MALFORMED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


def _nodes(tree: _Tree) -> Nodes:
    """Return the nodes of one tree."""
    nodes, values = _array(tree.state["nodes"]), _array(tree.state["values"])
    if values.ndim != 3 or values.shape[1] != 1:
        raise ValueError("a tree does not have one output")
    values = values[:, 0, :].astype(np.float64)
    sums = values.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        fractions = np.where(np.abs(sums - 1) > SUM_TOLERANCE, values / sums, values)
    layout = nodes.dtype.names or ()
    missing = nodes["missing_go_to_left"] if "missing_go_to_left" in layout else np.zeros(len(nodes))
    return Nodes(
        left=nodes["left_child"].astype(np.int64),
        right=nodes["right_child"].astype(np.int64),
        feature=nodes["feature"].astype(np.int64),
        threshold=nodes["threshold"].astype(np.float64),
        missing_left=missing.astype(bool),
        fractions=fractions,
        starts=np.array([0, len(nodes)]),
    )


def _array(record: _Record) -> npt.NDArray[Any]:
    """Return the array a record stands for."""
    if isinstance(record, _Buffer):
        raw, kind, shape, order = record.arguments[:4]
        fortran = order == "F"
    elif isinstance(record, _Array):
        shape, kind, fortran, raw = record.state[-4:]
    else:
        raise TypeError("an array is something else")
    if isinstance(raw, list):  # an array of Python objects, such as texts
        if not all(isinstance(item, str | int | float) for item in raw):
            raise TypeError("an array holds something else than texts and numbers")
        return np.array(raw)
    if isinstance(raw, _EncodedBytes):
        raw = raw.arguments[0].encode("latin-1")
    return np.frombuffer(raw, dtype=_dtype(kind)).reshape(shape, order="F" if fortran else "C")


def _dtype(record: _DType) -> np.dtype[Any]:
    """Return the type a record stands for: a plain one, or named fields of plain ones."""
    code = str(record.arguments[0])
    _version, order, _base, names, fields, size = record.state[:6]
    if names is None:
        if not _PLAIN_TYPE.fullmatch(code):
            raise TypeError(f"an array of type {code} is not expected in a forest")
        return np.dtype((order if order in "<>" else "=") + code)
    formats = [_dtype(fields[name][0]) for name in names]
    offsets = [int(fields[name][1]) for name in names]
    return np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": int(size)})
