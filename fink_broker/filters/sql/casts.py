"""CAST: from one type to another; what cannot be read as the other is null."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql.handler import Compile, Handler, quote, wrong
from fink_broker.filters.sql.kernels import boolean_of_text, finite, number_of_text, to_number, truncated, whole_of_text
from fink_broker.filters.sql.kinds import BOOLEAN, NOTHING, NUMBER, TEXT, WHOLE
from fink_broker.filters.sql.node import Node, Value, apply, literal

_TARGETS = {
    exp.DType.INT: WHOLE,
    exp.DType.BIGINT: WHOLE,
    exp.DType.DOUBLE: NUMBER,
    exp.DType.FLOAT: NUMBER,
    exp.DType.TEXT: TEXT,
    exp.DType.BOOLEAN: BOOLEAN,
}


def _plain(kind: pa.DataType) -> Callable[[Value], Value]:
    return lambda values: values.cast(kind)


#: By source and target.
_CASTS: dict[tuple[pa.DataType, pa.DataType], Callable[[Value], Value]] = {
    (WHOLE, NUMBER): to_number,
    (WHOLE, TEXT): _plain(TEXT),
    (WHOLE, BOOLEAN): lambda values: pc.not_equal(values, 0),
    (NUMBER, WHOLE): truncated,
    (NUMBER, TEXT): _plain(TEXT),
    (NUMBER, BOOLEAN): lambda values: pc.not_equal(values, 0.0),
    (TEXT, WHOLE): whole_of_text,
    (TEXT, NUMBER): number_of_text,
    (TEXT, BOOLEAN): boolean_of_text,
    (BOOLEAN, WHOLE): _plain(WHOLE),
    (BOOLEAN, NUMBER): lambda values: to_number(values.cast(WHOLE)),
    (BOOLEAN, TEXT): _plain(TEXT),
}


def cast(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile CAST to int or bigint (both 64 bits), double, float (rounded to 32 bits), string or boolean."""
    named = tree.args["to"]
    target = _TARGETS.get(named.this)
    if target is None or named.expressions:
        raise ConfigError(
            f"The type in {quote(tree)} is not known here.", "Cast to int, bigint, double, string or boolean."
        )
    node = compile_one(tree.this)
    if node.kind == NOTHING:
        return literal(None, target)
    if node.kind != target:
        if (node.kind, target) not in _CASTS:
            raise wrong(tree.this, node.kind, "a single value")
        node = apply("cast", target, _CASTS[node.kind, target], node, by=str(target))
    return apply("float", NUMBER, _narrowed, node) if named.this == exp.DType.FLOAT else node


def _narrowed(values: Value) -> Value:
    return finite(pc.cast(values, pa.float32(), safe=False).cast(NUMBER))


HANDLERS: dict[type[exp.Expr], Handler] = {exp.Cast: cast, exp.TryCast: cast}
