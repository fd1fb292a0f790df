"""A step of a compiled rule: what it computes of a batch, of which type, and under which key the result is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.filters.sql.kinds import NOTHING, NUMBER, TEXT, as_seen
from fink_broker.filters.view import AlertView

#: An array of the length of the batch, or one value for all alerts.
Value: TypeAlias = pa.Array | pa.Scalar
#: Keys longer than this are replaced by their digest, so that deep rules do not keep long texts.
_LONGEST_KEY = 120


@dataclass(frozen=True)
class Node:
    """A step of a compiled rule.

    Parameters
    ----------
    kind : pyarrow.DataType
        Type of the result.
    key : str
        Says what is computed: the same key, of the same batch, is the same result. Rules of one batch share results
        by it.
    compute : callable
        From the view of a batch to the result.
    reads : frozenset of str
        Columns read.
    literal : pyarrow.Scalar, optional
        The value, if it is the same for all alerts.
    """

    kind: pa.DataType
    key: str
    compute: Callable[[AlertView], Value]
    reads: frozenset[str] = frozenset()
    literal: pa.Scalar | None = None

    def on(self, view: AlertView) -> Value:
        """Return the result for a batch, computed at most once."""
        if self.literal is not None:
            return self.literal
        return view.cached(self.key, self.compute)


def literal(value: object, kind: pa.DataType) -> Node:
    """Return the node of a value that is the same for all alerts."""
    scalar = value if isinstance(value, pa.Scalar) else pa.scalar(value, kind)
    return Node(kind, f"{kind}:{scalar.as_py()!r}", lambda _: scalar, literal=scalar)


def column(path: str, kind: pa.DataType) -> Node:
    """Return the node of a column of the alerts."""
    seen = as_seen(kind)

    def read(view: AlertView) -> Value:
        found = view.column(path)
        return found if seen == kind else found.cast(seen)

    return Node(seen, f"column:{path!r}", read, frozenset([path]))


def apply(name: str, kind: pa.DataType, function: Callable[..., Value], *arguments: Node, by: object = "") -> Node:
    """Return the node of a function of other nodes; of literals alone it is computed here and now.

    Parameters
    ----------
    name : str
        Name of what is done, part of the key.
    kind : pyarrow.DataType
        Type of the result.
    function : callable
        Takes the arguments' values (at least one of them an array) and returns an array.
    *arguments : Node
        What it is applied to.
    by : object
        What else the result depends on: options bound into the function.
    """
    if all(argument.literal is not None for argument in arguments):
        rows = [pa.array([argument.literal.as_py()], argument.kind) for argument in arguments]  # type: ignore[union-attr]
        return literal(function(*rows)[0], kind)
    key = f"{name}[{by!r}]({','.join(argument.key for argument in arguments)})"
    if len(key) > _LONGEST_KEY:
        key = hashlib.sha256(key.encode()).hexdigest()

    def compute(view: AlertView) -> Value:
        return function(*[argument.on(view) for argument in arguments])

    return Node(kind, key, compute, frozenset().union(*(argument.reads for argument in arguments)))


def as_kind(node: Node, kind: pa.DataType) -> Node:
    """Return a node as another type that holds its values: null as anything, whole numbers as numbers.

    Whole numbers beyond 2^53 are rounded.
    """
    if node.kind == kind:
        return node
    if node.kind == NOTHING:
        return literal(None, kind)
    return apply("widen", kind, lambda values: pc.cast(values, kind, safe=False), node, by=str(kind))


def text_of(node: Node) -> str | None:
    """Return the text of a node that is a text literal, else None."""
    return node.literal.as_py() if node.literal is not None and node.kind == TEXT else None


def whole_of(node: Node) -> int | None:
    """Return the number of a node that is a literal whole number, else None."""
    if node.literal is None or node.kind == NUMBER:
        return None
    value = node.literal.as_py()
    return value if isinstance(value, int) and not isinstance(value, bool) else None
