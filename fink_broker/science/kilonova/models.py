"""The forest and the principal components of the kilonova classifier: our own, or the operator's."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from fink_broker.alert.lightcurve import Floats
from fink_broker.errors import ConfigError, DataError
from fink_broker.science.files import checked_file
from fink_broker.science.forest import Forest, read_forest
from fink_broker.science.kilonova.fit import BAND_FEATURES, COMPONENTS, GRID

#: The forest that comes with the broker, made by ``python -m benchmarks.train_kilonova``.
OWN_FOREST = Path(__file__).with_name("forest.npz")
#: The components of fink-science.
OWN_COMPONENTS = "models/mixed_pcs.csv"
_FEATURES = 2 * BAND_FEATURES
#: No kilonova, kilonova; False and True are equal to them.
_CLASSES = (0, 1)


class KilonovaModels:
    """The two files of the classifier; read when first asked for, once a process.

    Parameters
    ----------
    forest, components : str
        Paths; empty for our own forest and the components of fink-science.
    """

    def __init__(self, forest: str = "", components: str = "") -> None:
        self._forest, self._components = forest, components

    def _paths(self) -> tuple[Path, Path]:
        components = Path(self._components).expanduser() if self._components else _shipped_components()
        return Path(self._forest).expanduser() if self._forest else OWN_FOREST, components

    def check(self) -> None:
        """Read both files now; raises as `load` does."""
        self.load()

    def load(self) -> tuple[Forest, Floats]:
        """Return forest and components.

        Raises
        ------
        ConfigError
            If a configured file is missing or not of the right shape.
        DataError
            If a file that comes with the packages is missing or damaged, or a forest cannot be read.
        """
        forest, components = self._paths()
        return _read_forest(forest), read_components(components)

    def digests(self) -> tuple[str, ...]:
        """Return the sha256 of forest and components."""
        return tuple(_digest(path) for path in self._paths())


@lru_cache(maxsize=1)
def _shipped_components() -> Path:
    return checked_file(OWN_COMPONENTS)


@lru_cache(maxsize=8)
def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


@lru_cache(maxsize=4)
def _read_forest(path: Path) -> Forest:
    """Read a forest of ten features and two classes: no kilonova, kilonova.

    Raises
    ------
    ConfigError
        If the file is missing or is another forest.
    DataError
        If it is no forest at all.
    """
    _digest(path)  # says what is wrong with a file that cannot be opened
    forest = read_forest(path)
    if forest.features != _FEATURES or tuple(forest.classes) != _CLASSES:
        classes = ", ".join(map(str, forest.classes))
        raise ConfigError(
            f"The forest {path} has {forest.features} features and the classes {classes}; a kilonova forest has "
            f"{_FEATURES} features and the classes 0, 1 or False, True.",
            "Set science.kilonova_forest to another file, or leave it empty for our own.",
        )
    return forest


@lru_cache(maxsize=4)
def read_components(path: Path) -> Floats:
    """Read three principal components of 401 values, from ``.npy`` or ``.csv`` (with or without a line of names).

    Raises
    ------
    ConfigError
        If the file cannot be read, or has another shape, or holds something else than finite numbers.
    """
    try:
        values = _read_npy(path) if path.suffix == ".npy" else _read_csv(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, EOFError, MemoryError) as error:
        raise ConfigError(f"The file {path} is no table of numbers.", _COMPONENTS_REMEDY) from error
    if values.shape != (COMPONENTS, GRID) or values.dtype.kind not in "fiu" or not np.isfinite(values).all():
        raise ConfigError(
            f"The components in {path} are not {COMPONENTS} rows of {GRID} finite numbers.", _COMPONENTS_REMEDY
        )
    components = values.astype(np.float64)
    components.flags.writeable = False
    return components


def _read_npy(path: Path) -> np.ndarray:
    """Read an array of plain numbers; objects, which could run code, are refused."""
    with path.open("rb") as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _read_csv(path: Path) -> Floats:
    """Read a table of numbers; a line more than there are components is the line of names."""
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line for line in lines if line.strip()]
    if len(lines) == COMPONENTS + 1:
        lines = lines[1:]
    return np.array([[float(value) for value in line.split(",")] for line in lines])


def _unreadable(path: Path, error: OSError) -> DataError | ConfigError:
    """Return what to say of a file that cannot be opened: whose fault it is depends on whose file it is."""
    reason = f"The file {path} cannot be read: {error.strerror or error}."
    if path == OWN_FOREST:
        return DataError(reason, "It is part of fink-broker; install fink-broker again.")
    return ConfigError(reason, "Correct science.kilonova_forest or science.kilonova_components, or leave them empty.")


_COMPONENTS_REMEDY = "Set science.kilonova_components to another file, or leave it empty for those of fink-science."
