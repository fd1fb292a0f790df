"""Read a saved SuperNNova network without torch, and without running anything that is in the file."""

from __future__ import annotations

import io
import json
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fink_broker.errors import DataError

#: First two pickles of the older torch file layout.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

#: Inputs that are normalised, in the order of the network's columns.
NORMALISED = ("FLUXCAL_g", "FLUXCAL_r", "FLUXCALERR_g", "FLUXCALERR_r", "delta_time")

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Normalisation:
    """y = (ln(max(x, least) − least + 10⁻⁵) − mean) / std, each of the five numbers by its own constants."""

    least: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    std: npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Storage:
    """Stand-in for a torch storage: which run of numbers a tensor is cut from."""

    key: str


@dataclass(frozen=True)
class _Slot:
    """Stand-in for a torch tensor, filled once the numbers are read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> _Slot:
    return _Slot(storage, int(offset), tuple(size), tuple(stride))


class _FloatStorage:
    """Stand-in for the class of storages of 32-bit floats."""


class _Unpickler(pickle.Unpickler):
    """Knows three names; any other class in the file is refused, so nothing of the file is run."""

    _KNOWN = {  # noqa: RUF012 - constant
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): _FloatStorage,
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected in a network") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key = pid[:3]
        if kind != "storage" or storage_type is not _FloatStorage:
            raise pickle.UnpicklingError("only storages of 32-bit floats are expected in a network")
        return _Storage(str(key))


def read_tensors(content: bytes) -> dict[str, Array]:
    """Return the tensors of a network saved in the older torch layout.

    Parameters
    ----------
    content : bytes
        Five pickles one after the other (magic, protocol, machine sizes, tensors, storage keys), then for each key
        an int64 count and so many float32, little-endian.

    Raises
    ------
    DataError
        If the file is anything else.
    """
    stream = io.BytesIO(content)
    try:
        magic, protocol, _sizes, slots, keys = (_Unpickler(stream).load() for _ in range(5))
        if (magic, protocol) != (MAGIC, PROTOCOL):
            raise ValueError("it is not in the older torch layout")
        storages = {str(key): _read_storage(stream) for key in keys}
        return {name: _cut(slot, storages[slot.storage.key]) for name, slot in slots.items()}
    except (pickle.UnpicklingError, ValueError, KeyError, TypeError, AttributeError, EOFError, struct.error) as error:
        raise DataError(f"The network cannot be read: {error}.") from error


def _read_storage(stream: io.BytesIO) -> Array:
    (count,) = struct.unpack("<q", stream.read(8))
    content = stream.read(4 * count) if count >= 0 else b""
    if len(content) != 4 * count:
        raise ValueError("it ends too early")
    return np.frombuffer(content, dtype="<f4").astype(np.float32)


def _cut(slot: _Slot, numbers: Array) -> Array:
    last = slot.offset + sum((size - 1) * step for size, step in zip(slot.size, slot.stride, strict=True))
    if slot.offset < 0 or last >= len(numbers) or min(slot.stride, default=0) < 0:
        raise ValueError("a tensor lies outside its storage")
    strides = [4 * step for step in slot.stride]
    return np.lib.stride_tricks.as_strided(numbers[slot.offset :], slot.size, strides).copy()


def read_normalisation(path: Path) -> Normalisation:
    """Read ``data_norm.json`` of a network."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    least, mean, std = (np.array([entries[name][key] for name in NORMALISED]) for key in ("min", "mean", "std"))
    return Normalisation(least, mean, std)
