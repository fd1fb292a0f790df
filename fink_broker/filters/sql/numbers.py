"""Arithmetic and functions of numbers; what has no finite result is null."""

from __future__ import annotations

import math
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql.handler import Compile, Handler, alike, number, quote, wrong
from fink_broker.filters.sql.kernels import finite, finite_kernel, kernel, whole_kernel, whole_remainder
from fink_broker.filters.sql.kinds import NOTHING, NUMBER, TEXT, WHOLE, is_numeric
from fink_broker.filters.sql.node import Node, Value, apply, as_kind, literal, whole_of

_ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "add", exp.Sub: "subtract", exp.Mul: "multiply"}

#: Functions of one number, and what Arrow calls them. Angles are in radians.
_OF_ONE: dict[type[exp.Expr], str] = {
    exp.Sqrt: "sqrt",
    exp.Exp: "exp",
    exp.Ln: "ln",
    exp.Sin: "sin",
    exp.Cos: "cos",
    exp.Tan: "tan",
    exp.Asin: "asin",
    exp.Acos: "acos",
    exp.Atan: "atan",
}
_OF_TWO: dict[type[exp.Expr], str] = {exp.Div: "divide", exp.Pow: "power", exp.Atan2: "atan2"}
#: Functions whose result is whole where the number is.
_KEEPING: dict[type[exp.Expr], str] = {exp.Neg: "negate", exp.Abs: "abs"}
_ROUNDING: dict[type[exp.Expr], str] = {exp.Floor: "floor", exp.Ceil: "ceil", exp.Sign: "sign"}
_ANGLES: dict[type[exp.Expr], float] = {exp.Radians: math.pi / 180, exp.Degrees: 180 / math.pi}
_EXTREMES: dict[type[exp.Expr], str] = {exp.Greatest: "max_element_wise", exp.Least: "min_element_wise"}
_LOGARITHMS = {2: "log2", 10: "log10"}


def _both(tree: exp.Expr, compile_one: Compile) -> list[Node]:
    return [number(tree.this, compile_one), number(tree.expression, compile_one)]


def _as_numbers(*nodes: Node) -> list[Node]:
    return [as_kind(node, NUMBER) for node in nodes]


def arithmetic(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile a sum, difference or product: of whole numbers it is whole."""
    name = _ARITHMETIC[type(tree)]
    return _whole_or_not(name, *_both(tree, compile_one))


def _whole_or_not(name: str, *nodes: Node) -> Node:
    if all(node.kind == WHOLE for node in nodes):
        return apply(name, WHOLE, whole_kernel(name), *nodes)
    return apply(name, NUMBER, finite_kernel(name), *_as_numbers(*nodes))


def keeping(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the negative or the absolute of a number."""
    return _whole_or_not(_KEEPING[type(tree)], number(tree.this, compile_one))


def of_one(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile a function of one number."""
    name = _OF_ONE[type(tree)]
    return apply(name, NUMBER, finite_kernel(name), *_as_numbers(number(tree.this, compile_one)))


def of_two(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile a function of two numbers; a quotient of whole numbers is no whole number."""
    name = _OF_TWO[type(tree)]
    return apply(name, NUMBER, finite_kernel(name), *_as_numbers(*_both(tree, compile_one)))


def remainder(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``a % b``, with the sign of a."""
    nodes = _both(tree, compile_one)
    if all(node.kind == WHOLE for node in nodes):
        return apply("remainder", WHOLE, whole_remainder, *nodes)
    return apply("remainder", NUMBER, finite_kernel("remainder"), *_as_numbers(*nodes))


def logarithm(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``log(base, x)``; ``log10(x)`` and ``log2(x)`` come as this, too."""
    base, value = _as_numbers(*_both(tree, compile_one))
    name = _LOGARITHMS.get(base.literal.as_py()) if base.literal is not None else None
    if name:
        return apply(name, NUMBER, finite_kernel(name), value)
    return apply("logb", NUMBER, finite_kernel("logb"), value, base)


def angle(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``radians`` or ``degrees``."""
    factor = literal(_ANGLES[type(tree)], NUMBER)
    return apply("multiply", NUMBER, finite_kernel("multiply"), *_as_numbers(number(tree.this, compile_one)), factor)


def rounding(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``floor``, ``ceil`` or ``sign``."""
    name, node = _ROUNDING[type(tree)], number(tree.this, compile_one)
    if node.kind == WHOLE and name != "sign":
        return node
    return apply(name, NUMBER, kernel(name), as_kind(node, NUMBER))


def rounded(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``round(x, digits)``: halves away from zero."""
    digits = tree.args.get("decimals")
    places = whole_of(compile_one(digits)) if digits is not None else 0
    if places is None or abs(places) > 300:
        raise ConfigError(f"The digits in {quote(tree)} are no whole number.", "Write round(x, 2).")
    node = as_kind(number(tree.this, compile_one), NUMBER)

    def compute(values: Value) -> Value:
        return finite(pc.round(values, ndigits=places, round_mode="half_towards_infinity"))

    return apply("round", NUMBER, compute, node, by=places)


def extreme(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the greatest or least of some values, null ones left out."""
    nodes = alike([compile_one(part) for part in (tree.this, *tree.expressions)], tree)
    kind = nodes[0].kind
    if not is_numeric(kind) and kind != TEXT:
        raise wrong(tree.this, kind, "a number or a text")
    if kind == NOTHING:
        return literal(None, NOTHING)
    name = _EXTREMES[type(tree)]
    if kind == TEXT:  # Arrow compares texts of a column with one another only
        return apply(name, kind, _extreme_text(name), *nodes)
    return apply(name, kind, kernel(name), *nodes)


def _extreme_text(name: str) -> Callable[..., Value]:
    wins = kernel("greater" if name.startswith("max") else "less")

    def compute(*texts: Value) -> Value:
        found = texts[0]
        for text in texts[1:]:
            better = pc.coalesce(wins(text, found), pc.is_null(found))
            found = pc.if_else(better, text, found)
        return found

    return compute


def literal_number(tree: exp.Expr) -> Node:
    """Compile a number as it is written: whole if it is written so and fits in 64 bits."""
    written = str(tree.this)
    if written.isdigit() and len(written) < 20 and int(written) < 2**63:
        return literal(int(written), WHOLE)
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"'{written[:40]}' is no number that can be computed with.", "Write it as 20.5 or 1e-3.")
    return literal(pa.scalar(value), NUMBER)


HANDLERS: dict[type[exp.Expr], Handler] = {
    **dict.fromkeys(_ARITHMETIC, arithmetic),
    **dict.fromkeys(_KEEPING, keeping),
    **dict.fromkeys(_OF_ONE, of_one),
    **dict.fromkeys(_OF_TWO, of_two),
    **dict.fromkeys(_ANGLES, angle),
    **dict.fromkeys(_ROUNDING, rounding),
    **dict.fromkeys(_EXTREMES, extreme),
    exp.Mod: remainder,
    exp.Log: logarithm,
    exp.Round: rounded,
}
