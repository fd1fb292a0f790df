"""What compiles one kind of expression, and the questions all of them ask of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql.kinds import BOOLEAN, NOTHING, NUMBER, TEXT, WHOLE, common, describe, is_numeric
from fink_broker.filters.sql.node import Node, as_kind
from fink_broker.filters.sql.parsing import DIALECT

#: Compiles an expression within another one.
Compile = Callable[[exp.Expr], Node]
#: Compiles expressions of one kind.
Handler = Callable[[exp.Expr, Compile], Node]

_LONGEST_QUOTE = 80


def quote(tree: exp.Expr) -> str:
    """Return an expression as it is written, shortened, for messages."""
    text = tree.sql(dialect=DIALECT)
    return f"'{text if len(text) <= _LONGEST_QUOTE else text[: _LONGEST_QUOTE - 1] + '…'}'"


def alike(nodes: Sequence[Node], where: exp.Expr) -> list[Node]:
    """Return nodes as the one type that holds the values of all.

    Raises
    ------
    ConfigError
        If there is none.
    """
    kind = common([node.kind for node in nodes], quote(where))
    return [as_kind(node, kind) for node in nodes]


def number(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile what has to be a number, whole or not (null is as good)."""
    node = compile_one(tree)
    if not is_numeric(node.kind):
        raise wrong(tree, node.kind, "a number")
    return node


def text(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile what has to be a text."""
    return _of_kind(tree, compile_one, TEXT, "a text")


def condition(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile what has to be true or false."""
    return _of_kind(tree, compile_one, BOOLEAN, "a condition")


def _of_kind(tree: exp.Expr, compile_one: Compile, kind: pa.DataType, wanted: str) -> Node:
    node = compile_one(tree)
    if node.kind not in (kind, NOTHING):
        raise wrong(tree, node.kind, wanted)
    return as_kind(node, kind)


def wrong(tree: exp.Expr, kind: pa.DataType, wanted: str) -> ConfigError:
    """Return the error of an expression that is of another type than it has to be."""
    hint = {
        "a condition": f"Did you mean {quote(tree)[1:-1]} > 0?" if kind in (WHOLE, NUMBER) else "",
        "a text": "cast(… as string) makes a text of it." if kind in (WHOLE, NUMBER) else "",
        "a number": "cast(… as double) makes a number of it." if kind in (TEXT, BOOLEAN) else "",
    }.get(wanted, "")
    if pa.types.is_list(kind):
        hint = "Take one value of the list: array_min(…), array_max(…), element_at(…, -1) for the last, size(…)."
    elif pa.types.is_struct(kind):
        hint = "Name one of its fields, with a dot: candidate.magpsf."
    elif kind == TEXT and wanted == "a condition":
        hint = f"Did you mean {quote(tree)[1:-1]} = '…'?"
    return ConfigError(f"{quote(tree)} is {describe(kind)}, not {wanted}.", hint)
