"""Conditions: comparisons, AND, OR, NOT, IN, BETWEEN, IS, CASE; null is neither true nor false."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql.handler import Compile, Handler, alike, condition, quote, wrong
from fink_broker.filters.sql.kernels import kernel
from fink_broker.filters.sql.kinds import BOOLEAN, NOTHING, NUMBER, TEXT, WHOLE, common
from fink_broker.filters.sql.node import Node, Value, apply, as_kind, literal

_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "equal",
    exp.NEQ: "not_equal",
    exp.LT: "less",
    exp.LTE: "less_equal",
    exp.GT: "greater",
    exp.GTE: "greater_equal",
}
_FALSE = pa.scalar(False)
_and, _or, _if_else, _coalesce = (kernel(name) for name in ("and_kleene", "or_kleene", "if_else", "coalesce"))


def compare(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile a comparison of two values of one type; a whole number and a number are compared as numbers."""
    left, right = compile_one(tree.this), compile_one(tree.expression)
    return _compared(_COMPARISONS[type(tree)], left, right, tree)


def _compared(name: str, left: Node, right: Node, tree: exp.Expr) -> Node:
    kind = common([left.kind, right.kind], quote(tree))
    comparable = (WHOLE, NUMBER, TEXT, NOTHING) + ((BOOLEAN,) if name in ("equal", "not_equal") else ())
    if kind not in comparable:
        raise wrong(tree.this, kind, "a value that can be compared so")
    if kind == NOTHING:
        return literal(None, BOOLEAN)
    return apply(name, BOOLEAN, kernel(name), as_kind(left, kind), as_kind(right, kind))


def chain(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile conditions joined by AND, or by OR, however many there are: a long chain is no deep one."""
    kind, joined = type(tree), "and_kleene" if isinstance(tree, exp.And) else "or_kleene"
    terms: list[exp.Expr] = []
    waiting = [tree]
    while waiting:
        term = waiting.pop()
        if isinstance(term, exp.Paren) and isinstance(term.unnest(), kind):
            waiting.append(term.unnest())
        elif isinstance(term, kind):
            waiting += [term.expression, term.this]
        else:
            terms.append(term)
    nodes = [condition(term, compile_one) for term in terms]
    join = _and if isinstance(tree, exp.And) else _or
    return apply(joined, BOOLEAN, lambda *values: reduce(join, values), *nodes)


def negated(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile NOT: null stays null."""
    return invert(condition(tree.this, compile_one))


def invert(node: Node) -> Node:
    """Return the contrary of a condition."""
    return apply("invert", BOOLEAN, kernel("invert"), node)


def null_safe(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``<=>`` and ``IS [NOT] DISTINCT FROM``: null equals null."""
    left, right = compile_one(tree.this), compile_one(tree.expression)
    equal = _compared("equal", left, right, tree)

    def same(equality: Value, one: Value, other: Value) -> Value:
        return _or(_coalesce(equality, _FALSE), _and(pc.is_null(one), pc.is_null(other)))

    node = apply("null_safe", BOOLEAN, same, equal, left, right)
    return invert(node) if isinstance(tree, exp.NullSafeNEQ) else node


def between(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile BETWEEN, both ends included."""
    value = compile_one(tree.this)
    low = _compared("greater_equal", value, compile_one(tree.args["low"]), tree)
    high = _compared("less_equal", value, compile_one(tree.args["high"]), tree)
    return apply("and_kleene", BOOLEAN, _and, low, high)


def is_one_of(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile IN: null if nothing is equal but something is null."""
    choices = [compile_one(choice) for choice in tree.expressions]
    if not choices:
        raise ConfigError(f"{quote(tree)} lists nothing.", "Write IN ('one', 'another').")
    value, *choices = alike([compile_one(tree.this), *choices], tree)
    if value.kind == NOTHING:
        return literal(None, BOOLEAN)
    if value.kind not in (WHOLE, NUMBER, TEXT) or any(choice.literal is None for choice in choices):
        equal = [_compared("equal", value, choice, tree) for choice in choices]
        return apply("or_kleene", BOOLEAN, lambda *values: reduce(_or, values), *equal)
    known = {choice.literal.as_py() for choice in choices if choice.literal is not None}
    with_null = None in known
    known.discard(None)
    # 0.0 and -0.0 are equal, but not to the hash table behind is_in
    zeros = [0.0, -0.0] if value.kind == NUMBER and 0.0 in known else []
    values = pa.array([*sorted(known), *zeros], value.kind)
    otherwise = pa.scalar(None, pa.bool_()) if with_null else _FALSE

    def look_up(found: Value) -> Value:
        inside = _or(pc.is_in(found, value_set=values), otherwise)
        return _if_else(pc.is_valid(found), inside, pa.scalar(None, pa.bool_()))

    return apply("in", BOOLEAN, look_up, value, by=(sorted(known), with_null))


def is_something(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile IS NULL, IS TRUE, IS FALSE: never null themselves."""
    if isinstance(tree.expression, exp.Null):
        return is_null(tree, compile_one)
    if not isinstance(tree.expression, exp.Boolean):
        raise ConfigError(f"{quote(tree)} cannot be understood.", "IS goes with NULL, TRUE or FALSE; compare with =.")
    value = condition(tree.this, compile_one)
    return or_false(value if tree.expression.this else invert(value))


def is_null(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile IS NULL, of a value of whatever type."""
    return apply("is_null", BOOLEAN, pc.is_null, compile_one(tree.this))


def or_false(node: Node) -> Node:
    """Return a condition with false for null."""
    return apply("or_false", BOOLEAN, _coalesce, node, literal(False, BOOLEAN))


def case(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile CASE, with or without an operand: the first branch that holds is taken, else the last, or null."""
    branches = tree.args.get("ifs") or []
    if tree.this is not None:
        operand = compile_one(tree.this)
        tests = [_compared("equal", operand, compile_one(branch.this), tree) for branch in branches]
    else:
        tests = [condition(branch.this, compile_one) for branch in branches]
    results = [branch.args["true"] for branch in branches]
    default = tree.args.get("default")
    return _choose(tests, [compile_one(result) for result in results], default and compile_one(default), tree)


def if_then(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``if(condition, then, else)``."""
    otherwise = tree.args.get("false")
    test, then = condition(tree.this, compile_one), compile_one(tree.args["true"])
    return _choose([test], [then], otherwise and compile_one(otherwise), tree)


def _choose(tests: list[Node], results: list[Node], default: Node | None, tree: exp.Expr) -> Node:
    results = alike([*results, default or literal(None, NOTHING)], tree)
    count, kind = len(tests), results[0].kind

    def choose(*values: Value) -> Value:
        found = values[-1]
        for test, value in zip(values[count - 1 :: -1], values[-2 : count - 1 : -1], strict=True):
            found = _if_else(_coalesce(test, _FALSE), value, found)
        return found

    return apply("case", kind, choose, *tests, *results)


def coalesce(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the first value that is not null."""
    nodes = alike([compile_one(part) for part in (tree.this, *tree.expressions)], tree)
    return apply("coalesce", nodes[0].kind, _coalesce, *nodes)


def null_if(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``nullif(a, b)``: null where the two are equal, else a."""
    left, right = compile_one(tree.this), compile_one(tree.expression)
    return _choose([_compared("equal", left, right, tree)], [literal(None, NOTHING)], left, tree)


HANDLERS: dict[type[exp.Expr], Handler] = {
    **dict.fromkeys(_COMPARISONS, compare),
    exp.And: chain,
    exp.Or: chain,
    exp.Not: negated,
    exp.NullSafeEQ: null_safe,
    exp.NullSafeNEQ: null_safe,
    exp.Between: between,
    exp.In: is_one_of,
    exp.Is: is_something,
    exp.Case: case,
    exp.If: if_then,
    exp.Coalesce: coalesce,
    exp.Nullif: null_if,
    exp.IsNan: is_null,
}
