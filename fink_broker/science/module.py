"""What a science module is: a name, what it needs, what it gives, and a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fink_broker.errors import ConfigError
from fink_broker.science.batch import AlertBatch

Outputs = Mapping[str, np.ndarray | pa.Array]

#: Key beside the columns in what a module gives: mask of the alerts its own rule left out (an array of bool). They
#: are counted apart from those the module looked at and found nothing on.
SKIPPED = "skipped"
#: Another such key: mask of the alerts on which the module could not do its work, such as those a service did not
#: answer for. What it gives for them is kept.
FAILED = "failed"


@dataclass(frozen=True)
class Needs:
    """What a module reads.

    Parameters
    ----------
    candidate : tuple of str
        Fields of ``candidate``.
    history : tuple of str
        Fields of ``prv_candidates``; each is read from ``candidate`` too.
    root : tuple of str
        Fields of the alert itself.
    outputs : tuple of str
        Columns of other modules, which therefore run before.
    cutouts : tuple of str
        Images, of ``Science``, ``Template`` and ``Difference``; column ``cutout<name>`` holds the gzipped FITS file.
    """

    candidate: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    cutouts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column a module gives.

    Parameters
    ----------
    name : str
        Name in production.
    type : pyarrow.DataType
        Arrow type.
    unit : str
        Unit, empty for a label or a plain number.
    meaning : str
        What it says, in one line.
    absent : object
        The value, as Python has it, where there is nothing to say (no match, cuts not met); None stands for null and
        NaN, a dictionary for a map.

    Raises
    ------
    ConfigError
        If the type is none a table can hold, or the absent value is not of it.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    absent: Any

    def __post_init__(self) -> None:
        if not _has_place(self.type):
            raise ConfigError(
                f"The science column '{self.name}' is of the type {self.type}, which tables and messages do not hold.",
                "Give signed numbers of 32 or 64 bits, booleans, texts, bytes, or lists, structs or maps of these.",
            )
        entries = list(self.absent.items()) if isinstance(self.absent, Mapping) else self.absent
        try:
            pa.scalar(entries, self.type)
        except (pa.ArrowException, TypeError) as error:
            raise ConfigError(
                f"The absent value {self.absent!r} of the science column '{self.name}' is no {self.type}.",
                "Give a value of the column's type, or None.",
            ) from error


_SCALARS = (pa.bool_(), pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.binary())


def _has_place(kind: pa.DataType) -> bool:
    """Tell whether the science table and Avro messages hold values of a type."""
    if pa.types.is_struct(kind):
        return all(_has_place(field.type) for field in kind)
    if pa.types.is_map(kind):
        return kind.key_type == pa.string() and _has_place(kind.item_type)
    return _has_place(kind.value_type) if pa.types.is_list(kind) else kind in _SCALARS


def _nothing_to_load() -> None:
    """Do nothing: the module has neither model nor catalogue."""


def _no_digests() -> tuple[str, ...]:
    """Return that no file was used."""
    return ()


@dataclass(frozen=True)
class Module:
    """A science module.

    Parameters
    ----------
    name : str
        Name in the configuration and in ``science_failed``.
    version : str
        Changes whenever the numbers change.
    reference : str
        Where the method is published.
    needs : Needs
        What it reads.
    outputs : tuple of Column
        What it gives.
    compute : callable
        From a batch to its columns, each as long as the batch. Pure: the result for an alert depends on that alert
        alone, never on its batch-mates, their order, or a global random state.
    prepare : callable
        Loads models and catalogues, once a process; raises a FinkError if they are not as expected.
    digests : callable
        Returns the sha256 of each model and catalogue file in use; asked at every batch, so it must be quick.
    """

    name: str
    version: str
    reference: str
    needs: Needs
    outputs: tuple[Column, ...]
    compute: Callable[[AlertBatch], Outputs]
    prepare: Callable[[], None] = _nothing_to_load
    digests: Callable[[], tuple[str, ...]] = _no_digests

    def __post_init__(self) -> None:
        for name in ("name", "version", "reference"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"The {name} of the science module '{self.name}' is no text.", "Put it in quotes.")
