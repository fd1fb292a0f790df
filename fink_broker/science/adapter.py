"""A function in the style of fink-science as a science module: columns in as pandas Series, one Series out.

Such functions are decorated as Spark UDFs (``@pandas_udf(DoubleType())``), take the columns of a batch, light curves
as one array an alert, and return one value an alert. Here they run in the one trip to Python like any other module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs, Outputs

#: Prefix of fields of the current measurement, and of a whole light curve (``cjd``: history, then current).
CANDIDATE, CURVE = "candidate.", "c"
#: Fields of which light curves can be made.
CURVE_FIELDS = (
    "jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos", "distnr", "diffmaglim", "ra", "dec",
)  # fmt: skip
#: Root fields of a packet that hold one value.
ROOT_FIELDS = ("candid", "objectId", "schemavsn", "publisher")


@dataclass(frozen=True)
class _Argument:
    """Where an argument comes from: kind is ``candidate``, ``curve``, ``root``, or ``output`` of another module."""

    kind: str
    name: str


def module_from_udf(
    function: Callable[..., Any],
    arguments: Sequence[str],
    output: Column,
    *,
    name: str,
    version: str = "1",
    reference: str = "",
) -> Callable[[Config], Module]:
    """Return the ``build`` function of a module that calls a function on pandas Series.

    Parameters
    ----------
    function : callable
        Takes a Series for each argument, returns a Series (or array) as long. A Spark ``pandas_udf`` is unwrapped.
    arguments : sequence of str
        What it is called with, in order: ``candidate.<field>``; ``c<field>`` for a light curve, such as ``cjd``;
        ``objectId`` or another field of the alert itself; or a column of another module.
    output : Column
        What it gives.
    name, version, reference : str
        Of the module.

    Notes
    -----
    A light curve arrives as one array an alert, which costs a few microseconds each; a module written for flat arrays
    does without. As for any module, the value for an alert must not depend on the others of its batch.
    """
    plain = getattr(function, "func", function)
    sources = [_source(argument) for argument in arguments]

    def named(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(source.name for source in sources if source.kind == kind))

    def compute(batch: AlertBatch) -> Outputs:
        result = plain(*[_series(batch, source) for source in sources])
        return {output.name: pa.array(pd.Series(result), output.type, from_pandas=True)}

    needs = Needs(candidate=named("candidate"), history=named("curve"), root=named("root"), outputs=named("output"))
    module = Module(name, version, reference, needs, (output,), compute)

    def build(_config: Config) -> Module:
        return module

    return build


def _source(argument: str) -> _Argument:
    if argument.startswith(CANDIDATE):
        return _Argument("candidate", argument.removeprefix(CANDIDATE))
    if argument.startswith(CURVE) and argument.removeprefix(CURVE) in CURVE_FIELDS:
        return _Argument("curve", argument.removeprefix(CURVE))
    return _Argument("root" if argument in ROOT_FIELDS else "output", argument)


def _series(batch: AlertBatch, source: _Argument) -> pd.Series:
    if source.kind != "curve":
        return batch.columns[source.name].to_pandas()
    curves = batch.curves
    flat = (
        curves.texts(source.name).to_numpy(zero_copy_only=False)
        if source.name == "isdiffpos"
        else curves.numbers(source.name)
    )
    arrays = np.empty(len(batch), dtype=object)
    arrays[:] = np.split(flat, curves.offsets[1:-1])
    return pd.Series(arrays)
