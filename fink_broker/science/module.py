"""What a science module is: a name, what it needs, what it gives, and a pure function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fink_broker.science.batch import AlertBatch

Outputs = Mapping[str, np.ndarray | pa.Array]


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
    """

    candidate: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    root: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


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
    absent : str
        The value where there is nothing to say (no match, cuts not met). Null only where the module raised.
    """

    name: str
    type: pa.DataType
    unit: str
    meaning: str
    absent: str


def _nothing_to_load() -> None:
    """Do nothing: the module has neither model nor catalogue."""


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
    """

    name: str
    version: str
    reference: str
    needs: Needs
    outputs: tuple[Column, ...]
    compute: Callable[[AlertBatch], Outputs]
    prepare: Callable[[], None] = _nothing_to_load
