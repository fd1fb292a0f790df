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
class Literal:
    """An argument that is the same for every alert."""

    value: Any


@dataclass(frozen=True)
class _Argument:
    """Where an argument comes from.

    ``kind`` is ``candidate``, ``curve``, ``root``, ``output`` of another module, or ``literal``.
    """

    kind: str
    name: Any


def module_from_udf(
    function: Callable[..., Any],
    arguments: Sequence[str | Literal],
    output: Column | Sequence[Column],
    *,
    name: str,
    version: str = "1",
    reference: str = "",
) -> Callable[[Config], Module]:
    """Return the ``build`` function of a module that calls a function on pandas Series.

    Parameters
    ----------
    function : callable
        Takes a Series for each argument, returns a Series (or array) as long, or a DataFrame. A Spark ``pandas_udf``
        is unwrapped.
    arguments : sequence of str or Literal
        What it is called with, in order: ``candidate.<field>``; ``c<field>`` for a light curve, such as ``cjd``;
        ``objectId`` or another field of the alert itself; or a column of another module. ``Literal(value)`` stands
        for a Series of one value, as ``F.lit(value)`` does in Spark.
    output : Column or sequence of Column
        What it gives: one column; or of a DataFrame the columns of these names; or the whole DataFrame as one column
        of structs.
    name, version, reference : str
        Of the module.

    Notes
    -----
    A light curve arrives as one array an alert, which costs a few microseconds each; a module written for flat arrays
    does without. As for any module, the value for an alert must not depend on the others of its batch.
    """
    # only a Spark function has an evalType; functools.partial has a `func` too, but must stay whole
    plain: Callable[..., Any] = getattr(function, "func") if hasattr(function, "evalType") else function  # noqa: B009
    sources = [_source(argument) for argument in arguments]
    outputs = (output,) if isinstance(output, Column) else tuple(output)

    def named(kind: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(source.name) for source in sources if source.kind == kind))

    def compute(batch: AlertBatch) -> Outputs:
        result = plain(*[_series(batch, source) for source in sources])
        if isinstance(result, pd.DataFrame) and not isinstance(output, Column):
            return {column.name: _array(result[column.name], column) for column in outputs}
        if isinstance(result, pd.DataFrame):
            result = pd.Series(result.to_dict("records"))
        if len(outputs) > 1 or np.ndim(result) == 0:
            raise TypeError(
                f"{name} gave one {type(result).__name__} for {len(outputs)} columns of {len(batch)} alerts"
            )
        return {outputs[0].name: _array(result, outputs[0])}

    needs = Needs(candidate=named("candidate"), history=named("curve"), root=named("root"), outputs=named("output"))
    module = Module(name, version, reference, needs, outputs, compute)

    def build(_config: Config) -> Module:
        return module

    return build


def _array(values: Any, column: Column) -> pa.Array:
    return pa.array(pd.Series(values), column.type, from_pandas=True)


def _source(argument: str | Literal) -> _Argument:
    if isinstance(argument, Literal):
        return _Argument("literal", argument.value)
    if argument.startswith(CANDIDATE):
        return _Argument("candidate", argument.removeprefix(CANDIDATE))
    if argument.startswith(CURVE) and argument.removeprefix(CURVE) in CURVE_FIELDS:
        return _Argument("curve", argument.removeprefix(CURVE))
    return _Argument("root" if argument in ROOT_FIELDS else "output", argument)


def _series(batch: AlertBatch, source: _Argument) -> pd.Series:
    """Return the values of an argument, copied: such functions write into what they get."""
    if source.kind == "literal":
        return pd.Series([source.name] * len(batch))
    if source.kind != "curve":
        return batch.columns[source.name].to_pandas().copy()
    curves = batch.curves
    flat = (
        curves.texts(source.name).to_numpy(zero_copy_only=False)
        if source.name == "isdiffpos"
        else curves.numbers(source.name).copy()
    )
    arrays = np.empty(len(batch), dtype=object)
    arrays[:] = np.split(flat, curves.offsets[1:-1])
    return pd.Series(arrays)
